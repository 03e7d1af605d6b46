"""Loads PySide6 so that what is imported afterwards is not read twice."""

from __future__ import annotations

import builtins


def load_pyside() -> None:
    """Import PySide6, and take its `from __feature__ import ...` out of Python's `import` again.

    PySide6 looks into every module that is imported from then on, for whether it names PySide6: `inspect.getsource`
    reads and keeps its whole source (`shibokensupport/feature.py: _mod_uses_pyside`), 67,000 lines or 6 MB here. Nobody
    here uses those features; PySide6 keeps the `import` it replaced (its own lazy classes included) in `builtins`.
    """
    import PySide6.QtCore  # noqa: F401 - loading it is what puts the look into `import`

    builtins.__import__ = getattr(builtins, "__orig_import__", builtins.__import__)
