"""The command line: every action the window has, without Qt."""
