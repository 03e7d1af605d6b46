"""PySide6 6.12.0 on Python 3.11 loses a reference to None or True at every call and aborts after some thousands."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QObject, Signal

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="None and True are immortal from Python 3.12 on")


class _Sender(QObject):
    told = Signal(int)


def test_void_methods_keep_none_alive() -> None:
    receiver = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        receiver.setObjectName("x")
    assert abs(sys.getrefcount(None) - before) < 10


def test_emitting_keeps_true_alive() -> None:
    sender = _Sender()
    sender.told.connect(lambda _: None)
    before = sys.getrefcount(True)
    for number in range(1000):
        sender.told.emit(number)
    assert abs(sys.getrefcount(True) - before) < 10
