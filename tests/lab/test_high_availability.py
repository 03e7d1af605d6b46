"""A host fails: its highly available VMs come back elsewhere once it is provably off, not before, and never twice.

What runs where is read from the hosts' process tables, not from hpconsole or libvirt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.availability.definitions import stored_definitions
from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.balancing.watch import Pace
from hpconsole.core.events import Event, Notice
from hpconsole.core.hypervisor.intent_xml import format_intent
from hpconsole.core.model.vm import CpuPinningPolicy, NumaPin, VmIntent
from tests.lab import fence_agent
from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab

LIFE_S = 4.0


class Console:
    """An app over the lab that looks after it, and what it says."""

    def __init__(self, lab: Lab, data: Path) -> None:
        self.lab = lab
        self.app = App(lab.uris(), data=data, interval_s=0.5)
        self.notices: list[str] = []
        self._lock = threading.Lock()
        self.app.store.subscribe_events(self._on_event)
        self.app.start()
        assert self.app.wait_ready(20)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Notice):
            with self._lock:
                self.notices.append(event.sentence)

    def has_said(self, words: str) -> bool:
        with self._lock:
            return any(words in notice for notice in self.notices)

    def watch(self, guests: list[Guest]) -> None:
        """Begin to act; returns when it leads and has written everything down."""
        watch = self.app.start_watching(pace=Pace(round_s=3600, look_s=0.3), life_s=LIFE_S)
        wait_until(
            lambda: (
                watch.leadership.is_mine
                and all(
                    guest.uuid in stored_definitions(self.app.availability.documents)
                    and stored_definitions(self.app.availability.documents)[guest.uuid].is_active
                    for guest in guests
                )
            ),
            within_s=30,
            complaint=f"nobody leads or a definition is missing: {watch.leadership}",
        )

    def close(self) -> None:
        self.app.close()


@pytest.fixture
def console(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Console]]:
    made: list[Console] = []
    agents = tmp_path / "agents"
    agents.mkdir()
    monkeypatch.setenv("HPCONSOLE_FENCE_AGENTS", str(fence_agent.install(agents)))

    def make() -> Console:
        made.append(Console(lab, tmp_path / "data"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def device(lab: Lab, host: str, gate: Path, folder: Path) -> FenceDevice:
    """The fence device of a lab host; the password is in a file of its own."""
    secret = folder / "secret"
    secret.write_text(fence_agent.PASSWORD)
    secret.chmod(0o600)
    parameters = (("lab", str(lab.folder)), ("plug", host), ("gate", str(gate)))
    return FenceDevice(host, fence_agent.NAME, parameters, password_file=str(secret), timeout_s=20)


def where(lab: Lab, guest: Guest) -> tuple[str, ...]:
    """The hosts that have a process of it: never two."""
    hosts = lab.qemu_processes().get(guest.uuid, ())
    assert len(hosts) <= 1, f"{guest.name} runs twice: {hosts}"
    return hosts


class Copies:
    """Counts QEMU processes of one guest all the time, beside the test: a copy of a moment is a copy too many."""

    def __init__(self, lab: Lab, guest: Guest) -> None:
        self._lab = lab
        self._uuid = guest.uuid
        self._over = threading.Event()
        self.looks = 0
        self.seen: set[tuple[str, ...]] = set()
        self._thread = threading.Thread(target=self._count, name="copies", daemon=True)
        self._thread.start()

    def _count(self) -> None:
        while not self._over.wait(0.05):
            self.seen.add(tuple(self._lab.qemu_processes().get(self._uuid, ())))
            self.looks += 1

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    @property
    def most(self) -> int:
        """The largest number of copies that ran at the same time."""
        return max(map(len, self.seen), default=0)


@pytest.mark.parametrize("fault", ["crash", "cut"])
def test_a_lost_host_s_vms_come_back_after_it_is_off_and_not_before(
    lab: Lab, console: Callable[[], Console], tmp_path: Path, fault: str
) -> None:
    intent = VmIntent(high_availability=True, cpu_pinning_policy=CpuPinningPolicy.DEDICATED, numa_pins=(NumaPin(0),))
    taken = lab.guest("b", "neighbour", vcpus=1, memory_mib=64, dirty_mib=0, pins={0: "0"})
    important = lab.guest(
        "a", "bank", vcpus=2, memory_mib=96, pins={0: "0", 1: "1"}, dirty_mib=0, metadata=format_intent(intent)
    )
    other = lab.guest("a", "toy", vcpus=1, memory_mib=64, dirty_mib=0)
    one, gate = console(), tmp_path / "gate"
    one.app.availability.save_settings(AvailabilitySettings(not_responding_after_s=1.0))
    one.app.availability.save_fence_device(device(lab, "a", gate, tmp_path))
    one.watch([important])
    with Copies(lab, important) as copies:
        home = lose_and_restart(lab, one, important, gate, fault)
        assert where(lab, other) == (), "nobody asked for that one"
        check_pins(lab, important, home)
        assert where(lab, taken) == ("b",)
        lab.fault.boot("a")
        lab.fault.heal("a")
        wait_until(
            lambda: bool(where(lab, important)) and one.has_said("forgot its old definition"),
            within_s=40,
            complaint=f"the old definition stays: {one.notices}",
        )
        assert important.uuid not in lab.virsh("a", "list", "--all", "--uuid").split()
        assert where(lab, important) == (home,)
    assert copies.looks > 20
    assert copies.most == 1, f"two copies ran at the same time: {copies.seen}"
    assert copies.seen <= {(), ("a",), (home,)}, "it ran at home, nowhere, and where it was restarted"


def lose_and_restart(lab: Lab, one: Console, important: Guest, gate: Path, fault: str) -> str:
    """Lose host a, prove that it is off, and wait until the VM is back; where."""
    getattr(lab.fault, fault)("a")
    wait_until(
        lambda: one.has_said("could not switch a off") and where(lab, important) in ((), ("a",)),
        within_s=40,
        complaint=f"the agent was not asked: {one.notices}",
    )
    # the switch cannot be reached: whoever runs on a host that is only silent still runs there, and only there
    assert where(lab, important) == (() if fault == "crash" else ("a",))
    assert not one.has_said(fence_agent.PASSWORD)

    gate.touch()
    proof = one.app.availability.fence("a")
    assert "says that it is off" in proof.sentence
    wait_until(
        lambda: where(lab, important) not in ((), ("a",)),
        within_s=40,
        complaint=f"it did not come back: {one.notices}",
    )
    (home,) = where(lab, important)
    assert home in ("b", "c")
    return home


def check_pins(lab: Lab, important: Guest, home: str) -> None:
    """Pins of its own there, computed anew."""
    pins = [line.split()[1] for line in lab.virsh(home, "vcpupin", important.uuid).splitlines()]
    assert len(set(pins)) == 2
    assert all(pin.isdecimal() for pin in pins), f"each vCPU has a CPU of its own there: {pins}"
    assert home != "b" or "0" not in pins, "that one is the neighbour's"
