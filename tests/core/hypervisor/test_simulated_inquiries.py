"""The simulated cluster answers what is asked before a migration as libvirt does."""

from __future__ import annotations

import pytest

from hpconsole.core.errors import OperationRefused
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB, HostModel, MachineShape

UUID = "11111111-2222-4333-8444-555555555555"
# writes 100 MiB/s to 10 % of its 4 GiB
BUSY = LoadCharacter(0.5, 0.1, 100, 0.1)


class Clock:
    """Time that moves when it is told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> SimulatedCluster:
    hosts = [HostModel(name, MachineShape(1, 1, 8, 1, gib_per_node=32), link_mib_s=500) for name in "ab"]
    guest = GuestModel(name="db", vcpus=2, memory_kib=4 * GIB, character=BUSY, uuid=UUID)
    return SimulatedCluster(clock=clock, hosts=hosts, guests={"a": (guest,)})


def test_a_dirty_rate_is_known_when_its_time_is_over_and_counts_each_page_once(
    cluster: SimulatedCluster, clock: Clock
) -> None:
    host = cluster.open("sim://a/system")
    assert not host.dirty_rate(UUID).is_measured
    found = []
    for period_s in (1, 4):
        host.start_dirty_rate(UUID, period_s)
        assert not host.dirty_rate(UUID).is_measured
        with pytest.raises(OperationRefused):
            host.start_dirty_rate(UUID, 1)
        clock.now_s += period_s
        found.append(host.dirty_rate(UUID))
    assert [rate.is_measured for rate in found] == [True, True]
    assert found[0].mib_s == pytest.approx(88, abs=2)
    assert found[1].mib_s < found[0].mib_s, "what is written to again counts once"
    host.close()


@pytest.mark.parametrize("seconds", [0, 61])
def test_a_period_is_between_1_and_60_s(cluster: SimulatedCluster, seconds: int) -> None:
    host = cluster.open("sim://a/system")
    with pytest.raises(OperationRefused):
        host.start_dirty_rate(UUID, seconds)
    host.close()


def test_a_paused_guest_writes_nothing(cluster: SimulatedCluster, clock: Clock) -> None:
    host = cluster.open("sim://a/system")
    host.suspend(UUID)
    host.start_dirty_rate(UUID, 1)
    clock.now_s += 1
    assert host.dirty_rate(UUID).mib_s == 0
    host.close()


def test_cards_and_files(cluster: SimulatedCluster) -> None:
    host = cluster.open("sim://b/system")
    assert host.card_speed_mib_s() == 500
    assert host.has_file("/x") is None
    assert host.file_times("/x") is None
    host.close()


@pytest.mark.parametrize(
    ("cpu", "words"),
    [
        ("<cpu mode='custom'><model>qemu64</model></cpu>", ""),
        ("<cpu mode='custom'><model>Unheard-Of</model></cpu>", "Unheard-Of"),
        ("<cpu><feature policy='require' name='amx-tile'/></cpu>", "amx-tile"),
        ("<cpu><feature policy='optional' name='amx-tile'/></cpu>", ""),
    ],
)
def test_cpus_are_compared(cluster: SimulatedCluster, cpu: str, words: str) -> None:
    host = cluster.open("sim://b/system")
    told = host.compare_cpu(cpu, arch="x86_64", machine="q35", virt_type="kvm")
    assert words in told
    assert bool(words) == bool(told)
    host.close()
