"""Pausing, resuming and deleting on simulated hosts: what became untrue since the last poll is found just before."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.availability.definitions import KIND
from hpconsole.core.availability.holding import why_held
from hpconsole.core.errors import InvalidEdit, StorageError, VmNotFound
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest
from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.machines import life
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import OtherProcess, Vm, VmState
from hpconsole.core.scheduler.reservations import Reservation
from tests.core.hypervisor.simulated_clock import Move
from tests.lab.commands import wait_until

HOSTS = ("host-01", "host-02")
GUESTS = ("web-01", "db-pg-01", "kafka-1")


class Site:
    """An app over two simulated hosts."""

    def __init__(self) -> None:
        guests = {host: [guest for guest in demo.guests(1)[host] if guest.name in GUESTS] for host in HOSTS}
        models = [replace(model, link_mib_s=20) for model in demo.HOSTS if model.name in HOSTS]  # moves take long
        self.cluster = SimulatedCluster(hosts=models, guests=guests)
        self.app = App(self.cluster.uris(), opener=self.cluster.open, interval_s=0.1)
        self.app.start()
        self.wait(lambda s: len(s.vms) == len(GUESTS))

    def wait(self, condition: Callable[[ClusterSnapshot], bool]) -> None:
        self.app.poller.refresh()
        wait_until(lambda: condition(self.app.store.snapshot), within_s=30, complaint="not polled in time")

    def vm(self, name: str) -> Vm:
        return next(self.app.store.snapshot.vm_named(name))

    def on(self, vm: Vm) -> Hypervisor:
        """Its host, for somebody else's hands."""
        return self.cluster.open(self.cluster.uris()[vm.host or ""])

    def shut_off(self, name: str) -> Vm:
        self.on(self.vm(name)).force_off(self.vm(name).uuid)
        self.wait(lambda _: self.vm(name).state is VmState.SHUT_OFF)
        return self.vm(name)

    def held(self, vm: Vm, reservations: tuple[Reservation, ...] = ()) -> str:
        return why_held(vm.uuid, self.app.store.snapshot, reservations, self.app.documents)


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.app.close()
    one.cluster.close()


def test_a_vm_is_paused_and_resumed(site: Site) -> None:
    vm = site.vm("web-01")
    life.pause(site.app.pool, vm)
    site.wait(lambda _: site.vm("web-01").state is VmState.PAUSED)
    with pytest.raises(InvalidEdit, match=r"web-01 is paused on host-0\d: nothing to pause"):
        life.pause(site.app.pool, vm)
    life.resume(site.app.pool, site.vm("web-01"))
    site.wait(lambda _: site.vm("web-01").state is VmState.RUNNING)
    with pytest.raises(InvalidEdit, match="nothing to resume"):
        life.resume(site.app.pool, vm)


def test_a_vm_that_is_being_moved_is_neither_paused_nor_resumed(site: Site) -> None:
    """What stands still in the middle of a migration may not be all of the VM."""
    vm = site.vm("web-01")
    there = next(name for name in HOSTS if name != vm.host)
    move = Move(site.on(vm), vm.uuid, MigrationRequest(site.cluster.uris()[there]))
    wait_until(lambda: site.on(vm).job_stats(vm.uuid).job_type in (1, 2), within_s=20, complaint="it does not move")
    with pytest.raises(InvalidEdit, match=r"is being moved.*It was not paused"):
        life.pause(site.app.pool, vm)
    site.on(vm).suspend(vm.uuid)  # by another tool, which may
    with pytest.raises(InvalidEdit, match=r"is being moved.*It was not resumed"):
        life.resume(site.app.pool, vm)
    half = replace(vm, host=there)  # what arrives
    with pytest.raises(InvalidEdit, match="because of a migration"):
        life.resume(site.app.pool, half)
    site.on(vm).abort_job(vm.uuid)
    assert move.end(20) is not None


def test_a_vm_with_a_second_process_is_not_resumed(site: Site) -> None:
    vm = site.vm("web-01")
    life.pause(site.app.pool, vm)
    left = replace(site.vm("web-01"), other_processes=(OtherProcess("host-02"),))
    with pytest.raises(InvalidEdit, match="process on host-02 as well"):
        life.resume(site.app.pool, left)
    assert state_on_host(site, vm) == 3


def test_deleting_keeps_the_disks_and_writes_what_defines_it_again(site: Site, tmp_path: Path) -> None:
    vm = site.shut_off("kafka-1")
    deleted = life.delete(site.app.pool, vm, held=lambda: site.held(vm), save_in=tmp_path / "kept")
    site.wait(lambda s: vm.uuid not in s.vms)
    assert deleted.disks
    volumes = site.on(vm).volumes("shared")
    assert set(deleted.disks) <= {volume.path for volume in volumes}
    assert deleted.file == tmp_path / "kept" / "kafka-1.xml"
    assert stat.S_IMODE(deleted.file.stat().st_mode) == 0o600
    site.on(vm).define(deleted.file.read_text())
    site.wait(lambda s: vm.uuid in s.vms)
    again = life.delete(site.app.pool, vm, save_in=tmp_path / "kept")
    assert again.file == tmp_path / "kept" / "kafka-1-2.xml", "an earlier file is never overwritten"


def test_a_vm_that_started_meanwhile_stays(site: Site) -> None:
    vm = site.shut_off("kafka-1")
    site.on(vm).start(vm.uuid)  # the snapshot does not know yet
    with pytest.raises(InvalidEdit, match=r"kafka-1 is running on host-0\d: shut it down first. Nothing was deleted"):
        life.delete(site.app.pool, vm)


def test_a_vm_that_starts_while_its_definition_is_saved_stays(site: Site, tmp_path: Path) -> None:
    vm = site.shut_off("kafka-1")

    def held() -> str:
        site.on(vm).start(vm.uuid)
        return ""

    with pytest.raises(InvalidEdit, match="shut it down first"):
        life.delete(site.app.pool, vm, held=held, save_in=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_not_deleted(site: Site, tmp_path: Path) -> None:
    vm = site.shut_off("kafka-1")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Nothing was deleted"):
        life.delete(site.app.pool, vm, save_in=tmp_path / "file")
    life.delete(site.app.pool, vm)
    with pytest.raises(VmNotFound, match=r"not on host-0\d any more"):
        life.delete(site.app.pool, vm)


def test_a_promised_move_and_a_coming_restart_hold_a_vm(site: Site) -> None:
    vm = site.shut_off("db-pg-01")  # highly available
    assert site.held(vm) == ""
    assert "about to move to host-02" in site.held(vm, (Reservation(vm.uuid, "host-02"),))
    site.app.documents.save(KIND, vm.uuid, {"died": "an-incident"})
    with pytest.raises(InvalidEdit, match=r"about to restart db-pg-01.*Nothing was deleted"):
        life.delete(site.app.pool, vm, held=lambda: site.held(vm))
    assert state_on_host(site, vm) == 5


def state_on_host(site: Site, vm: Vm) -> int:
    """The number of its state in libvirt, asked now."""
    return next(record.state for record in site.on(vm).sample().domains if record.uuid == vm.uuid)
