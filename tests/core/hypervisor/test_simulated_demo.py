"""The demo as the scheduler sees it: the tour's VM has a choice and reasons, and whoever accepts a VM can take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.hypervisor.port import MigrationRequest
from hpconsole.core.hypervisor.simulated import migration
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.host import Host, HostLink, HostUsage, LinkState
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.reading import read_devices, read_facts, read_usage
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from tests.core.hypervisor.simulated_clock import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read_host(cluster: SimulatedCluster, name: str, uri: str) -> Host:
    connection = cluster.open(uri)
    host = read_facts(name, uri, connection.facts())
    usage = read_usage(connection.sample(), NOW, host.topology, 20.0, before=HostUsage(), overloaded_pct=80.0)
    devices = read_devices(connection.devices(), has_device_passthrough=True)
    return replace(host, usage=usage, devices=devices, link=HostLink(LinkState.CONNECTED))


def read_cluster(cluster: SimulatedCluster) -> ClusterSnapshot:
    """One snapshot by the poller's own readers."""
    vms = {}
    for name, uri in cluster.uris().items():
        connection = cluster.open(uri)
        for record in connection.sample().domains:
            vms[record.uuid] = read_vm(record, connection.domain_xml(record.uuid), host=name)
    hosts = {name: read_host(cluster, name, uri) for name, uri in cluster.uris().items()}
    return ClusterSnapshot(serial=1, taken_at=NOW, hosts=hosts, vms=vms)


class Demo:
    def __init__(self) -> None:
        self.cluster = SimulatedCluster.demo(clock=FakeClock())
        self.snapshot = read_cluster(self.cluster)

    def ranking(self, name: str) -> Ranking:
        uuid = next(self.snapshot.vm_named(name)).uuid
        return rank(Request((uuid,)), self.snapshot)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    made = Demo()
    yield made
    made.cluster.close()


def units(ranking: Ranking, host: str) -> set[str]:
    return {refusal.unit for refusal in ranking.refusals(host)}


def test_the_tours_vm_has_several_suitable_hosts(demo: Demo) -> None:
    ranking = demo.ranking("trade-engine-1")
    assert set(ranking.accepted) == {"host-01", "host-05", "host-10", "host-12"}
    shapes = {len(demo.snapshot.hosts[host].topology.nodes) for host in ranking.accepted}
    assert shapes == {2, 4, 8}


@pytest.mark.parametrize(
    ("host", "unit"),
    [
        ("host-02", "Migration"),
        ("host-03", "CpuPinning"),
        ("host-04", "CPU-Level"),
        ("host-06", "Network"),
        ("host-07", "NUMA"),
        ("host-08", "HugePages"),
        ("host-11", "HugePages"),
    ],
)
def test_the_tours_vm_is_refused_for_different_reasons(demo: Demo, host: str, unit: str) -> None:
    assert unit in units(demo.ranking("trade-engine-1"), host)


@pytest.mark.parametrize(
    ("vm", "host", "unit"),
    [
        ("sap-hana-1", "host-06", "PinToHost"),
        ("warehouse-1", "host-07", "Memory"),
        ("voip-sbc-2", "host-01", "CpuPinning"),  # no such CPUs
        ("voip-sbc-2", "host-10", "CpuPinning"),  # taken
        ("voip-sbc-2", "host-11", "CpuPinning"),  # one is offline
        ("sap-hana-2", "host-01", "HugePages"),  # 1 GiB pages
        ("kafka-1", "host-09", "NUMA"),
        ("db-pg-03", "host-07", "CPUTopology"),
    ],
)
def test_every_important_refusal_occurs(demo: Demo, vm: str, host: str, unit: str) -> None:
    assert unit in units(demo.ranking(vm), host)


def test_a_host_that_is_accepted_takes_the_vm(demo: Demo) -> None:
    """For every VM and every accepted host: the destination's XML, as the executor writes it, is not refused."""
    world = demo.cluster._world
    tried = 0
    for vm in demo.snapshot.vms.values():
        if not vm.state.is_active or vm.host is None:
            continue
        ranking = rank(Request((vm.uuid,)), demo.snapshot)
        source = demo.cluster.open(f"sim://{vm.host}")
        live, inactive = source.migratable_xml(vm.uuid), source.migratable_xml(vm.uuid, inactive=True)
        for host in ranking.accepted:
            placement = ranking.placement(host, vm.uuid)
            assert isinstance(placement, Placement)
            request = MigrationRequest(
                f"sim://{host}",
                destination_xml=with_placement(live, placement),
                persistent_xml=with_placement(inactive, placement),
            )
            with world.lock:
                migration.begin(world, world.daemons[vm.host], vm.uuid, request, world.daemons[host]).abort()
            tried += 1
    assert tried > 500
