"""Qt's timers go on while libvirt's event loop runs: they must not share GLib's default main context.

With Qt's GLib dispatcher this program ends in a segmentation fault (PySide6 6.11.3, libvirt 9.0.0).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

PROGRAM = """
import os
os.environ.pop("QT_NO_GLIB", None)
from hpconsole.core.hypervisor.libvirt_host import open_libvirt
from hpconsole.ui.desktop import make_application
host = open_libvirt("test:///default")   # starts libvirt's event loop
application = make_application()
from PySide6.QtCore import QTimer
ticks = []
timer = QTimer(interval=10)
timer.timeout.connect(lambda: (ticks.append(1), application.quit() if len(ticks) == 20 else None))
timer.start()
application.exec()
print(len(ticks))
"""


def test_timers_fire_beside_libvirts_event_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "20"
