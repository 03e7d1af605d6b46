"""A fence agent for lab hosts, as Debian's fence-agents are: `key=value` lines on standard input, an exit code.

Parameters: `lab` (its folder), `plug` (the host), `gate` (a file: as long as it is missing, the agent cannot reach the
host's power switch), `password`. Action off takes the host's power (all its processes end at once).
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lab.lab import Lab

PASSWORD = "open sesame"
NAME = "fence_lab"
_WRAPPER = """\
#!/bin/sh
cd {root} && exec {python} -m tests.lab.fence_agent
"""


def install(folder: Path) -> Path:
    """Write the agent as a program named fence_lab into a folder; the folder."""
    program = folder / NAME
    root = Path(__file__).resolve().parents[2]
    program.write_text(_WRAPPER.format(root=root, python=sys.executable))
    program.chmod(0o755)
    return folder


def main() -> int:
    """Do what standard input says; the exit code as fence-agents have it."""
    given = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    if given.get("password") != PASSWORD:
        sys.stderr.write(f"Failed: password {given.get('password')} is wrong\n")
        return 1
    if not Path(given["gate"]).exists():
        sys.stderr.write("Failed: Unable to connect/login to fencing device\n")
        return 1
    host = Lab.attach(Path(given["lab"])).host(given["plug"])
    if given["action"] == "off":
        if host.is_up:
            host.crash()
        return 0
    sys.stdout.write(f"Status: {'ON' if host.is_up else 'OFF'}\n")
    return 0 if host.is_up else 2


if __name__ == "__main__":
    sys.exit(main())
