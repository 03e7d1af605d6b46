"""How each fault of the matrix is made and ended, in lab terms. Knows no phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.lab import Lab
from tests.lab.matrix import rows
from tests.lab.matrix.rows import Fault


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the fault strikes."""

    lab: Lab
    uuid: str
    link: str  # the rate the link has while all is well
    cancel: Callable[[], None]
    second_console: Callable[[], None]
    kill_console: Callable[[], None]
    source: str = "a"
    destination: str = "b"


def strike(fault: Fault, scene: Scene) -> None:
    """Break it."""
    lab, here, there = scene.lab, scene.source, scene.destination
    actions: dict[str, Callable[[], None]] = {
        rows.SOURCE_DAEMON_KILLED.key: lambda: lab.fault.kill_daemon(here),
        rows.DESTINATION_DAEMON_KILLED.key: lambda: lab.fault.kill_daemon(there),
        rows.DESTINATION_DAEMON_FROZEN.key: lambda: lab.fault.freeze_daemon(there),
        rows.DESTINATION_QEMU_KILLED.key: lambda: lab.fault.kill_qemu(there, scene.uuid),
        rows.SOURCE_QEMU_KILLED.key: lambda: lab.fault.kill_qemu(here, scene.uuid),
        rows.CUT_5_S.key: lambda: lab.fault.cut(there),
        rows.CUT.key: lambda: lab.fault.cut(there),
        rows.RECOVERED.key: lambda: lab.fault.part(here, there),
        rows.SLOW.key: lambda: lab.fault.shape(there, "5mbit"),
        rows.NO_MEMORY.key: lambda: lab.fault.starve(there, scene.uuid),
        rows.NO_DISK.key: lambda: lab.fault.fill_disk(there),
        rows.OTHER_CPU.key: lambda: lab.fault.take_cpu_feature(there, "cx16"),
        rows.DESTINATION_CRASHED.key: lambda: _switch_off(scene, there),
        rows.SOURCE_CRASHED.key: lambda: _switch_off(scene, here),
        rows.CONSOLE_KILLED.key: scene.kill_console,
        rows.CONSOLE_CUT.key: lab.fault.cut_console,
        rows.CANCELLED.key: scene.cancel,
        rows.TWO_CONSOLES.key: scene.second_console,
    }
    actions[fault.key]()


def mend(fault: Fault, scene: Scene) -> None:
    """End it; what ended by itself stays so."""
    lab, here, there = scene.lab, scene.source, scene.destination
    actions: dict[str, Callable[[], None]] = {
        rows.SOURCE_DAEMON_KILLED.key: lambda: lab.fault.start_daemon(here),
        rows.DESTINATION_DAEMON_KILLED.key: lambda: lab.fault.start_daemon(there),
        rows.DESTINATION_DAEMON_FROZEN.key: lambda: lab.fault.thaw_daemon(there),
        rows.CUT_5_S.key: lambda: _reconnect(scene),
        rows.CUT.key: lambda: _reconnect(scene),
        rows.RECOVERED.key: lambda: _reconnect(scene),
        rows.SLOW.key: lambda: lab.fault.heal(there),
        rows.NO_MEMORY.key: lambda: lab.fault.feed(there),
        rows.NO_DISK.key: lambda: lab.fault.free_disk(there),
        rows.OTHER_CPU.key: lambda: lab.fault.give_cpu_back(there),
        rows.DESTINATION_CRASHED.key: lambda: lab.fault.boot(there),
        rows.SOURCE_CRASHED.key: lambda: lab.fault.boot(here),
        rows.CONSOLE_CUT.key: lab.fault.heal_console,
    }
    actions.get(fault.key, lambda: None)()


def _switch_off(scene: Scene, host: str) -> None:
    """As when the power fails: its connections are not closed, they fall silent."""
    scene.lab.fault.cut(host)
    scene.lab.fault.crash(host)


def _reconnect(scene: Scene) -> None:
    scene.lab.fault.heal(scene.source)
    scene.lab.fault.heal(scene.destination)
    scene.lab.fault.shape(scene.destination, scene.link)
