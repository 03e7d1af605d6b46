"""How long is one key in the pinning text of a VM with thousands of vCPUs? `python -m tests.benchmarks.pinning_typing`.

The whole VM dialog on the simulated cluster, the text typed at its end key by key; prints the CPU time of the window's
thread for each key, for the longest thing it did meanwhile, and how long the worker took to judge the map.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import CpuPinningPolicy
from hpconsole.core.machines.making import new_draft
from hpconsole.ui.desktop import make_application
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from tests.benchmarks.lateness import LatenessMeter
from tests.ui.gestures import child
from tests.ui.screenshots import wait

HOST = "host-01"


def opened(application: QApplication, app: App, vcpus: int) -> tuple[VmEditorDialog, VmEditorPresenter]:
    """New VM with a manual map of all vCPUs but the last."""
    snapshot = app.store.snapshot
    draft = editing.with_hosts(editing.with_vcpus(new_draft("big", host=snapshot.hosts[HOST]), vcpus), [HOST])
    text = "_".join(f"{vcpu}#{vcpu % 64}" for vcpu in range(vcpus - 1))
    draft = replace(draft, cpu_pinning_policy=CpuPinningPolicy.MANUAL, pinning_text=text)
    presenter = VmEditorPresenter(draft, snapshot, lambda: app.policy, app.reservations, host=HOST)
    machines = HostMachines(app.pool, lambda: app.store.snapshot, lambda: app.policy, app.reservations)
    dialog = VmEditorDialog(presenter, machines, LIGHT)
    dialog.show()
    dialog.show_tab(Tab.PINNING)
    wait(application, lambda: presenter.is_settled, 0.5)
    return dialog, presenter


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--vcpus", type=int, default=4096)
    vcpus: int = options.parse_args().vcpus
    application = make_application()
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open, data=None)
    app.start()
    wait(application, lambda: len(app.store.snapshot.vms) == 120, 1)
    dialog, presenter = opened(application, app, vcpus)
    field = child(dialog, QLineEdit, "pinning_text")
    field.setFocus()
    field.end(False)
    meter = LatenessMeter()
    meter.start()
    for character in f"_{vcpus - 1}#1,2":
        print(f"{character}  {_cpu_ms(partial(QTest.keyClick, field, character)):6.1f} ms")
        application.processEvents()
    began = time.monotonic()
    wait(application, lambda: presenter.is_settled, 0.1)
    lateness = meter.stop()
    print(f"longest work of the window's thread: {lateness.longest_work_ms():.1f} ms")
    print(f"judged {time.monotonic() - began:.2f} s after the last key")
    dialog.close()
    app.close()
    cluster.close()


def _cpu_ms(act: Callable[[], object]) -> float:
    began = time.thread_time()
    act()
    return (time.thread_time() - began) * 1000


if __name__ == "__main__":
    main()
