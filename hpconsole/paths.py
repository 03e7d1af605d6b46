"""Where things are: our resources (source tree and frozen program) and the user's folders. Creates nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs

_NAME = "hpconsole"


def resource(name: str) -> Path:
    """A file under `resources/`, in a source tree, an installed package, or a frozen program (sys._MEIPASS)."""
    frozen = getattr(sys, "_MEIPASS", None)
    root = Path(frozen) if frozen else Path(__file__).resolve().parent.parent
    return root / "resources" / name


def data_folder() -> Path:
    """Where the database lives."""
    return platformdirs.user_data_path(_NAME, appauthor=False)


def config_folder() -> Path:
    """Where settings live."""
    return platformdirs.user_config_path(_NAME, appauthor=False)


def log_folder() -> Path:
    """Where the log file lives."""
    return platformdirs.user_log_path(_NAME, appauthor=False)
