"""The window over a simulated cluster, through the real program without a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.window_state import WindowState

WAIT_MS = 30_000


@contextmanager
def window_over(
    cluster: SimulatedCluster, qtbot: QtBot, state: WindowState, themes: ThemeKeeper, *, vms: int
) -> Iterator[MainWindow]:
    """Open it and wait until it shows every host and so many VMs; it closes without asking. The cluster stays."""
    app = App(cluster.uris(), opener=cluster.open, data=None)
    window = MainWindow(Frame(state), app, state, themes)
    qtbot.addWidget(window.frame)
    window.frame.resize(1366, 768)
    window.frame.show()
    app.start()
    try:
        assert app.wait_ready(20)
        qtbot.waitUntil(lambda: window.hosts.model.rowCount() == len(cluster.uris()), timeout=WAIT_MS)
        qtbot.waitUntil(lambda: window.vms.model.rowCount() == vms, timeout=WAIT_MS)
        yield window
    finally:
        window._is_leaving = True
        window.frame.close()
        app.close()
