"""Pictures of Maintenance and Return VMs Home, both themes, 1366x768 and 2560x1440: see `main` for the names.

`python -m tests.ui.screenshots_maintenance`; they go to build/screens/. Nothing is asserted here; people judge.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication, QPushButton, QTableWidget

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.host import HostStatus
from hpconsole.ui.desktop import make_application
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.maintenance.dialog import MaintenanceDialog
from hpconsole.ui.return_home.dialog import ReturnHomeDialog
from hpconsole.ui.theme import ThemeChoice, ThemeKeeper
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child
from tests.ui.screenshots import OUT, PATIENCE_S, shoot, wait

SMALL, LARGE = QSize(1366, 768), QSize(2560, 1440)
HOST = "host-02"


class Studio:
    """The window over the demo cluster, with fast links."""

    def __init__(self, application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str) -> None:
        self.application = application
        self.tone = tone
        models = [replace(model, link_mib_s=60_000) for model in demo.HOSTS]
        self.cluster = SimulatedCluster(hosts=models, guests=demo.guests(1))
        self.app = App(self.cluster.uris(), opener=self.cluster.open, data=None)
        state = WindowState(folder / "window.ini")
        self.window = MainWindow(Frame(state), self.app, state, keeper)
        self.window.frame.resize(SMALL)
        self.window.frame.show()
        self.app.start()
        hosts = self.app.store
        self.wait(lambda: self.window.vms.model.rowCount() == 120)
        self.wait(lambda: all(host.usage.cpu_pct is not None for host in hosts.snapshot.hosts.values()), 1)

    def wait(self, condition: object = lambda: True, settle_s: float = 0.3) -> None:
        assert callable(condition)
        wait(self.application, condition, settle_s)

    def select(self, *hosts: str) -> None:
        self.window.hosts.selection.select(hosts)
        self.wait()

    def both_sizes(self, dialog: MaintenanceDialog | ReturnHomeDialog, name: str) -> None:
        """As it opens, and nearly as large as the large screen."""
        shoot(dialog, f"{name}-{SMALL.width()}-{self.tone}")
        before = dialog.size()
        dialog.resize(2400, 1300)
        self.wait()
        shoot(dialog, f"{name}-{LARGE.width()}-{self.tone}")
        dialog.resize(before)

    def maintenance(self, *hosts: str) -> MaintenanceDialog:
        """The dialog with its first plan."""
        self.select(*hosts)
        self.window.maintenance.on_maintenance()
        self.wait(lambda: any(one.isVisible() for one in self.window.frame.findChildren(MaintenanceDialog)))
        dialog = next(one for one in self.window.frame.findChildren(MaintenanceDialog) if one.isVisible())
        self.wait(lambda: dialog._plan is not None, 0.5)
        return dialog

    def close(self) -> None:
        self.window._is_leaving = True
        self.window.frame.close()
        self.app.close()
        self.cluster.close()


def pictures(studio: Studio) -> None:
    """The plan, one that cannot move, two hosts, the course, the offer and the way back."""
    dialog = studio.maintenance(HOST)
    assert dialog._plan is not None
    special = next((item for item in dialog._plan.moves if item.is_special), dialog._plan.items[0])
    dialog._selection.select([special.vm_uuid])
    studio.wait()
    studio.both_sizes(dialog, "maintenance-plan")
    if (stuck := next(iter(dialog._plan.open_items), None)) is not None:
        dialog._selection.select([stuck.vm_uuid])
        studio.wait()
        studio.both_sizes(dialog, "maintenance-stuck")
    dialog.close()

    dialog = studio.maintenance("host-04", "host-05")
    studio.both_sizes(dialog, "maintenance-two-hosts")
    dialog.close()

    dialog = studio.maintenance(HOST)
    while dialog._plan is not None and dialog._plan.open_items:
        uuid = dialog._plan.open_items[0].vm_uuid
        dialog._selection.select([uuid])
        studio.wait()
        child(dialog, QPushButton, "maintenance_choice_shut_down").click()
        studio.wait(lambda: dialog._plan is not None and dialog._plan.intent == dialog._intent)
    child(dialog, QPushButton, "maintenance_run").click()
    studio.wait(lambda: dialog._record is not None and len(dialog._record.done) > 1, 0)
    shoot(dialog, f"maintenance-runs-{SMALL.width()}-{studio.tone}")
    studio.wait(lambda: studio.app.store.snapshot.hosts[HOST].status is HostStatus.MAINTENANCE, PATIENCE_S / 30)
    shoot(dialog, f"maintenance-done-{SMALL.width()}-{studio.tone}")
    dialog.close()

    studio.select(HOST)
    studio.window.maintenance.on_activate()
    offer = child(studio.window.frame, QPushButton, "notice_offer")
    studio.wait(lambda: offer.isVisible() and "Home" in offer.text())
    shoot(studio.window.frame, f"maintenance-offer-{SMALL.width()}-{studio.tone}")
    offer.click()
    studio.wait(lambda: studio.window.frame.findChild(ReturnHomeDialog) is not None)
    home = child(studio.window.frame, ReturnHomeDialog, "return_home_dialog")
    studio.wait(lambda: child(home, QTableWidget, "return_home_table").rowCount() > 0, 0.5)
    studio.both_sizes(home, "return-home")
    home.close()


def main() -> None:
    """Every picture, in both themes: maintenance-{plan,stuck,two-hosts,runs,done,offer}, return-home."""
    OUT.mkdir(parents=True, exist_ok=True)
    application = make_application()
    for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
        with tempfile.TemporaryDirectory() as folder:
            studio = Studio(application, ThemeKeeper(application, choice), Path(folder), choice.value)
            pictures(studio)
            studio.close()


if __name__ == "__main__":
    main()
