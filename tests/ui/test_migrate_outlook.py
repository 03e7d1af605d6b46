"""Forecasts, checks and options of Migrate VM(s): errors block, warnings are accepted, remedies can be taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QSpinBox, QTabBar, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import HostUnreachable
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.forecast import Forecast, Remedy, Verdict
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions
from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME
from hpconsole.core.planning.plan import Plan
from hpconsole.core.planning.preflight_findings import Finding, Preflight, Severity
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.migrate.dialog import MigrateDialog
from hpconsole.ui.migrate.options_text import from_text, in_words, to_text
from hpconsole.ui.migrate.outlook import Outlook, headline, remedy_options
from hpconsole.ui.widgets.text_label import ElidedLabel
from tests.builders import a_vm
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press
from tests.ui.migrate_cases import cluster
from tests.ui.migrate_dialogs import VM, accept_button, migrate_dialogs

ERROR = Finding("cpu", Severity.ERROR, "The CPU of host-b does not suit it.", "Choose another host.")
WARNING = Finding("version", Severity.WARNING, "host-b has an older QEMU.", "Update host-b first.")
NOTE = Finding("address", Severity.NOTE, "host-a connects to host-b.")


def a_forecast(verdict: Verdict = Verdict.CONVERGES, **changes: object) -> Forecast:
    forecast = Forecast(
        vm_name="trade-engine-1",
        source="host-a",
        destination="host-b",
        policy="minimal_downtime",
        verdict=verdict,
        sentence="trade-engine-1: 4 GiB to move.",
        memory_mib=4096,
        to_move_mib=4000,
        dirty_mib_s=50,
        working_set_mib=500,
        bandwidth_mib_s=400,
        total_s=12,
        total_low_s=10,
        total_high_s=15,
        passes=3,
        downtime_ms=98.4,
        downtime_limit_ms=300,
        sent_mib=4400,
        throttle_pct=0,
    )
    return replace(forecast, **changes)  # type: ignore[arg-type]  # a test's own changes


class FakeAdvice:
    """Says what a test wants it to say; never on the GUI thread."""

    def __init__(self) -> None:
        self.policies = MigrationPolicies()
        self.findings: tuple[Finding, ...] = (NOTE,)
        self.measured: Forecast = a_forecast()
        self.asked: list[tuple[str, str, MigrationOptions]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_lost = False

    def check(self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS) -> Preflight:
        assert threading.current_thread() is not threading.main_thread(), "the window would wait for this"
        self.gate.wait(10)
        if self.is_lost:
            raise HostUnreachable("host-b does not answer; nothing was changed.")
        self.asked.append((vm_uuid, destination, options))
        return Preflight(vm_uuid, "trade-engine-1", "host-a", destination, self.findings)

    def known_forecast(
        self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS
    ) -> Forecast | None:
        return a_forecast(Verdict.UNKNOWN, dirty_mib_s=None)

    def forecast(
        self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS, *, shared_by: int = 1
    ) -> Forecast:
        assert threading.current_thread() is not threading.main_thread(), "the window would wait for this"
        return self.measured


@pytest.fixture
def advice() -> FakeAdvice:
    return FakeAdvice()


@pytest.fixture
def opened(qtbot: QtBot, advice: FakeAdvice) -> Iterator[Callable[..., MigrateDialog]]:
    with migrate_dialogs(qtbot, advice=advice) as open_:
        yield open_


def remark(dialog: MigrateDialog) -> str:
    return child(dialog, QLabel, "migrate_remark").text()


def checks_title(dialog: MigrateDialog) -> str:
    return child(dialog, QTabBar, "migrate_tabs").tabText(2)


def test_it_waits_for_the_checks_and_goes_on_meanwhile(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    advice.gate.clear()
    dialog = opened()
    qtbot.waitUntil(lambda: checks_title(dialog) == "Checks (under way…)", timeout=20_000)
    assert not accept_button(dialog).isEnabled()
    assert "Asking both hosts" in remark(dialog)
    dialog.accept()
    assert dialog.isVisible(), "nothing is handed over before it was checked"
    advice.gate.set()
    qtbot.waitUntil(accept_button(dialog).isEnabled)
    assert checks_title(dialog) == "Checks (all well)"
    assert remark(dialog) == ""


def test_the_forecast_is_told_and_goes_with_the_plan(qtbot: QtBot, opened: Callable[..., MigrateDialog]) -> None:
    dialog = opened()
    line = child(dialog, ElidedLabel, "forecast_headline")
    qtbot.waitUntil(lambda: "converges: about 12 s (10 s to 15 s), 3 passes" in line.full_text(), timeout=20_000)
    assert "pause of about 98 ms" in line.full_text()
    click(child(dialog, QTabBar, "migrate_tabs"), tab_place(dialog, 1))
    table = child(dialog, QTableView, "forecast_table")
    qtbot.waitUntil(table.isVisible)
    row = [table.model().index(0, column).data() for column in range(table.model().columnCount())]
    assert row[:4] == ["trade-engine-1", "host-b", "converges", "12 s (10 s to 15 s)"]
    assert row[4:9] == ["3", "98 ms", "3.9 GiB", "50 MiB/s", "400 MiB/s"]
    with qtbot.waitSignal(dialog.plan_accepted) as signal:
        click(accept_button(dialog))
    assert signal.args is not None
    plan = signal.args[0]
    assert isinstance(plan, Plan)
    assert plan.steps[0].forecast is not None
    assert plan.steps[0].forecast.verdict is Verdict.CONVERGES


def tab_place(dialog: MigrateDialog, tab: int) -> QPoint:
    return child(dialog, QTabBar, "migrate_tabs").tabRect(tab).center()


def test_an_error_blocks_with_its_remedy_until_it_is_checked_again(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    advice.findings = (ERROR, NOTE)
    dialog = opened()
    qtbot.waitUntil(lambda: checks_title(dialog) == "Checks (1 error)", timeout=20_000)
    assert remark(dialog) == "The CPU of host-b does not suit it. Choose another host."
    assert not accept_button(dialog).isEnabled()
    click(child(dialog, QTabBar, "migrate_tabs"), tab_place(dialog, 2))
    found = child(dialog, QLabel, "finding_error")
    qtbot.waitUntil(found.isVisible)
    assert found.text() == ERROR.sentence
    advice.findings = ()
    click(child(dialog, QPushButton, "check_again"))
    qtbot.waitUntil(accept_button(dialog).isEnabled)
    assert len(advice.asked) == 2


def test_warnings_are_accepted_once_and_new_ones_again(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    advice.findings = (WARNING,)
    dialog = opened()
    box = child(dialog, QCheckBox, "accept_warnings")
    qtbot.waitUntil(box.isVisible, timeout=20_000)
    assert box.text() == "Accept 1 &warning"
    assert not accept_button(dialog).isEnabled()
    assert "Accept the warnings" in remark(dialog)
    press(box, Qt.Key.Key_Space)
    assert box.isChecked()
    assert accept_button(dialog).isEnabled()
    press(box, Qt.Key.Key_Space)
    assert not accept_button(dialog).isEnabled()
    press(box, Qt.Key.Key_Space)
    advice.findings = (WARNING, replace(WARNING, sentence="host-b has an older libvirt."))
    click_row(child(dialog, QTableView, "migrate_hosts"), 1)
    dialog._on_recheck()
    qtbot.waitUntil(lambda: box.text() == "Accept 2 &warnings")
    assert not box.isChecked()


def test_a_host_that_cannot_be_asked_is_a_sentence(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    advice.is_lost = True
    dialog = opened()
    qtbot.waitUntil(lambda: "does not answer" in remark(dialog), timeout=20_000)
    assert not accept_button(dialog).isEnabled()


def test_a_remedy_is_taken_by_a_click(qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice) -> None:
    pause = Remedy("downtime", "Allow a pause of 2 s: then it takes about 14 s.", 14, 1900, downtime_limit_ms=2000)
    wait = Remedy("pause", "Pause it while it moves.", 9, 9000)
    advice.measured = a_forecast(Verdict.DOES_NOT_CONVERGE, remedies=(pause, wait))
    dialog = opened()
    line = child(dialog, ElidedLabel, "forecast_headline")
    qtbot.waitUntil(lambda: "does not end by itself. Allow a pause of 2 s" in line.full_text(), timeout=20_000)
    click(child(dialog, QTabBar, "migrate_tabs"), tab_place(dialog, 1))
    button = child(dialog, QPushButton, "remedy_downtime")
    qtbot.waitUntil(button.isVisible)
    assert dialog.findChild(QPushButton, "remedy_pause") is None, "options cannot say this"
    advice.measured = a_forecast()
    click(button)
    about = child(dialog, ElidedLabel, "migration_policy_about")
    assert about.full_text().startswith("Pause of 2 s allowed.")
    qtbot.waitUntil(lambda: "converges" in line.full_text())
    assert advice.asked[-1][2].downtime_ms == 2000


def test_tab_goes_through_what_is_below_the_tabs_and_then_to_the_buttons(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    """Pages and remedies are made late, and would stand behind Cancel."""
    remedy = Remedy("downtime", "Allow a pause of 2 s.", 14, 1900, downtime_limit_ms=2000)
    advice.measured = a_forecast(Verdict.DOES_NOT_CONVERGE, remedies=(remedy,))
    dialog = opened()
    tabs = child(dialog, QTabBar, "migrate_tabs")
    click(tabs, tab_place(dialog, 1))
    qtbot.waitUntil(lambda: dialog.findChild(QPushButton, "remedy_downtime") is not None, timeout=20_000)
    qtbot.waitUntil(accept_button(dialog).isEnabled, timeout=20_000)

    def on_the_way() -> list[str]:
        names: list[str] = []
        widget = tabs.nextInFocusChain()
        while widget is not None and widget is not accept_button(dialog):
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible():
                names.append(widget.objectName())
            widget = widget.nextInFocusChain()
        return names

    qtbot.waitUntil(lambda: on_the_way() == ["forecast_table", "forecast_remedies", "remedy_downtime"])


def test_options_by_mouse_and_keyboard(qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice) -> None:
    dialog = opened()
    qtbot.waitUntil(accept_button(dialog).isEnabled, timeout=20_000)
    limit = child(dialog, QCheckBox, "option_limit_bandwidth")
    assert not limit.isVisible()
    click(child(dialog, QPushButton, "migration_options"))
    assert limit.isVisible()
    spin = child(dialog, QSpinBox, "option_bandwidth_value")
    assert not spin.isEnabled()
    press(limit, Qt.Key.Key_Space)
    spin.setValue(250)
    policy = child(dialog, QComboBox, "migration_policy")
    press(policy, Qt.Key.Key_Down)
    assert policy.currentText() == "Suspend workload if needed"
    assert child(dialog, QCheckBox, "option_compressed").isChecked(), "as that policy has it"
    press(child(dialog, QCheckBox, "option_auto_converge"), Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: advice.asked[-1][2].auto_converge is False)
    qtbot.waitUntil(accept_button(dialog).isEnabled)
    asked = len(advice.asked)
    press(child(dialog, QCheckBox, "option_has_priority"), Qt.Key.Key_Space)
    child(dialog, QSpinBox, "option_priority_value").setValue(90)
    assert accept_button(dialog).isEnabled()
    assert len(advice.asked) == asked, "when it begins changes nothing about what stands against it"
    with qtbot.waitSignal(dialog.plan_accepted) as signal:
        click(accept_button(dialog))
    assert signal.args is not None
    assert signal.args[0].steps[0].options == MigrationOptions(
        policy_id="suspend_workload_if_needed", bandwidth_mib_s=250, auto_converge=False, priority=90
    )


def test_what_cannot_be_had_together_is_said(qtbot: QtBot, opened: Callable[..., MigrateDialog]) -> None:
    dialog = opened()
    qtbot.waitUntil(accept_button(dialog).isEnabled, timeout=20_000)
    click(child(dialog, QPushButton, "migration_options"))
    press(child(dialog, QCheckBox, "option_parallel"), Qt.Key.Key_Space)
    press(child(dialog, QCheckBox, "option_post_copy"), Qt.Key.Key_Space)
    assert "choose one of the two" in child(dialog, QLabel, "options_problem").text()
    assert not accept_button(dialog).isEnabled()


def test_several_vms_have_a_line_each(qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice) -> None:
    web = a_vm("web-1", host="host-c")
    advice.findings = (WARNING,)
    dialog = opened((VM, web.uuid))
    qtbot.waitUntil(lambda: checks_title(dialog) == "Checks (2 warnings)", timeout=20_000)
    click(child(dialog, QTabBar, "migrate_tabs"), tab_place(dialog, 1))
    qtbot.waitUntil(lambda: child(dialog, QTableView, "forecast_table").model().rowCount() == 2)
    assert "one after the other" in child(dialog, ElidedLabel, "forecast_headline").full_text()


def test_several_vms_are_checked_and_measured_beside_each_other(
    qtbot: QtBot, opened: Callable[..., MigrateDialog], advice: FakeAdvice
) -> None:
    """One after the other, forty guests would take five minutes to measure."""
    all_there, all_measured = threading.Barrier(2), threading.Barrier(2)

    class Together(FakeAdvice):
        def check(self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS) -> Preflight:
            all_there.wait(20)
            return super().check(vm_uuid, destination, options)

        def forecast(
            self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS, *, shared_by: int = 1
        ) -> Forecast:
            all_measured.wait(20)
            return super().forecast(vm_uuid, destination, options, shared_by=shared_by)

    advice.__class__ = Together
    dialog = opened((VM, a_vm("web-1", host="host-c").uuid))
    qtbot.waitUntil(lambda: "all well" in checks_title(dialog), timeout=20_000)
    line = child(dialog, ElidedLabel, "forecast_headline")
    qtbot.waitUntil(lambda: line.full_text().endswith("about 24 s one after the other."), timeout=20_000)


def test_options_are_remembered(qtbot: QtBot, window: MainWindow, console: FakeConsole, advice: FakeAdvice) -> None:
    console.advice = advice
    with qtbot.waitSignal(window.snapshot_shown):
        console.store.publish(cluster())
    click_row(window.vms.view, 0)
    for _ in range(2):
        window.on_migrate()
        dialog = window.frame.findChildren(MigrateDialog, "migrate_dialog")[-1]
        tls = child(dialog, QCheckBox, "option_tls")
        tls.setChecked(True)
        dialog.reject()
    assert child(dialog, QCheckBox, "option_tls").isChecked()
    assert from_text(window._state.kept("migration_options")).tls


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", '{"bandwidth_mib_s": "fast"}', '{"tls": 1, "nonsense": 3}', '{"downtime_ms": 0}', "x" * 9000],
)
def test_kept_options_that_mean_nothing_are_none(text: str) -> None:
    assert from_text(text) == DEFAULT_OPTIONS


def test_options_survive_being_kept() -> None:
    options = MigrationOptions("post_copy", 300, 700, None, True, False, tls=True, post_copy=True)
    assert from_text(to_text(options)) == options
    assert in_words(DEFAULT_OPTIONS, MINIMAL_DOWNTIME) == ""


def test_without_advice_nothing_stands_against_it() -> None:
    outlook = Outlook(None)
    outlook.follow(None, DEFAULT_OPTIONS)
    assert outlook.is_checked
    assert outlook.next_check() is None
    assert headline(outlook)[0] == ""


def test_remedies_as_options() -> None:
    assert remedy_options("bandwidth", 612.4, None) == {"bandwidth_mib_s": 612}
    assert remedy_options("pause", None, None) == {}
    for kind in ("parallel", "post_copy", "auto_converge"):
        assert not MigrationOptions(**remedy_options(kind, None, None)).problem()  # type: ignore[arg-type]
