"""The program: `hpconsole` opens the window, `hpconsole COMMAND` answers on the terminal without Qt."""

from __future__ import annotations

import sys


def main() -> int:
    """Run, and return the exit code documented in docs/command-line.md."""
    from hpconsole.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
