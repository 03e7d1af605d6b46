"""The main job as a user does it: the real window over the real program over real hosts, by mouse and keys.

Whether it is true is asked of the hosts themselves (proof.py), never of hpconsole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QRadioButton, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.model.host import LinkState
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.migrate.dialog import MigrateDialog
from hpconsole.ui.tasks.task_book import Task, TaskState
from tests.benchmarks.lateness import LatenessMeter
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.proof import check_goes_on, check_is_on, check_is_pinned, memory_nodes, vcpu_pins
from tests.lab.real_window import WAIT_MS, real_window, states
from tests.ui.gestures import child, click, click_row, press

FROZEN_S = 12
OLDEST_S = 3.0
# Drawing the first curves on a busy machine; an idle one is measured by tests.benchmarks.window_lateness.
LONGEST_WORK_MS = 250.0
# A call to the frozen daemon made on the window's thread would take longer than this.
HUNG_MS = 2_000.0
CELL_OF_VCPU = {0: 0, 1: 0, 2: 1, 3: 1}

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def window(
    lab: Lab, qtbot: QtBot, qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    """The real window on the lab's three hosts, all of them answering."""
    with real_window(lab, qtbot, qapp, tmp_path, monkeypatch) as opened:
        yield opened


def _row_of(view: QTableView, column: int, text: str) -> int:
    model = view.model()
    return next(row for row in range(model.rowCount()) if model.index(row, column).data() == text)


def _select_vm(qtbot: QtBot, window: MainWindow, guest: Guest) -> None:
    """Click on the guest's row as soon as it is shown as running."""

    def is_shown() -> bool:
        rows = (window.vms.model.row_at(row).vm for row in range(window.vms.model.rowCount()))
        return any(vm.uuid == guest.uuid and vm.state.is_active for vm in rows)

    qtbot.waitUntil(is_shown, timeout=WAIT_MS)
    click_row(window.vms.view, _row_of(window.vms.view, 0, guest.name))
    assert [vm.uuid for vm in window.selection.vms] == [guest.uuid]


def _open_dialog(qtbot: QtBot, window: MainWindow) -> MigrateDialog:
    """Ctrl+M; the dialog once every host has its verdict."""
    press(window.vms.view, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    dialog = child(window.frame, MigrateDialog, "migrate_dialog")
    status = child(dialog, QLabel, "migrate_status")
    qtbot.waitUntil(lambda: "can take" in status.text(), timeout=WAIT_MS)
    return dialog


def _reasons(qtbot: QtBot, dialog: MigrateDialog, host: str) -> tuple[set[str], set[str]]:
    """Click on an unsuitable host: (what refuses it, lines with numbers) as the dialog shows them then."""
    view = child(dialog, QTableView, "migrate_hosts")
    click_row(view, _row_of(view, 1, host))
    qtbot.waitUntil(
        lambda: any(label.text().startswith(f"Not {host}, for ") for label in _labels(dialog, "refusal_heading"))
    )
    assert all(label.text().endswith(".") for label in _labels(dialog, "refusal_sentence"))
    return {label.text() for label in _labels(dialog, "refusal_unit")}, {
        label.text() for label in _labels(dialog, "shortage")
    }


def _labels(dialog: MigrateDialog, name: str) -> list[QLabel]:
    return [label for label in dialog.findChildren(QLabel, name) if label.isVisible()]


def _end_of_task(qtbot: QtBot, window: MainWindow, guest: Guest) -> Task:
    def tasks() -> list[Task]:
        return [t for t in window.docks.tasks.book.tasks if t.step.vm_uuid == guest.uuid and t.state.is_over]

    qtbot.waitUntil(lambda: bool(tasks()), timeout=90_000)
    return tasks()[0]


def _plain(lab: Lab) -> Guest:
    return lab.guest("a", "db-1", vcpus=4, cells=2, memory_mib=192, pin=True, dirty_mib=64, dirty_mib_s=20)


def _huge(lab: Lab) -> Guest:
    return lab.guest(
        "a", "db-2", vcpus=4, cells=2, memory_mib=192, pin=True, dirty_mib=64, dirty_mib_s=20, huge_pages=2048
    )


ONE_NODE = "needed 2, there 1, missing 1"
NO_PAGES = "needed 96, there 0, missing 96"


@pytest.mark.parametrize(
    ("make", "against_c", "number_of_c"),
    [(_plain, {"NUMA", "CPU pinning"}, ONE_NODE), (_huge, {"NUMA", "Huge pages"}, NO_PAGES)],
    ids=["one node", "one node and no huge pages"],
)
def test_the_main_job_by_mouse_and_keys(
    qtbot: QtBot, lab: Lab, window: MainWindow, make: Callable[[Lab], Guest], against_c: set[str], number_of_c: str
) -> None:
    guest = make(lab)
    before = vcpu_pins(lab, "a", guest, "--live")
    nodes_before = memory_nodes(lab, "a", guest, inactive=False)
    ticks = lab.heartbeat("a", guest)

    _select_vm(qtbot, window, guest)
    dialog = _open_dialog(qtbot, window)
    view = child(dialog, QTableView, "migrate_hosts")
    assert {view.model().index(row, 1).data() for row in range(view.model().rowCount())} == {"a", "b", "c"}
    assert _row_of(view, 1, "b") == 0, "the suitable host stands first"
    assert "reason" in view.model().index(_row_of(view, 1, "c"), 2).data()
    units, numbers = _reasons(qtbot, dialog, "c")
    assert against_c <= units
    assert any(text.endswith(number_of_c) for text in numbers), numbers
    automatic = child(dialog, QRadioButton, "choose_automatically")
    assert automatic.isChecked(), "it is what is offered first"
    click(automatic)
    accept = child(dialog, QPushButton, "migrate_accept")
    qtbot.waitUntil(lambda: accept.text() == f"Migrate {guest.name} to b" and accept.isEnabled(), timeout=WAIT_MS)
    press(automatic, Qt.Key.Key_Return)

    task = _end_of_task(qtbot, window, guest)
    assert task.state is TaskState.DONE, (task.sentence, task.detail)
    check_is_on(lab, "b", guest, not_on="a")
    check_is_pinned(lab, "b", guest, cells=CELL_OF_VCPU)
    check_goes_on(lab, "b", guest, since=ticks)
    now = vcpu_pins(lab, "b", guest, "--live"), memory_nodes(lab, "b", guest, inactive=False)
    assert now != (before, nodes_before), "b has other CPU numbers"
    planned = {vcpu: cpus.format() for vcpu, cpus in task.step.placement.pinning.vcpus}
    assert now[0] == planned, "the map the dialog showed is the one that came true"
    qtbot.waitUntil(lambda: [vm.host for vm in window.selection.vms] == ["b"], timeout=WAIT_MS)


class _Ages:
    """The oldest that the data of some hosts ever was, looked at on a timer of the window's thread."""

    def __init__(self, window: MainWindow, app_names: str) -> None:
        self.oldest_s = dict.fromkeys(app_names, 0.0)
        self._window = window
        self._timer = QTimer(window)
        self._timer.timeout.connect(self._look)
        self._timer.start(50)

    def _look(self) -> None:
        now = datetime.now(UTC)
        for name, oldest_s in self.oldest_s.items():
            answered_at = self._window._console.store.snapshot.hosts[name].link.answered_at
            assert answered_at is not None
            self.oldest_s[name] = max(oldest_s, (now - answered_at).total_seconds())

    def stop(self) -> None:
        self._timer.stop()


def test_a_frozen_host_delays_neither_the_others_nor_the_window(qtbot: QtBot, lab: Lab, window: MainWindow) -> None:
    for host in "ab":
        lab.guest(host, f"on-{host}", dirty_mib=0)
    lab.guest("c", "on-c", dirty_mib=0)
    qtbot.waitUntil(lambda: window.vms.model.rowCount() == 3, timeout=WAIT_MS)
    window.docks.show_load()  # curves are drawn meanwhile
    qtbot.wait(500)

    lab.fault.freeze_daemon("c")
    ages, meter = _Ages(window, "ab"), LatenessMeter()
    meter.start()
    qtbot.wait(FROZEN_S * 1000)
    lateness = meter.stop()
    ages.stop()

    assert all(age < OLDEST_S for age in ages.oldest_s.values()), ages.oldest_s
    assert len(lateness.measurements) > 1000
    assert lateness.longest_work_ms() <= LONGEST_WORK_MS, lateness.worst()
    assert lateness.percentile(1, own=True) <= HUNG_MS, lateness.worst()
    assert states(window) == {"a": LinkState.CONNECTED, "b": LinkState.CONNECTED, "c": LinkState.UNRESPONSIVE}
    row = next(row for row in range(3) if window.hosts.model.key_at(row) == "c")
    assert window.hosts.model.index(row, 1).data() == "Not responding"
    assert {window.vms.model.row_at(row).vm.name for row in range(3)} == {"on-a", "on-b", "on-c"}, "the last known"

    lab.fault.thaw_daemon("c")
    qtbot.waitUntil(lambda: states(window)["c"] is LinkState.CONNECTED, timeout=WAIT_MS)
