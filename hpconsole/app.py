"""The composition root: builds every long-lived object of the core once, in order, and closes them in reverse."""
