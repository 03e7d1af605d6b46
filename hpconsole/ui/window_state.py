"""Where the window was and how its tables looked, kept in `window.ini` of the configuration folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow, QSplitter, QTableView, QTreeView

from hpconsole.paths import config_folder
from hpconsole.ui.theme import ThemeChoice

_VERSION = 1  # of the set of docks and toolbars: an older layout is forgotten, not half applied


class WindowState:
    """Reads and writes the settings. A file that cannot be read counts as empty.

    Args:
        path: Where to keep them; tests give their own.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._settings = QSettings(str(path or config_folder() / "window.ini"), QSettings.Format.IniFormat)

    @property
    def theme(self) -> ThemeChoice:
        """What the user chose."""
        value = self._settings.value("theme")
        return next((choice for choice in ThemeChoice if choice.value == value), ThemeChoice.SYSTEM)

    @theme.setter
    def theme(self, choice: ThemeChoice) -> None:
        self._settings.setValue("theme", choice.value)

    def kept(self, name: str) -> str:
        """A text that a dialog kept under this name; empty where there is none."""
        value = self._settings.value(f"kept/{name}")
        return value if isinstance(value, str) else ""

    def keep(self, name: str, text: str) -> None:
        """Keep a text for the next run."""
        self._settings.setValue(f"kept/{name}", text)

    def restore_geometry(self, window: QMainWindow) -> None:
        """Put the window where it was, if that is known."""
        geometry = self._bytes("geometry")
        if geometry is not None:
            window.restoreGeometry(geometry)

    def restore_layout(self, window: QMainWindow) -> None:
        """Put its docks where they were, if that is known."""
        layout = self._bytes("layout")
        if layout is not None:
            window.restoreState(layout, _VERSION)

    def save_window(self, window: QMainWindow) -> None:
        """Remember where the window is."""
        self._settings.setValue("geometry", window.saveGeometry())
        self._settings.setValue("layout", window.saveState(_VERSION))

    def restore_splitter(self, splitter: QSplitter) -> bool:
        """Divide as before; returns whether anything was known."""
        state = self._bytes(f"splitter/{splitter.objectName()}")
        return state is not None and splitter.restoreState(state)

    def save_splitter(self, splitter: QSplitter) -> None:
        """Remember how it is divided."""
        self._settings.setValue(f"splitter/{splitter.objectName()}", splitter.saveState())

    def restore_columns(self, view: QTableView | QTreeView) -> None:
        """Column widths, order and sorting as before."""
        header = view.horizontalHeader() if isinstance(view, QTableView) else view.header()
        key = f"columns/{view.objectName()}"
        state = self._bytes(key)
        if state is not None and self._settings.value(f"{key}-count") == str(header.count()):
            header.restoreState(state)
            view.sortByColumn(header.sortIndicatorSection(), header.sortIndicatorOrder())
        else:
            from PySide6.QtCore import (
                Qt,
            )  # not at the top: it takes 50 ms, and this module is there before the first paint

            view.sortByColumn(0, Qt.SortOrder.AscendingOrder)

    def save_columns(self, view: QTableView | QTreeView) -> None:
        """Remember column widths, order and sorting."""
        header = view.horizontalHeader() if isinstance(view, QTableView) else view.header()
        key = f"columns/{view.objectName()}"
        self._settings.setValue(key, header.saveState())
        self._settings.setValue(f"{key}-count", str(header.count()))

    def flush(self) -> None:
        """Write now. A folder that cannot be written is no reason to trouble the user."""
        self._settings.sync()

    def _bytes(self, key: str) -> QByteArray | None:
        value = self._settings.value(key)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None
