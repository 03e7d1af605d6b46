"""High Availability by mouse and keys, on the simulated cluster and with fence agents that are real programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTableView,
    QTabWidget,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from hpconsole.core.availability.availability import Availability
from hpconsole.core.availability.settings import AvailabilitySettings, Evacuation
from hpconsole.core.balancing.watch import Pace
from hpconsole.core.memory_documents import MemoryDocuments
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.vm import VmIntent
from hpconsole.ui.availability.confirm import ConfirmDialog
from hpconsole.ui.availability.dialog import AvailabilityDialog
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.text_label import TextLabel
from tests.builders import a_snapshot, a_vm
from tests.core.availability.fence_agent import SOUND, install
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press, set_number, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop

PASSWORD = "open sesame"
KNOWS_ITS_DEVICE = """
if given.get("ip") != "bmc-1":
    sys.exit("Failed: Unable to connect")
"""


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one agent, and a file with its password."""
    monkeypatch.setenv("HPCONSOLE_FENCE_AGENTS", str(tmp_path))
    install(tmp_path, PASSWORD, KNOWS_ITS_DEVICE + SOUND)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{PASSWORD}\n")
    return tmp_path


@pytest.fixture
def demo(qtbot: QtBot, agents: Path) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


def opened(demo: Shop, host: str) -> AvailabilityDialog:
    """The dialog at this host, with its first proof."""
    app = demo.app
    dialog = AvailabilityDialog(
        app.availability,
        lambda: app.store.snapshot,
        LIGHT,
        policy=lambda: app.policy,
        reservations=app.reservations,
        host=host,
    )
    demo.qtbot.addWidget(dialog)
    dialog.show()
    demo.qtbot.waitExposed(dialog)
    demo.qtbot.waitUntil(lambda: dialog._selection.keys == (host,), timeout=WAIT_MS)
    return dialog


def button(dialog: AvailabilityDialog, name: str) -> QPushButton:
    return child(dialog, QPushButton, name)


def lines(dialog: AvailabilityDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(TextLabel, "ha_line"))


def describe(dialog: AvailabilityDialog, agents: Path) -> None:
    """Type a fence device."""
    pages = child(dialog, QTabWidget, "ha_pages")
    pages.setCurrentIndex(1)
    agent = child(dialog, QComboBox, "fence_agent").lineEdit()
    assert agent is not None
    agent.setFocus()
    type_text(agent, "fence_test")
    type_text(child(dialog, QLineEdit, "fence_address"), "bmc-1")
    source = child(dialog, QComboBox, "fence_password_from")
    source.setFocus()
    press(source, Qt.Key.Key_Home)
    press(source, Qt.Key.Key_Down)
    type_text(child(dialog, QLineEdit, "fence_password_at"), str(agents / "secret"))


def confirmed(demo: Shop, dialog: AvailabilityDialog, *, by: str) -> ConfirmDialog:
    """Open the question."""
    click(button(dialog, by))
    demo.qtbot.waitUntil(lambda: bool(dialog.findChildren(ConfirmDialog)), timeout=WAIT_MS)
    return dialog.findChildren(ConfirmDialog)[-1]


def test_each_host_tells_what_its_loss_would_mean(demo: Shop) -> None:
    home = demo.vm("db-pg-01").host or ""
    dialog = opened(demo, home)
    proof = demo.app.availability.proof(demo.app.policy).of(home)
    assert proof is not None
    told = lines(dialog)
    assert f"If {home} failed now:" in told
    for _, name, host in proof.restarts:
        assert f"{name} starts on {host}." in told
    for one in proof.unprotected:
        assert f"{one.vm_name}: for want of {one.resource}" in told
    assert "has no fence device" in told
    for name in demo.app.store.snapshot.hosts:
        assert f"{name}: {name} " not in told, "the name of a host once is enough"
    why = child(dialog, TextLabel, "ha_why_greyed")
    assert why.isVisible()
    assert why.text().splitlines() == [
        f"Fence: {home} has no fence device: describe one on the Fence Device page.",
        f"Confirm Host Is Off: {home} answers, so it is not off.",
    ]
    for name, said in zip(("fence", "confirm"), why.text().splitlines(), strict=True):
        assert not button(dialog, f"ha_{name}").isEnabled()
        assert button(dialog, f"ha_{name}").toolTip() == said.partition(": ")[2]
    other = next(host for host in demo.app.store.snapshot.hosts if host != home)
    row = dialog._model.position_of(other)
    assert row is not None
    click_row(child(dialog, QTableView, "ha_table"), row)
    assert "no highly available VM" in lines(dialog)


def test_the_proof_follows_the_cluster(demo: Shop) -> None:
    home = demo.vm("db-pg-01").host or ""
    dialog = opened(demo, home)
    for host in demo.app.store.snapshot.hosts:
        if host != home:
            demo.cluster.crash(host)
    demo.qtbot.waitUntil(
        lambda: sum(host.link.state is LinkState.CONNECTED for host in demo.app.store.snapshot.hosts.values()) == 1,
        timeout=WAIT_MS,
    )
    dialog.refresh()
    demo.qtbot.waitUntil(lambda: "db-pg-01 would not come back" in lines(dialog), timeout=WAIT_MS)
    assert "would not come back" in child(dialog, TextLabel, "ha_summary").text()
    row = dialog._model.position_of(home)
    assert row is not None
    assert "lost: 1 of 1, for want of" in dialog._model.row_at(row).loss[0]


def test_a_fence_device_is_described_tested_and_forgotten_and_its_password_is_never_kept(
    demo: Shop, agents: Path
) -> None:
    dialog = opened(demo, "host-01")
    describe(dialog, agents)
    rest = child(dialog, QPlainTextEdit, "fence_rest")
    type_text(rest, "password=open sesame")
    problem = child(dialog, TextLabel, "fence_problem")
    assert "secret and is not kept" in problem.text()
    assert not button(dialog, "fence_save").isEnabled()
    rest.clear()
    type_text(rest, "plug=7")
    assert button(dialog, "fence_test").toolTip() == "Save the device first."
    click(button(dialog, "fence_save"))
    demo.qtbot.waitUntil(lambda: "says that host-01 is on" in problem.text(), timeout=WAIT_MS)
    kept = demo.app.availability.fence_devices()["host-01"]
    assert (kept.agent, dict(kept.parameters)) == ("fence_test", {"ip": "bmc-1", "plug": "7"})
    documents = demo.app.availability.documents.all("fence_device")
    assert "sesame" not in repr(documents)

    (agents / "secret").write_text("wrong\n")
    demo.qtbot.waitUntil(button(dialog, "fence_test").isEnabled, timeout=WAIT_MS)
    click(button(dialog, "fence_test"))
    demo.qtbot.waitUntil(lambda: "cannot tell" in problem.text(), timeout=WAIT_MS)
    assert "wrong is" not in problem.text(), "no agent repeats a password into the window"
    click(button(dialog, "fence_forget"))
    demo.qtbot.waitUntil(lambda: not demo.app.availability.fence_devices(), timeout=WAIT_MS)


def test_fencing_says_what_follows_and_waits_for_the_tick(demo: Shop, agents: Path) -> None:
    home = demo.vm("db-pg-01").host or ""
    dialog = opened(demo, home)
    assert not button(dialog, "ha_fence").isEnabled()
    assert "no fence device" in button(dialog, "ha_fence").toolTip()
    describe(dialog, agents)
    click(button(dialog, "fence_save"))
    demo.qtbot.waitUntil(button(dialog, "ha_fence").isEnabled, timeout=WAIT_MS)
    question = confirmed(demo, dialog, by="ha_fence")
    told = " ".join(label.text() for label in question.findChildren(TextLabel))
    assert f"{home} answers" in told
    assert "what was not written to disk is lost" in told
    assert "db-pg-01" in told
    yes = child(question, QPushButton, "confirm_yes")
    assert not yes.isEnabled()
    press(question, Qt.Key.Key_Return)
    demo.qtbot.waitUntil(lambda: not dialog.findChildren(ConfirmDialog), timeout=WAIT_MS)
    assert (agents / "power").read_text() == "ON", "Enter means no"

    question = confirmed(demo, dialog, by="ha_fence")
    click(child(question, QCheckBox, "confirm_tick"))
    click(child(question, QPushButton, "confirm_yes"))
    demo.qtbot.waitUntil(
        lambda: "switched" in child(dialog, TextLabel, "ha_remark").text() and (agents / "power").read_text() == "OFF",
        timeout=WAIT_MS,
    )


def test_who_confirms_that_a_host_is_off_gets_its_vms_back_once(demo: Shop) -> None:
    home = demo.vm("db-pg-01").host or ""
    watch = demo.app.start_watching(pace=Pace(round_s=3600, look_s=0.1), life_s=1.0)
    demo.qtbot.waitUntil(lambda: watch.leadership.is_mine, timeout=WAIT_MS)
    documents = demo.app.availability.documents
    demo.qtbot.waitUntil(lambda: demo.vm("db-pg-01").uuid in documents.all("ha_definition"), timeout=WAIT_MS)
    dialog = opened(demo, home)
    assert not button(dialog, "ha_confirm").isEnabled()
    assert "answers" in button(dialog, "ha_confirm").toolTip()

    demo.cluster.crash(home)
    demo.qtbot.waitUntil(
        lambda: demo.app.store.snapshot.hosts[home].link.state is LinkState.DISCONNECTED, timeout=WAIT_MS
    )
    dialog.refresh()
    demo.qtbot.waitUntil(button(dialog, "ha_confirm").isEnabled, timeout=WAIT_MS)
    question = confirmed(demo, dialog, by="ha_confirm")
    assert "run twice and damage their disks" in " ".join(label.text() for label in question.findChildren(TextLabel))
    assert not demo.app.availability.off()
    click(child(question, QCheckBox, "confirm_tick"))
    click(child(question, QPushButton, "confirm_yes"))
    demo.qtbot.waitUntil(lambda: home in demo.app.availability.off(), timeout=WAIT_MS)
    demo.qtbot.waitUntil(
        lambda: demo.vm("db-pg-01").host not in (home, None) and demo.vm("db-pg-01").state.is_active, timeout=WAIT_MS
    )
    dialog.refresh()
    demo.qtbot.waitUntil(lambda: "already" in button(dialog, "ha_confirm").toolTip(), timeout=WAIT_MS)


def test_settings_are_edited_warned_about_and_kept(demo: Shop) -> None:
    dialog = opened(demo, "host-01")
    child(dialog, QTabWidget, "ha_tabs").setCurrentIndex(1)
    save = button(dialog, "ha_settings_save")
    assert save.toolTip() == "Nothing was changed."
    evacuation = child(dialog, QComboBox, "ha_evacuation")
    evacuation.setFocus()
    press(evacuation, Qt.Key.Key_End)
    type_text(child(dialog, QLineEdit, "ha_pools"), "nowhere")
    assert "every host would be non-operational" in child(dialog, TextLabel, "ha_settings_remark").text()
    child(dialog, QLineEdit, "ha_pools").clear()
    press(child(dialog, QLineEdit, "ha_pools"), Qt.Key.Key_Space)
    silence = child(dialog, QSpinBox, "ha_silence")
    set_number(silence, 30)
    press(silence, Qt.Key.Key_Tab)
    fences = child(dialog, QCheckBox, "ha_fences")
    click(fences, QPoint(8, fences.height() // 2))
    assert not silence.isEnabled()
    click(save)
    wanted = AvailabilitySettings(evacuation=Evacuation.NONE, not_responding_after_s=30.0, fences_automatically=False)
    demo.qtbot.waitUntil(lambda: demo.app.availability.settings() == wanted, timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: not save.isEnabled(), timeout=WAIT_MS)


def test_the_window_keeps_the_proof_up_to_date_and_opens_it(
    qtbot: QtBot, window: MainWindow, console: FakeConsole
) -> None:
    vms = [a_vm("bank", intent=VmIntent(high_availability=True), memory_mib=4096), a_vm("toy")]
    console.availability = Availability(MemoryDocuments(), lambda: console.store.snapshot)
    console.start()
    indicator = child(window.frame, QToolButton, "ha_indicator")
    assert not indicator.isVisible()
    window.availability.watch._next.start(0)
    console.store.publish(a_snapshot(2, vms))
    qtbot.waitUntil(indicator.isVisible, timeout=WAIT_MS)
    assert indicator.text() == "HA: every host may fail"
    console.store.publish(a_snapshot(1, vms, serial=2))
    qtbot.waitUntil(lambda: indicator.text() == "HA: 1 VM unprotected", timeout=WAIT_MS)
    click(indicator)
    qtbot.waitUntil(lambda: bool(window.frame.findChildren(AvailabilityDialog)), timeout=WAIT_MS)
    dialog = window.frame.findChildren(AvailabilityDialog)[0]
    qtbot.waitUntil(lambda: "bank" in lines(dialog), timeout=WAIT_MS)
    assert "bank would not come back" in child(dialog, TextLabel, "ha_summary").text()
    press(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.frame.findChildren(AvailabilityDialog), timeout=WAIT_MS)
    window.frame.activateWindow()
    qtbot.waitUntil(window.frame.isActiveWindow, timeout=WAIT_MS)
    press(window.frame, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: bool(window.frame.findChildren(AvailabilityDialog)), timeout=WAIT_MS)
    press(window.frame.findChildren(AvailabilityDialog)[0], Qt.Key.Key_Escape)
    console.store.publish(a_snapshot(2, [a_vm("toy")], serial=3))
    window.availability.watch._next.start(0)
    qtbot.waitUntil(lambda: not indicator.isVisible(), timeout=WAIT_MS)


def test_only_programs_are_offered_as_agents(agents: Path) -> None:
    from hpconsole.core.availability.fencing import installed_agents

    (agents / "fence_notes").write_text("not a program")
    assert installed_agents(os.environ) == ("fence_test",)
