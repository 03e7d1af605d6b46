"""Migrate VM(s) over the cluster of `migrate_cases`, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.ui.migrate.dialog import MigrateDialog
from hpconsole.ui.migrate.presenter import MigratePresenter
from hpconsole.ui.theme import LIGHT
from tests.builders import a_vm
from tests.ui.gestures import child
from tests.ui.migrate_cases import cluster, trade_engine

VM = trade_engine().uuid


@contextmanager
def migrate_dialogs(qtbot: QtBot, **always: Any) -> Iterator[Callable[..., MigrateDialog]]:
    """A way to open one, with two VMs besides in the cluster; `always` and `more` are what else it is given."""
    dialogs: list[MigrateDialog] = []

    def open_(
        uuids: tuple[str, ...] = (VM,), policy: Callable[[], Policy] = lambda: DEFAULT_POLICY, **more: Any
    ) -> MigrateDialog:
        others = tuple(a_vm(f"web-{i}", host="host-c") for i in range(2))
        dialog = MigrateDialog(MigratePresenter(uuids, cluster(*others), policy), LIGHT, **{**always, **more})
        qtbot.addWidget(dialog)
        dialogs.append(dialog)
        dialog.show()
        return dialog

    yield open_
    for dialog in dialogs:
        dialog.reject()


def accept_button(dialog: MigrateDialog) -> QPushButton:
    """What begins the migration."""
    return child(dialog, QPushButton, "migrate_accept")
