"""A qtbot that waits for as long as a loaded machine needs: what is waited for comes, or the test's own time is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

_PATIENT_MS = 60_000  # pytest-qt waits for 5 s, which two cores with five streams of tests do exceed


class PatientBot(QtBot):
    """pytest-qt's, with more time where a test names none."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = _PATIENT_MS) -> None:
        """As pytest-qt's."""
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal: Any, *, timeout: int = _PATIENT_MS, **options: Any) -> Any:
        """As pytest-qt's."""
        return super().waitSignal(signal, timeout=timeout, **options)

    def waitExposed(self, widget: QWidget, *, timeout: int = _PATIENT_MS) -> Any:
        """As pytest-qt's."""
        return super().waitExposed(widget, timeout=timeout)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """In place of pytest-qt's own."""
    return PatientBot(request)
