"""Deleting a VM with its disks: none that another VM needs, none while any host may run the VM; and what is saved."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.errors import InvalidEdit, StorageError, VmNotFound
from hpconsole.core.hypervisor.machine_port import NewVolume
from hpconsole.core.machines import life
from hpconsole.core.machines.own_volumes import removable_disks
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from tests.core.machines.test_life import HOSTS, Site


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.app.close()
    one.cluster.close()


def delete_all(site: Site, vm: Vm, known: ClusterSnapshot | None = None, save_in: Path | None = None) -> life.Deleted:
    return life.delete(site.app.pool, vm, with_volumes=known or site.app.store.snapshot, save_in=save_in)


def paths(site: Site, vm: Vm) -> set[str]:
    return {volume.path for volume in site.on(vm).volumes("shared")}


def is_there(site: Site, vm: Vm) -> bool:
    return any(record.uuid == vm.uuid for record in site.on(vm).sample().domains) and set(life.own_disks(vm)) <= paths(
        site, vm
    )


def test_its_own_disks_go(site: Site) -> None:
    vm = site.shut_off("kafka-1")
    assert delete_all(site, vm).notes == ()
    assert not set(life.own_disks(vm)) & paths(site, vm)


def test_it_stays_while_another_host_has_a_process_of_it(site: Site, tmp_path: Path) -> None:
    vm = site.shut_off("kafka-1")
    there = site.on(replace(vm, host=next(name for name in HOSTS if name != vm.host)))
    there.define(site.on(vm).definition(vm.uuid))
    there.start(vm.uuid)
    with pytest.raises(InvalidEdit, match=r"has a process on host-0\d.*Nothing was deleted"):
        delete_all(site, vm, save_in=tmp_path)
    assert is_there(site, vm)
    assert list(tmp_path.iterdir()) == [], "nothing was deleted, so nothing with passwords is left about"


def test_it_stays_while_a_host_is_silent(site: Site) -> None:
    vm = site.shut_off("kafka-1")
    other = next(name for name in HOSTS if name != vm.host)
    site.cluster.crash(other)
    site.wait(lambda s: s.hosts[other].link.state is not LinkState.CONNECTED)
    with pytest.raises(InvalidEdit, match=f"{other} cannot be asked.*Nothing was deleted"):
        delete_all(site, vm)
    assert is_there(site, vm)
    life.delete(site.app.pool, vm)  # without its disks nothing is at stake


def test_a_disk_that_another_vm_names_stays(site: Site) -> None:
    vm, other = site.shut_off("kafka-1"), site.vm("web-01")
    volume = next(volume for volume in site.on(vm).volumes("shared") if volume.path in life.own_disks(vm))
    snapshot = site.app.store.snapshot
    for source in (volume.path, f"shared/{volume.name}"):  # as a file, or by its pool
        disk = replace(vm.devices.disks[0], source=source)
        sharing = replace(other, devices=replace(other.devices, disks=(disk,)))
        with pytest.raises(InvalidEdit, match="it is a disk of web-01, too"):
            delete_all(site, vm, replace(snapshot, vms={**snapshot.vms, other.uuid: sharing}))
    assert is_there(site, vm)


def test_a_disk_under_an_overlay_stays(site: Site) -> None:
    vm = site.shut_off("kafka-1")
    base = next(volume for volume in site.on(vm).volumes("shared") if volume.path in life.own_disks(vm))
    site.on(vm).create_volume(NewVolume("shared", "over.qcow2", clone_from=base.name, is_linked=True))
    with pytest.raises(InvalidEdit, match=r"over\.qcow2 is an overlay over it"):
        delete_all(site, vm)
    assert is_there(site, vm)


def test_what_it_only_reads_stays(site: Site) -> None:
    vm = site.shut_off("kafka-1")
    disks = tuple(replace(disk, is_readonly=True) for disk in vm.devices.disks)
    reading = replace(vm, devices=replace(vm.devices, disks=disks))
    assert removable_disks(vm)
    assert removable_disks(reading) == ()
    delete_all(site, reading)
    assert set(life.own_disks(vm)) <= paths(site, vm)


def test_nothing_is_deleted_before_its_definition_is_on_the_disk(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = site.shut_off("kafka-1")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device\. Nothing was deleted"):
        life.delete(site.app.pool, vm, save_in=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert is_there(site, vm)


def test_where_somebody_else_was_faster_the_file_stays_and_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be all that is left of the VM."""
    vm = site.shut_off("kafka-1")
    really = os.fsync

    def written(descriptor: int) -> None:
        really(descriptor)
        monkeypatch.undo()
        site.on(vm).undefine(vm.uuid)

    monkeypatch.setattr(os, "fsync", written)
    with pytest.raises(VmNotFound) as told:
        life.delete(site.app.pool, vm, save_in=tmp_path)
    assert f"Its definition was saved in {tmp_path / 'kafka-1.xml'}." in told.value.sentence
    assert "<name>kafka-1</name>" in (tmp_path / "kafka-1.xml").read_text()
