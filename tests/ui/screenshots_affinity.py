"""Pictures of Affinity Groups and High Availability: `python -m tests.ui.screenshots_affinity`, into build/screens/.

Light and dark, at the dialogs' own size (they fit 1366x768) and filling 2560x1440. Nothing is asserted; people judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QDialog, QTabWidget

from hpconsole.app import App
from hpconsole.core.availability.settings import FenceDevice
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.ui.affinity.dialog import AffinityDialog
from hpconsole.ui.availability.confirm import ConfirmDialog
from hpconsole.ui.availability.dialog import AvailabilityDialog
from hpconsole.ui.desktop import make_application
from hpconsole.ui.theme import DARK, LIGHT, Theme, ThemeChoice, ThemeKeeper
from tests.ui.screenshots import OUT, PATIENCE_S, shoot

_LARGE = (2560, 1440)


def wait(_application: QApplication, condition: Callable[[], object], settle_s: float = 0.4) -> None:
    """Let the event loop run until it holds, and a little longer; workers get their turn."""
    until = time.monotonic() + 2 * PATIENCE_S
    while not condition():
        QTest.qWait(20)
        if time.monotonic() > until:
            raise TimeoutError("what was waited for did not happen")
    QTest.qWait(round(settle_s * 1000))


def pictures(application: QApplication, dialog: QDialog, name: str, tone: str) -> None:
    """At its own size, and on a large screen."""
    wait(application, lambda: True)
    shoot(dialog, f"{name}-{tone}")
    size = dialog.size()
    dialog.resize(*_LARGE)
    wait(application, lambda: True, 0.2)
    shoot(dialog, f"large-{name}-{tone}")
    dialog.resize(size)


def groups(app: App) -> None:
    """Some that are kept, and one that is broken."""
    vms = {vm.name: vm.uuid for vm in app.store.snapshot.vms.values()}
    trade = tuple(uuid for name, uuid in sorted(vms.items()) if name.startswith("trade-engine"))
    databases = tuple(uuid for name, uuid in sorted(vms.items()) if name.startswith("db-pg"))
    for group in (
        AffinityGroup("trading", 3, AffinityRule.NEGATIVE, True, vms=trade, description="Never two engines on a host"),
        AffinityGroup("databases", 2, host_rule=AffinityRule.POSITIVE, vms=databases, hosts=("host-01", "host-03")),
        AffinityGroup("web", vm_rule=AffinityRule.NEGATIVE, vms=tuple(u for n, u in vms.items() if "web" in n)),
    ):
        app.rules.save_group(group)


def affinity(application: QApplication, app: App, theme: Theme, tone: str) -> None:
    """A group, a contradiction while it is edited, suggestions, labels."""
    dialog = AffinityDialog(app.rules, lambda: app.store.snapshot, theme, give_labels=lambda _uuid, _labels: None)
    dialog.show()
    wait(application, lambda: dialog._survey is not None and dialog._verdict is not None)
    dialog._selection.select(["trading"])
    wait(application, lambda: dialog._verdict is not None)
    pictures(application, dialog, "affinity", tone)
    trading = app.rules.current().groups[1]
    contradicting = replace(trading, name="engines-together", vm_rule=AffinityRule.POSITIVE)
    dialog._on_new()
    dialog._form.show_group(contradicting)
    dialog._form.edited.emit()
    wait(application, lambda: dialog._verdict is not None)
    shoot(dialog, f"affinity-conflict-{tone}")
    dialog._on_revert()
    dialog._on_suggest()
    wait(application, lambda: not dialog._suggestions._is_asking)
    pictures(application, dialog, "affinity-suggestions", tone)
    app.rules.save_host_labels("host-01", frozenset({"rack-1", "fast"}))
    app.rules.save_host_labels("host-02", frozenset({"rack-1"}))
    app.poller.refresh()
    wait(application, lambda: bool(app.store.snapshot.hosts["host-02"].labels))
    dialog.look()
    dialog._tabs.setCurrentIndex(2)
    wait(application, lambda: bool(dialog._survey and dialog._survey.labels))
    pictures(application, dialog, "affinity-labels", tone)
    dialog._is_leaving = True
    dialog.close()


def availability(application: QApplication, app: App, theme: Theme, tone: str) -> None:
    """The proof, the fence device, both questions, the settings."""
    device = FenceDevice("host-01", "fence_ipmilan", (("ip", "10.0.9.1"), ("username", "admin"), ("lanplus", "1")),
                         password_file="/etc/hpconsole/host-01")  # fmt: skip
    app.availability.save_fence_device(device)
    dialog = AvailabilityDialog(
        app.availability, lambda: app.store.snapshot, theme, policy=lambda: app.policy, reservations=app.reservations
    )
    dialog.show()
    wait(application, lambda: dialog._view is not None)
    pictures(application, dialog, "availability", tone)
    dialog._selection.select(["host-01"])
    pages = dialog.findChild(QTabWidget, "ha_pages")
    assert pages is not None
    pages.setCurrentIndex(1)
    pictures(application, dialog, "availability-device", tone)
    pages.setCurrentIndex(0)
    for name, ask in (("fence", dialog._on_fence),):
        ask()
        question = dialog.findChildren(ConfirmDialog)[-1]
        wait(application, question.isVisible)
        shoot(question, f"availability-{name}-{tone}")
        tick = question.findChild(QCheckBox, "confirm_tick")
        assert tick is not None
        tick.setChecked(True)
        wait(application, partial(tick.isChecked))
        shoot(question, f"availability-{name}-ticked-{tone}")
        question.reject()
    dialog._tabs.setCurrentIndex(1)
    pictures(application, dialog, "availability-settings", tone)
    dialog.close()


def main() -> None:
    """Every picture, in both themes."""
    OUT.mkdir(parents=True, exist_ok=True)
    application = make_application()
    for choice, theme in ((ThemeChoice.LIGHT, LIGHT), (ThemeChoice.DARK, DARK)):
        keeper = ThemeKeeper(application, choice)
        cluster = SimulatedCluster.demo()
        app = App(cluster.uris(), opener=cluster.open)
        app.start()
        wait(application, lambda app=app: len(app.store.snapshot.vms) > 20)  # type: ignore[misc]  # bound per theme
        groups(app)
        affinity(application, app, theme, choice.value)
        availability(application, app, theme, choice.value)
        app.close()
        cluster.close()
        keeper.deleteLater()


if __name__ == "__main__":
    main()
