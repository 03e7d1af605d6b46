"""Add Host: judged while typing, by the same rules as everywhere."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.ui.main_window.add_host_dialog import AddHostDialog, judge
from hpconsole.ui.tone import Tone
from tests.ui.gestures import child, click, press, type_text


@pytest.mark.parametrize(
    ("uri", "name", "tone", "is_complete"),
    [
        ("", "", Tone.MUTED, False),
        ("qemu+ssh://root@host-1/system", "", Tone.GOOD, True),
        ("qemu+tcp://host-1/system", "", Tone.WARNING, True),
        ("qemu+ssh://host-1/system?command=/bin/sh", "", Tone.BAD, False),
        ("kvm1", "", Tone.WARNING, False),
        ("not a host", "", Tone.BAD, False),
        ("qemu+ssh://taken/system", "", Tone.BAD, False),
        ("qemu+ssh://taken/system", "other", Tone.GOOD, True),
    ],
)
def test_judging(uri: str, name: str, tone: Tone, is_complete: bool) -> None:
    entry = judge(uri, name, {"taken"})
    assert (entry.tone, entry.is_complete) == (tone, is_complete)
    assert entry.remark


def test_a_host_is_added_by_keyboard(qtbot: QtBot) -> None:
    dialog = AddHostDialog(["taken"])
    qtbot.addWidget(dialog)
    dialog.show()
    button = child(dialog, QPushButton, "host_accept")
    assert not button.isEnabled()
    uri, name = child(dialog, QLineEdit, "host_uri"), child(dialog, QLineEdit, "host_name")
    type_text(uri, "qemu+tcp://host-9/system")
    assert "neither encrypted" in child(dialog, QLabel, "host_remark").text()
    assert name.placeholderText() == "host-9"
    type_text(name, "taken")
    assert not button.isEnabled()
    name.clear()
    type_text(name, "nine")
    with qtbot.waitSignal(dialog.host_accepted) as signal:
        press(name, Qt.Key.Key_Return)
    assert signal.args == ["nine", "qemu+tcp://host-9/system"]
    assert not dialog.isVisible()


def test_a_bare_name_is_offered_as_a_connection(qtbot: QtBot) -> None:
    dialog = AddHostDialog([])
    qtbot.addWidget(dialog)
    dialog.show()
    uri, offer = child(dialog, QLineEdit, "host_uri"), child(dialog, QPushButton, "host_offer")
    assert not offer.isVisible()
    type_text(uri, "kvm1")
    assert offer.text() == "&Use qemu+ssh://root@kvm1/system"
    click(offer)
    assert uri.text() == "qemu+ssh://root@kvm1/system"
    assert not offer.isVisible()
    with qtbot.waitSignal(dialog.host_accepted) as signal:
        press(uri, Qt.Key.Key_Return)
    assert signal.args == ["kvm1", "qemu+ssh://root@kvm1/system"]


def test_a_long_warning_can_be_read_to_its_end(qtbot: QtBot) -> None:
    dialog = AddHostDialog([])
    qtbot.addWidget(dialog)
    dialog.show()
    child(dialog, QLineEdit, "host_uri").setText("qemu+tcp://a-host-with-a-long-name.in.some.rack.example.org/system")
    remark = child(dialog, QLabel, "host_remark")
    qtbot.waitUntil(lambda: remark.height() >= remark.heightForWidth(remark.width()))


def test_enter_adds_nothing_incomplete(qtbot: QtBot) -> None:
    dialog = AddHostDialog([])
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.accept()
    assert dialog.isVisible()
