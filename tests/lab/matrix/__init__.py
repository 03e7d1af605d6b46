"""The fault matrix: each fault at each phase of a live migration between real hosts (`python -m tests.lab.matrix`)."""
