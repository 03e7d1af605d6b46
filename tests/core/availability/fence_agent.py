"""A fence agent that is a real program: `power` in its folder is the host's power, `seen` what it was told and how."""

from __future__ import annotations

import sys
from pathlib import Path

NAME = "fence_test"
SOUND = """
power = folder / "power"
if given["action"] == "off":
    power.write_text("OFF")
    sys.exit(0)
print("Status: " + power.read_text())
sys.exit(2 if power.read_text() == "OFF" else 0)
"""
_PROGRAM = """#!{python}
import os, pathlib, sys, time
given = dict(line.rstrip("\\n").split("=", 1) for line in sys.stdin)
folder = pathlib.Path({folder!r})
(folder / "seen").write_text(repr((given, sys.argv, "SECRET_OF_TEST" in os.environ)))
if given.get("password") != {password!r}:
    sys.exit(f"Failed: password {{given.get('password')}} is wrong")
{body}
"""


def install(folder: Path, password: str, body: str = SOUND) -> None:
    """Write the agent as a program into the folder, in place of one that is there. The power is on."""
    (folder / "power").write_text("ON")
    program = folder / NAME
    program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder), password=password, body=body))
    program.chmod(0o755)
