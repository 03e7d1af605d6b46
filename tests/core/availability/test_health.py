"""What is said of a host: fit, unfit with its cause by name, silent, or off. Silence is never taken for off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hpconsole.core.availability.health import HealthState, TroubleKind, judge, judge_all
from hpconsole.core.availability.settings import AvailabilitySettings
from hpconsole.core.model.affinity import ClusterSettings
from hpconsole.core.model.host import Host, HostDevices, HostLink, LinkState
from hpconsole.core.model.vm import Disk, Nic, Vm, VmDevices
from tests.builders import NOW, a_host, a_snapshot, a_vm

SETTINGS, CLUSTER = AvailabilitySettings(), ClusterSettings()


def on_pool(pool: str = "fast") -> Vm:
    return a_vm(devices=VmDevices(disks=(Disk("vda", "volume", "disk", f"{pool}/one.qcow2"),)))


def with_devices(**devices: Any) -> Host:
    return a_host(devices=HostDevices(**devices))


def test_a_host_that_has_what_its_vms_use_is_fit() -> None:
    host = with_devices(storage_pools=frozenset({"fast"}))
    assert judge(host, [on_pool()], CLUSTER, SETTINGS).state is HealthState.FIT


def test_an_inactive_pool_that_vms_use_is_named_with_them() -> None:
    health = judge(a_host(), [on_pool()], CLUSTER, SETTINGS)
    assert health.state is HealthState.NON_OPERATIONAL
    (trouble,) = health.troubles
    assert (trouble.kind, trouble.what) == (TroubleKind.STORAGE, "fast")
    assert "vm-1" in trouble.sentence


def test_a_pool_that_is_asked_for_is_missed_without_users() -> None:
    settings = AvailabilitySettings(required_pools=frozenset({"fast"}))
    assert judge(a_host(), [], CLUSTER, settings).state is HealthState.NON_OPERATIONAL


@pytest.mark.parametrize(
    ("nic", "devices", "is_fit"),
    [
        (Nic("network", "prod"), {"networks": frozenset({"prod"})}, True),
        (Nic("network", "prod"), {"networks": frozenset({"other"})}, False),
        (Nic("bridge", "br0"), {"bridges": frozenset({"br1"})}, False),
        (Nic("bridge", "br0"), {}, True),  # without an interface driver nobody tells bridges
    ],
)
def test_networks_and_bridges(nic: Nic, devices: dict[str, frozenset[str]], is_fit: bool) -> None:
    vm = a_vm(devices=VmDevices(nics=(nic,)))
    health = judge(with_devices(**devices), [vm], CLUSTER, SETTINGS)
    assert (health.state is HealthState.FIT) == is_fit
    assert all(trouble.kind is TroubleKind.NETWORK for trouble in health.troubles)


def test_a_daemon_whose_polls_fail_is_trouble_and_so_is_one_that_refuses_us() -> None:
    link = HostLink(LinkState.CONNECTED, answered_at=NOW, problem="internal error")
    assert judge(a_host(link=link), [], CLUSTER, SETTINGS).troubles[0].kind is TroubleKind.DAEMON
    refused = judge(a_host(link=HostLink(LinkState.REFUSED, problem="no key")), [], CLUSTER, SETTINGS)
    assert refused.state is HealthState.NON_OPERATIONAL


@pytest.mark.parametrize("state", [LinkState.DISCONNECTED, LinkState.UNRESPONSIVE])
def test_silence_is_not_off(state: LinkState) -> None:
    silent = a_host(link=HostLink(state, since=NOW, answered_at=NOW))
    health = judge(silent, [a_vm()], CLUSTER, SETTINGS)
    assert health.state is HealthState.NOT_RESPONDING
    assert health.silent_s(NOW + timedelta(seconds=90)) == 90
    assert judge(silent, [], CLUSTER, SETTINGS, off="The agent says so.").state is HealthState.OFF


def test_a_host_that_answers_is_not_off_whatever_was_said() -> None:
    assert judge(a_host(), [], CLUSTER, SETTINGS, off="The agent says so.").state is HealthState.FIT


def test_a_host_that_never_answered_is_not_known_yet() -> None:
    new = replace(a_host(), link=HostLink(LinkState.CONNECTING, since=NOW))
    snapshot = a_snapshot([new])
    assert judge_all(snapshot, SETTINGS)[new.name].state is HealthState.UNKNOWN
