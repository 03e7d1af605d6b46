"""The answer of the scheduler: every host with its verdict, reasons and numbers."""
