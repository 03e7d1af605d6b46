"""`python -m tests.conformance FILE.json ...`: how far the scheduler agrees with published cases."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.runner import load, run


def main(arguments: list[str]) -> int:
    """Run each file; exit code 1 if any case failed, 2 if a file cannot be read."""
    paths = [Path(argument) for argument in arguments] or [Path(__file__).with_name("vectors.json")]
    failed = False
    for path in paths:
        try:
            cases = load(path)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{path}: {error}\n")
            return 2
        report = run(cases)
        sys.stdout.write("\n".join(report.lines()) + "\n")
        failed = failed or bool(report.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
