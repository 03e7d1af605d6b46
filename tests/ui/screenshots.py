"""Pictures of the window and its dialogs, light and dark, to be looked at: `python -m tests.ui.screenshots`.

They go to build/screens/ (1366x768, the smallest screen that must do; `large-*` 2560x1440). Nothing is asserted here;
people judge. `python -m tests.ui.screenshots NAME...` makes only these: quiet, busy, migrations, details.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QWidget

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.host import HostStatus
from hpconsole.ui.desktop import make_application
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeChoice, ThemeKeeper
from hpconsole.ui.window_state import WindowState
from tests.ui.fakes import FakeConsole
from tests.ui.screenshots_migration import details_pictures, migration_pictures

OUT = Path(__file__).resolve().parents[2] / "build" / "screens"
PATIENCE_S = 30.0


def wait(application: QApplication, condition: Callable[[], object], settle_s: float = 0.4) -> None:
    """Turn the event loop until `condition` holds, and a little longer."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        application.processEvents()
        if time.monotonic() > until:
            raise TimeoutError("what was waited for did not happen")
    until = time.monotonic() + settle_s
    while time.monotonic() < until:
        application.processEvents()


def shoot(widget: QWidget, name: str) -> None:
    """Leave a picture."""
    widget.grab().save(str(OUT / f"{name}.png"))


def _is_judged(status: QLabel) -> bool:
    return "can take" in status.text()


def migrate_dialogs(application: QApplication, window: MainWindow, tone: str) -> None:
    """One VM, an unsuitable host, several VMs."""
    for name, query, count in (("one", "trade-engine-1", 1), ("many", "trade-engine", 4), ("plain", "web", 1)):
        window.search.setText(query)
        model = window.vms.model
        window.vms.selection.select([model.key_at(i) for i in range(min(count, model.rowCount()))])
        window.on_migrate()
        dialog = window.frame.findChildren(QWidget, "migrate_dialog")[-1]
        status = dialog.findChild(QLabel, "migrate_status")
        assert status is not None
        wait(application, partial(_is_judged, status), 0.8)
        shoot(dialog, f"migrate-{name}-{tone}")
        if name == "one":
            table = dialog._hosts  # type: ignore[attr-defined]
            worst = max(range(table.rowCount()), key=lambda row: len(table.row_at(row).refusals))
            dialog._host_selection.select([table.key_at(worst)])  # type: ignore[attr-defined]
            wait(application, lambda: True)
            shoot(dialog, f"migrate-refused-{tone}")
        dialog.close()
    window.search.clear()


def window_of(console: object, keeper: ThemeKeeper, folder: Path) -> MainWindow:
    """A window of the size everything must fit into."""
    state = WindowState(folder / "window.ini")
    window = MainWindow(Frame(state), console, state, keeper)  # type: ignore[arg-type]
    window.frame.resize(1366, 768)
    window.frame.show()
    return window


def busy_window(application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str) -> None:
    """The demo cluster, with a host in maintenance and one that does not answer."""
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open, data=None)
    app.statuses.set("host-04", HostStatus.MAINTENANCE)
    window = window_of(app, keeper, folder)
    app.start()
    wait(application, lambda: window.vms.model.rowCount() == 120, 4)
    window.hosts.view.expand(window.hosts.model.index(0, 0))
    window.vms.view.selectRow(2)
    wait(application, lambda: True)
    shoot(window.frame, f"window-{tone}")
    cluster.freeze("host-03")
    migrate_dialogs(application, window, tone)
    window.search.setText("trade-engine-1")
    window.vms.view.selectRow(0)
    window.on_migrate()
    dialog = window.frame.findChildren(QWidget, "migrate_dialog")[-1]
    wait(application, dialog._migrate.isEnabled)  # type: ignore[attr-defined]
    dialog.accept()  # type: ignore[attr-defined]
    window.search.clear()
    wait(application, lambda: any(task.share > 0.3 for task in window.docks.tasks.book.tasks), 0.1)
    window.on_show_load(True)
    wait(application, lambda: window.frame.findChild(QWidget, "load_charts") is not None, 2)
    shoot(window.frame, f"window-busy-{tone}")
    window._is_leaving = True
    window.frame.close()
    app.close()
    cluster.close()


def quiet_window(application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str) -> None:
    """The first start, and the dialog that adds a host."""
    console = FakeConsole()
    console.start()
    window = window_of(console, keeper, folder)
    wait(application, lambda: window.frame.findChild(QWidget, "empty_state").isVisible())  # type: ignore[union-attr]
    shoot(window.frame, f"empty-{tone}")
    window.membership.on_add_host()
    dialog = window.frame.findChildren(QWidget, "add_host_dialog")[-1]
    uri = dialog.findChild(QLineEdit, "host_uri")
    assert uri is not None
    uri.setText("qemu+tcp://host-21/system")
    wait(application, lambda: True)
    shoot(dialog, f"add-host-{tone}")
    dialog.close()
    window.frame.close()


def migrations(application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str) -> None:
    """Every state of a migration, over made-up hosts."""
    console = FakeConsole()
    console.start()
    window = window_of(console, keeper, folder)
    migration_pictures(application, window, tone, shoot=shoot, wait=wait)
    window._is_leaving = True
    window.frame.close()


def details(application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str) -> None:
    """VM details, and the window on a large screen."""
    details_pictures(application, keeper, folder, tone, shoot=shoot, wait=wait)


PARTS = {"quiet": quiet_window, "busy": busy_window, "migrations": migrations, "details": details}


def main() -> None:
    """Every picture, in both themes."""
    chosen = sys.argv[1:] or list(PARTS)
    OUT.mkdir(parents=True, exist_ok=True)
    application = make_application()
    with tempfile.TemporaryDirectory() as name:
        for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
            keeper = ThemeKeeper(application, choice)
            for part in chosen:
                PARTS[part](application, keeper, Path(name), choice.value)


if __name__ == "__main__":
    main()
