"""Maintenance host(s) by mouse and keys, on the simulated cluster: the app is asked what became of hosts and VMs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import DrainAction, DrainIntent, DrainItem
from hpconsole.core.scheduler.performance import Forecast, Outlook
from hpconsole.ui import format as fmt
from hpconsole.ui.maintenance import presenter
from hpconsole.ui.maintenance.dialog import MaintenanceDialog
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, click_row, press, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


def opened(demo: Shop, host: str) -> MaintenanceDialog:
    """The dialog with its first plan."""
    app = demo.app

    def destinations() -> tuple[str, ...]:
        return tuple(app.store.snapshot.hosts)

    dialog = MaintenanceDialog((host,), app.maintenance, app.store, LIGHT, destinations=destinations)
    demo.qtbot.addWidget(dialog)
    dialog.show()
    demo.qtbot.waitExposed(dialog)
    settle(demo, dialog)
    return dialog


def settle(demo: Shop, dialog: MaintenanceDialog) -> None:
    """Wait for the plan of what is decided."""
    demo.qtbot.waitUntil(lambda: dialog._plan is not None and dialog._plan.intent == dialog._intent, timeout=WAIT_MS)


def item_of(dialog: MaintenanceDialog, name: str) -> DrainItem:
    assert dialog._plan is not None
    return next(item for item in dialog._plan.items if item.vm_name == name)


def select(dialog: MaintenanceDialog, name: str) -> None:
    """Click on the VM's row."""
    model = dialog._model
    row = next(row for row in range(model.rowCount()) if model.row_at(row).item.vm_name == name)
    click_row(child(dialog, QTableView, "maintenance_table"), row)


def choose(demo: Shop, dialog: MaintenanceDialog, name: str) -> None:
    """Press one of the selected VM's buttons, as soon as it is laid out."""
    demo.qtbot.waitUntil(lambda: child(dialog, QPushButton, f"maintenance_choice_{name}").isVisible(), timeout=WAIT_MS)
    click(child(dialog, QPushButton, f"maintenance_choice_{name}"))


def host_of(demo: Shop, name: str) -> str | None:
    return demo.vm(name).host


@pytest.mark.slow
def test_the_warning_names_pinned_vms_and_running_the_plan_empties_the_host(demo: Shop) -> None:
    host = host_of(demo, "trade-engine-1")
    assert host is not None
    there = [vm.name for vm in demo.app.store.snapshot.vms_on(host)]
    dialog = opened(demo, host)
    warning = child(dialog, TextLabel, "maintenance_warning")
    assert warning.isVisible()
    assert "trade-engine-1" in warning.text()
    assert "performance may drop" in warning.text()
    assert host in child(dialog, TextLabel, "maintenance_question").text()
    assert item_of(dialog, "trade-engine-1").destination != host
    type_text(child(dialog, QLineEdit, "maintenance_reason"), "new memory")
    run = child(dialog, QPushButton, "maintenance_run")
    with demo.qtbot.waitSignal(dialog.began, timeout=WAIT_MS):
        click(run)
    demo.qtbot.waitUntil(lambda: demo.app.statuses.of(host).status is HostStatus.MAINTENANCE, timeout=3 * WAIT_MS)
    assert demo.app.statuses.of(host).reason == "new memory"
    demo.qtbot.waitUntil(lambda: all(host_of(demo, name) != host for name in there), timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: "have left" in dialog._consequence.text() or "has left" in dialog._consequence.text())
    demo.app.maintenance.activate(host)
    assert demo.app.statuses.of(host).status is HostStatus.UP


def test_the_warning_says_where_each_vm_is_and_which_only_make_room(demo: Shop) -> None:
    plan = demo.app.maintenance.plan(DrainIntent(("host-01", "host-02")))
    one, two = (warned for warned in plan.warnings if warned.vm_name in ("db-pg-01", "trade-engine-1"))
    aside = replace(one, vm_name="reports-1", host="host-07")
    leaving = f"{one.vm_name} ({one.host}), {two.vm_name} ({two.host})"
    assert f"afterwards: {leaving}; to make room, reports-1 (host-07)." in presenter.warning(
        replace(plan, warnings=(one, two, aside))
    )
    assert f"afterwards: {leaving}." in presenter.warning(replace(plan, warnings=(one, two)))
    alone = presenter.warning(replace(plan, warnings=(aside,)))
    assert alone.startswith(
        "A high-performance or pinned VM will be migrated, and performance may drop afterwards: to "
    )


def test_the_warning_counts_as_slower_only_vms_that_are_pinned_or_high_performance(demo: Shop) -> None:
    host = host_of(demo, "trade-engine-1")
    assert host is not None
    plan = opened(demo, host)._plan
    assert plan is not None
    slower = Forecast(Outlook.SLOWER)
    plain, *rest = (replace(item, performance=slower) for item in plan.moves)
    worst = replace(plan, items=(replace(plain, is_special=False), *(replace(item, is_special=True) for item in rest)))
    told = presenter.warning(worst).split("Likely slower: ")[1]
    assert rest
    assert told == f"{fmt.names(tuple(item.vm_name for item in rest))}."


def test_the_half_ticked_box_says_in_words_what_counts(demo: Shop) -> None:
    host = host_of(demo, "web-01")
    assert host is not None
    dialog = opened(demo, host)
    state = child(dialog, TextLabel, "maintenance_ignore_state")
    assert state.text() == "as the cluster's setting says: yes"
    assert presenter.affinity_state(None, cluster_says=False) == "as the cluster's setting says: no"
    box = child(dialog, QCheckBox, "maintenance_ignore_affinity")
    click(box)
    assert (box.checkState(), state.text()) == (Qt.CheckState.Checked, "yes, in this maintenance")
    click(box)
    assert (box.checkState(), state.text()) == (Qt.CheckState.Unchecked, "no, not in this maintenance")


def test_a_plan_is_edited_by_hand(demo: Shop) -> None:
    host = host_of(demo, "web-01")
    assert host is not None
    dialog = opened(demo, host)
    planned = item_of(dialog, "web-01").destination
    select(dialog, "web-01")
    box = child(dialog, QComboBox, "maintenance_destination")
    other = next(box.itemData(place) for place in range(box.count()) if box.itemData(place) not in ("", planned, host))
    box.setFocus()
    place = box.findData(other)
    press(box, Qt.Key.Key_Home)
    for _ in range(place):
        press(box, Qt.Key.Key_Down)
    settle(demo, dialog)
    chosen = item_of(dialog, "web-01")
    assert dialog._intent.destination_of(chosen.vm_uuid) == other
    if chosen.action is DrainAction.MOVE:
        assert (chosen.destination, chosen.is_destination_chosen) == (other, True)

    choose(demo, dialog, "leave")
    settle(demo, dialog)
    assert item_of(dialog, "web-01").action is DrainAction.LEAVE
    assert "preparing for maintenance" in child(dialog, TextLabel, "maintenance_consequence").text()
    choose(demo, dialog, "plan")
    settle(demo, dialog)
    assert item_of(dialog, "web-01").destination == planned


def test_those_that_are_left_keep_the_host_preparing_until_it_is_decided(demo: Shop) -> None:
    host = host_of(demo, "web-01")
    assert host is not None
    dialog = opened(demo, host)
    for vm in demo.app.store.snapshot.vms_on(host):
        select(dialog, vm.name)
        choose(demo, dialog, "leave")
        settle(demo, dialog)
    with demo.qtbot.waitSignal(dialog.began, timeout=WAIT_MS):
        click(child(dialog, QPushButton, "maintenance_run"))
    resume = child(dialog, QPushButton, "maintenance_resume")
    demo.qtbot.waitUntil(resume.isVisible, timeout=WAIT_MS)
    assert demo.app.statuses.of(host).status is HostStatus.PREPARING_FOR_MAINTENANCE
    assert host_of(demo, "web-01") == host
    select(dialog, "web-01")
    choose(demo, dialog, "plan")
    settle(demo, dialog)
    click(resume)
    demo.qtbot.waitUntil(lambda: host_of(demo, "web-01") != host, timeout=2 * WAIT_MS)
    assert demo.app.statuses.of(host).status is HostStatus.PREPARING_FOR_MAINTENANCE, "others are left there"


def test_the_plan_is_saved_as_text_and_as_json(demo: Shop, tmp_path: Path) -> None:
    host = host_of(demo, "web-01")
    assert host is not None
    dialog = opened(demo, host)
    assert dialog._plan is not None
    for name in ("plan.txt", "plan.json"):
        dialog.export_to(tmp_path / name, dialog._plan)
        demo.qtbot.waitUntil((tmp_path / name).exists, timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: "web-01" in (tmp_path / "plan.json").read_text(), timeout=WAIT_MS)
    assert "web-01" in (tmp_path / "plan.txt").read_text()


def test_the_order_is_changed_by_hand(demo: Shop) -> None:
    host = host_of(demo, "trade-engine-1")
    assert host is not None
    dialog = opened(demo, host)
    assert dialog._plan is not None
    before = [item.vm_name for item in dialog._plan.moves]
    assert len(before) > 1
    select(dialog, before[0])
    click(child(dialog, QPushButton, "maintenance_later"))
    settle(demo, dialog)
    assert [item.vm_name for item in dialog._plan.moves][:2] == [before[1], before[0]]
    click(child(dialog, QPushButton, "maintenance_earlier"))
    settle(demo, dialog)
    assert [item.vm_name for item in dialog._plan.moves] == before


def refuses_somebody(demo: Shop, host: str, kept: str, others: list[str]) -> bool:
    """Leave only this other host up; whether it does not take all of the host's VMs."""
    for name in others:
        demo.app.set_host_status(name, HostStatus.UP if name == kept else HostStatus.MAINTENANCE)

    def is_seen() -> bool:
        hosts = demo.app.store.snapshot.hosts
        return [name for name in others if hosts[name].status is HostStatus.UP] == [kept]

    demo.qtbot.waitUntil(is_seen, timeout=WAIT_MS)
    return bool(demo.app.maintenance.plan(DrainIntent((host,))).open_items)


def test_one_that_fits_nowhere_has_every_host_s_reasons_and_what_would_help(demo: Shop) -> None:
    host = host_of(demo, "oracle-fin-1")
    assert host is not None
    others = [name for name in demo.app.store.snapshot.hosts if name != host]
    next(kept for kept in others if refuses_somebody(demo, host, kept, others))
    dialog = opened(demo, host)
    stuck = next(item for item in dialog._plan.items if item.needs_choice)  # type: ignore[union-attr]
    select(dialog, stuck.vm_name)

    def lines() -> list[str]:
        return [label.text() for label in dialog.findChildren(TextLabel, "maintenance_line") if label.isVisible()]

    demo.qtbot.waitUntil(
        lambda: all(any(t.startswith(f"{name}: ") for t in lines()) for name in others), timeout=WAIT_MS
    )
    assert stuck.vm_name in child(dialog, TextLabel, "maintenance_consequence").text()
    choose(demo, dialog, "shut_down")
    settle(demo, dialog)
    assert item_of(dialog, stuck.vm_name).action is DrainAction.SHUT_DOWN


def test_the_pace_is_told_in_words(demo: Shop) -> None:
    host = host_of(demo, "trade-engine-1")
    assert host is not None
    dialog = opened(demo, host)
    assert "2 at a time from each host" in child(dialog, TextLabel, "maintenance_consequence").text()
