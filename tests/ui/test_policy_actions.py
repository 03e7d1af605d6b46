"""The Cluster menu opens the dialogs about rules, over the simulated cluster; what one changes the others show."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QDialog, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child, click
from tests.ui.machine_cases import WAIT_MS, shop


@pytest.mark.slow
def test_the_menu_opens_each_and_they_follow_each_other(
    qtbot: QtBot, tmp_path: Path, themes: ThemeKeeper, state: WindowState
) -> None:
    with shop(qtbot, data=tmp_path) as opened:
        window = MainWindow(Frame(state), opened.app, state, themes)
        qtbot.addWidget(window.frame)
        window.frame.show()
        qtbot.waitExposed(window.frame)

        def dialog(action: str) -> QDialog:
            window.actions_[action].trigger()
            name = f"{action}_dialog"
            qtbot.waitUntil(lambda: window.frame.findChild(QDialog, name) is not None, timeout=2 * WAIT_MS)
            found = child(window.frame, QDialog, name)
            qtbot.waitExposed(found)
            return found

        policies = dialog("policies")
        click(child(policies, QPushButton, "policy_copy"))
        qtbot.waitUntil(lambda: len(opened.app.policies.all()) == 6, timeout=WAIT_MS)

        balancing = dialog("balancing")
        box = child(balancing, QComboBox, "balancing_policy")
        assert box.findData("none-2") >= 0
        headline = child(balancing, TextLabel, "balancing_headline")
        qtbot.waitUntil(lambda: "Nothing should move" in headline.text(), timeout=WAIT_MS)
        qtbot.waitUntil(lambda: child(policies, QPushButton, "policy_use").isEnabled(), timeout=WAIT_MS)
        click(child(policies, QPushButton, "policy_use"))
        qtbot.waitUntil(lambda: box.findText("none-2 (in force)") >= 0, timeout=WAIT_MS)
        assert any("none-2 is in force" in sentence for sentence in window.messages.shown)

        ways = dialog("migration_policies")
        window.search.setText("web-01")
        qtbot.waitUntil(lambda: window.vms.model.rowCount() == 1, timeout=WAIT_MS)
        window.vms.view.selectRow(0)
        migrate = dialog("migrate")
        choice = child(migrate, QComboBox, "migration_policy")
        assert choice.findText("Minimal downtime 2") < 0
        click(child(ways, QPushButton, "way_copy"))
        qtbot.waitUntil(lambda: choice.findText("Minimal downtime 2") >= 0, timeout=WAIT_MS)

        for one in (migrate, ways, balancing, policies):
            one.done(0)
        window._is_leaving = True
        window.frame.close()
