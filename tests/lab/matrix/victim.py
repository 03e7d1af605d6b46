"""A console that will be killed: plans the migration of one VM, says so, and submits it when told."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from pathlib import Path

from hpconsole.core.planning.migration_options import MigrationOptions
from tests.lab.matrix.console import Console


def main() -> None:
    """Arguments: one JSON document with `uris`, `data`, `uuid`, `to`, `post_copy`."""
    asked = json.loads(sys.argv[1])
    console = Console(asked["uris"], Path(asked["data"]))
    plan = console.plan(asked["uuid"], asked["to"])
    if asked["post_copy"]:
        options = MigrationOptions(post_copy=True)
        plan = dataclasses.replace(plan, steps=tuple(dataclasses.replace(step, options=options) for step in plan.steps))
    sys.stdout.write("planned\n")
    sys.stdout.flush()
    sys.stdin.readline()
    console.app.submit(plan)
    threading.Event().wait()


if __name__ == "__main__":
    main()
