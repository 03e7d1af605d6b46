"""Pictures of the policy dialogs, both themes, 1366x768 and 2560x1440: `python -m tests.ui.screenshots_policies`.

They go to build/screens/. Nothing is asserted here; people judge.
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QTabWidget

from hpconsole.app import App
from hpconsole.core.balancing.mode import Mode
from hpconsole.core.balancing.watch import Pace, Watch
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.scheduler.policy_editing import with_parameter
from hpconsole.ui.balancing.dialog import BalancingDialog
from hpconsole.ui.desktop import make_application
from hpconsole.ui.migrate.options_box import OptionsBox
from hpconsole.ui.migration_policies.dialog import MigrationPoliciesDialog
from hpconsole.ui.migration_policies.presenter import LastResort
from hpconsole.ui.policies.dialog import PoliciesDialog
from hpconsole.ui.theme import Theme, ThemeChoice, ThemeKeeper
from tests.ui.gestures import child
from tests.ui.screenshots import OUT, shoot, wait

SMALL, LARGE = QSize(1366, 768), QSize(2560, 1440)


def _size(dialog: QDialog, screen: QSize) -> None:
    """As large as it is by itself on the small screen, nearly all of the large one."""
    dialog.resize(dialog.size().boundedTo(screen) if screen is SMALL else QSize(2400, 1300))
    dialog.show()


def policies(application: QApplication, app: App, theme: Theme, screen: QSize, name: str) -> None:
    """A built-in policy, and an own one being edited, tab by tab."""
    if "office" not in [policy.name for policy in app.policies.all()]:
        app.policies.copy("evenly_distributed", "office")
    vm = next(app.store.snapshot.vm_named("trade-engine-1"))
    dialog = PoliciesDialog(
        app.policies,
        theme,
        snapshot=lambda: app.store.snapshot,
        reservations=app.reservations,
        vm_uuid=vm.uuid,
        first="cluster_maintenance",
    )
    _size(dialog, screen)
    wait(application, lambda: dialog._effect.effect is not None)
    shoot(dialog, f"policies-built-in-{name}")
    presenter = dialog._presenter
    presenter.select("office")
    presenter.weigh("OptimalForCpuEvenDistribution", 0)
    presenter.weigh("OptimalForCpuPowerSaving", 30)
    presenter.use_filter("NUMA", is_on=False)
    presenter.set_parameter("HighUtilization", "120")
    dialog.reload()
    dialog.on_form_edited()
    for place, tab in enumerate(("weights", "filters", "balancing")):
        child(dialog, QTabWidget, "policy_tabs").setCurrentIndex(place)
        wait(application, lambda: True)
        shoot(dialog, f"policies-{tab}-{name}")
    presenter.revert()
    dialog.done(0)


def balancing(application: QApplication, app: App, watch: Watch, theme: Theme, screen: QSize, name: str) -> None:
    """Nothing to move; a recommendation; applied."""
    app.policies.choose("evenly_distributed")
    watch.set_mode(Mode.ACT)
    dialog = BalancingDialog(app.policies, watch, theme)
    _size(dialog, screen)
    wait(application, lambda: dialog._shown is not None and dialog._leadership is not None, 1.5)
    shoot(dialog, f"balancing-calm-{name}")
    dialog.done(0)
    if "spread" not in [policy.name for policy in app.policies.all()]:
        made = app.policies.copy("vm_evenly_distributed", "spread")
        app.policies.save(with_parameter(with_parameter(made, "HighVmCount", 1), "MigrationThreshold", 2))
    app.policies.choose("spread")
    watch.set_mode(Mode.RECOMMEND)
    dialog = BalancingDialog(app.policies, watch, theme)
    _size(dialog, screen)
    dialog._on_look()
    wait(application, dialog._apply.isEnabled, 1.5)
    shoot(dialog, f"balancing-recommends-{name}")
    dialog._on_apply()
    wait(application, lambda: dialog._model.rowCount() and not app.reservations(), 0.5)
    shoot(dialog, f"balancing-applied-{name}")
    dialog.done(0)


def migration_policies(application: QApplication, theme: Theme, screen: QSize, name: str) -> None:
    """A preset, an own one with problems, and what the Migrate dialog offers then."""
    ways = MigrationPolicies()
    dialog = MigrationPoliciesDialog(ways, theme)
    _size(dialog, screen)
    wait(application, lambda: True)
    shoot(dialog, f"migration-policies-preset-{name}")
    dialog._on_copy()
    presenter = dialog._presenter
    wait(application, lambda: not presenter.locked)
    presenter.change(name="Night runs", bandwidth_mib_s=800, parallel_connections=4, tls=True)
    presenter.set_last(LastResort.PAUSE, 2500)
    dialog._on_save()
    wait(application, lambda: not presenter.unsaved)
    box = OptionsBox(ways.all(), ways.default_id)
    child(box, QComboBox, "migration_policy").setCurrentIndex(len(ways.all()) - 1)
    box.resize(1100, 200)
    box._unfold.setChecked(True)
    box.setStyleSheet(dialog.styleSheet())
    box.show()
    wait(application, lambda: True)
    shoot(box, f"migration-policies-chosen-{name}")
    presenter.change(compressed=True)
    presenter.set_steps([(1, 150), (3, 300), (2, 400)])
    dialog.reload()
    wait(application, lambda: True)
    shoot(dialog, f"migration-policies-wrong-{name}")
    dialog.done(0)


def main() -> None:
    """Every picture."""
    OUT.mkdir(parents=True, exist_ok=True)
    application = make_application()
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open)
    app.start()
    wait(application, lambda: len(app.store.snapshot.vms) == 120, 1)
    watch = app.start_watching(pace=Pace(round_s=3600, look_s=0.2), life_s=1)
    for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
        theme = ThemeKeeper(application, choice).theme
        for screen, size in ((SMALL, "small"), (LARGE, "large")):
            name = f"{choice.value}-{size}"
            policies(application, app, theme, screen, name)
            balancing(application, app, watch, theme, screen, name)
            migration_policies(application, theme, screen, name)
    app.close()
    cluster.close()


if __name__ == "__main__":
    main()
