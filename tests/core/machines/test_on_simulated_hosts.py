"""VMs made, edited live, started, cloned from templates and kept in pools, on simulated hosts through the real code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hpconsole.app import App
from hpconsole.core.errors import HypervisorError, InvalidEdit, PlanOutOfDate
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.machines import HostModel, MachineShape
from hpconsole.core.machines import applying, editing, life, storage
from hpconsole.core.machines.changing import When, changes
from hpconsole.core.machines.checking import check
from hpconsole.core.machines.draft import CpuPinningPolicy, MigrationMode, OptimizedFor, VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.pool_filling import fill
from hpconsole.core.machines.pools import PoolStore, VmPool, members, needs_of
from hpconsole.core.machines.profile import with_type
from hpconsole.core.machines.recommending import fill_all, recommend
from hpconsole.core.machines.saving_several import VmEdit, save_all
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.machines.templates import (
    Template,
    TemplateStore,
    export_text,
    import_text,
    instantiate,
    template_of,
)
from hpconsole.core.machines.verdicts import Tone, auto_assign, host_verdicts, numa_verdicts
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostStatus
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from tests.builders import a_topology

TWO_NODES = MachineShape(1, 2, 4, 2, gib_per_node=16)
HOSTS = [
    HostModel("h1", TWO_NODES, pages_2m_per_node=4096),
    HostModel("h2", TWO_NODES, pages_2m_per_node=4096),
    HostModel("small", MachineShape(1, 1, 4, 1, gib_per_node=8)),
]
GIB = 1 << 20


class Console:
    """An app on the simulated cluster, and a way to wait for what its polls see."""

    def __init__(self, app: App) -> None:
        self.app = app

    def around(self, host: str = "") -> Surroundings:
        return Surroundings(self.app.store.snapshot, host)

    def wait(self, condition: Callable[[ClusterSnapshot], bool]) -> None:
        seen = threading.Event()
        stop = self.app.store.subscribe(lambda snapshot: seen.set() if condition(snapshot) else None)
        self.app.poller.refresh()
        if not condition(self.app.store.snapshot):
            assert seen.wait(20), "not seen in time"
        stop()

    def vm(self, name: str) -> Vm:
        return next(iter(self.app.store.snapshot.vm_named(name)))

    def make(self, draft: VmDraft, host: str = "h1", *, start: bool = True) -> Vm:
        saved = applying.create(self.app.pool, host, draft, self.around(), start=start)
        assert saved.notes == ()
        self.wait(lambda s: saved.uuid in s.vms and s.vms[saved.uuid].state.is_active is start)
        return self.vm(draft.name)


def is_known(host: Host) -> bool:
    """Whether everything that verdicts ask about was polled."""
    parts = (host.topology.cpus, host.usage.nodes, host.devices.networks, host.machine_types)
    return all(parts) and host.usage.cpu_pct is not None


@pytest.fixture
def console() -> Iterator[Console]:
    cluster = SimulatedCluster(hosts=HOSTS, guests={})
    app = App(cluster.uris(), opener=cluster.open, interval_s=0.1)
    app.start()
    console = Console(app)
    console.wait(lambda s: len(s.hosts) == len(HOSTS) and all(is_known(host) for host in s.hosts.values()))
    yield console
    app.close()
    cluster.close()


def high_performance(console: Console, name: str = "fast", vcpus: int = 4) -> VmDraft:
    host = console.app.store.snapshot.hosts["h1"]
    draft = with_type(new_draft(name, host=host), OptimizedFor.HIGH_PERFORMANCE)
    return fill_all(editing.with_memory(editing.with_vcpus(draft, vcpus), 4 * GIB), console.around("h1"))


def test_a_recommended_vm_is_made_started_and_lies_as_recommended(console: Console) -> None:
    draft = high_performance(console)
    assert all(line.is_done for line in recommend(draft, console.around("h1")))
    assert check(draft, console.around("h1")) == ()
    assert draft.topology.threads == 2  # whole cores
    vm = console.make(draft)
    assert vm.intent.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE
    assert vm.intent.migration_mode is MigrationMode.MANUAL
    assert len(vm.pinning.all_vcpu_cpus) == 4
    assert vm.pinning.emulator is not None
    assert vm.pinning.emulator.isdisjoint(vm.pinning.all_vcpu_cpus)
    assert vm.virtual_nodes[0].host_nodes == (0,)
    assert vm.huge_page_kib == 2048
    volumes = storage.volumes(console.app.pool, "h1", "images")
    assert [(volume.name, volume.capacity_kib) for volume in volumes] == [("fast.qcow2", 20 * GIB)]


def test_a_running_vm_is_changed_at_once_where_it_can_be(console: Console) -> None:
    vm = console.make(high_performance(console))
    before = applying.open_vm(console.app.pool, "h1", vm.uuid)
    pins = {vcpu: CpuSet.of([cpu]) for vcpu, cpu in enumerate((4, 12, 5, 13))}
    after = replace(editing.pin_vcpus(before, pins), emulator_text="3", has_sound=True)
    after = editing.with_migration_mode(after, MigrationMode.AUTOMATIC)
    when = {change.field: change.when for change in changes(before, after, vm)}
    assert when == {
        "pinning_text": When.NOW,
        "emulator_text": When.NOW,
        "migration_mode": When.NOW,
        "has_sound": When.NEXT_START,
    }
    saved = applying.save(console.app.pool, "h1", before, after, console.around("h1"))
    assert saved.notes == ()
    # one call each: a poll may come in between
    console.wait(lambda s: s.vms[vm.uuid].pinning.all_vcpu_cpus == CpuSet.of([4, 5, 12, 13]))
    console.wait(lambda s: s.vms[vm.uuid].pinning.emulator == CpuSet.of([3]))
    console.wait(lambda s: s.vms[vm.uuid].intent.migration_mode is MigrationMode.AUTOMATIC)
    live = console.app.pool.call("h1", lambda h: h.domain_xml(vm.uuid), deadline_s=5)
    assert "<sound" not in live
    assert "<sound" in applying.open_vm(console.app.pool, "h1", vm.uuid).xml


def test_a_definition_that_somebody_else_changed_is_not_overwritten(console: Console) -> None:
    vm = console.make(high_performance(console), start=False)
    before = applying.open_vm(console.app.pool, "h1", vm.uuid)
    applying.save(console.app.pool, "h1", before, replace(before, title="first"), console.around("h1"))
    with pytest.raises(PlanOutOfDate, match="changed by somebody else"):
        applying.save(console.app.pool, "h1", before, replace(before, title="second"), console.around("h1"))
    assert applying.open_vm(console.app.pool, "h1", vm.uuid).title == "first"


def test_what_cannot_be_made_leaves_nothing_behind(console: Console) -> None:
    draft = high_performance(console)
    with pytest.raises(InvalidEdit):
        applying.create(console.app.pool, "h1", replace(draft, name="a/b"), console.around())
    console.make(draft, start=False)
    twin = replace(draft, name="twin", disks=(*(replace(d, volume="twin.qcow2") for d in draft.disks), draft.disks[0]))
    with pytest.raises(HypervisorError, match=r"fast\.qcow2"):
        applying.create(console.app.pool, "h1", twin, console.around())
    assert [volume.name for volume in storage.volumes(console.app.pool, "h1", "images")] == ["fast.qcow2"]


def test_a_vm_is_renamed_shut_down_and_deleted_with_its_disk(console: Console) -> None:
    vm = console.make(high_performance(console), start=False)
    before = applying.open_vm(console.app.pool, "h1", vm.uuid)
    applying.save(console.app.pool, "h1", before, replace(before, name="faster"), console.around("h1"))
    console.wait(lambda s: s.vms[vm.uuid].name == "faster")
    applying.start_vm(console.app.pool, console.vm("faster"), console.around("h1"))
    console.wait(lambda s: s.vms[vm.uuid].state.is_active)
    with pytest.raises(InvalidEdit, match="shut it down first"):
        life.delete(console.app.pool, console.vm("faster"))
    applying.shut_down(console.app.pool, console.vm("faster"), by_force=True)
    console.wait(lambda s: not s.vms[vm.uuid].state.is_active)
    known = console.app.store.snapshot
    assert life.delete(console.app.pool, console.vm("faster"), with_volumes=known).notes == ()
    console.wait(lambda s: vm.uuid not in s.vms)
    assert storage.volumes(console.app.pool, "h1", "images") == ()


def a_template(console: Console, draft: VmDraft) -> Template:
    topology = console.app.store.snapshot.hosts["h1"].topology
    plain = replace(draft, disks=(), name="golden")
    return template_of(plain, "golden", source_host="h1", topology=topology)


def test_two_vms_from_a_pinned_template_get_cores_of_their_own(console: Console) -> None:
    store = TemplateStore(console.app.documents)
    store.save(a_template(console, high_performance(console)))
    template = import_text(export_text(store.get("golden")))
    assert template == store.get("golden")
    first = console.make(instantiate(template, "one"))
    second = console.make(instantiate(template, "two"))
    for vm in (first, second):
        assert vm.intent.template == "golden"
        assert vm.intent.optimized_for is OptimizedFor.HIGH_PERFORMANCE
        assert vm.intent.migration_mode is MigrationMode.MANUAL
    assert first.pinning.all_vcpu_cpus.isdisjoint(second.pinning.all_vcpu_cpus)
    assert len(first.pinning.all_vcpu_cpus) == len(second.pinning.all_vcpu_cpus) == 4


def test_a_template_of_a_host_that_is_not_here_keeps_its_shape(console: Console) -> None:
    """Its two vCPUs shared a core there (CPUs 0 and 4); CPUs 0 and 8 are the siblings here."""
    draft = editing.with_vcpus(replace(new_draft("x"), disks=(), nics=()), 2)
    draft = replace(draft, cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE, pinning_text="0#0_1#4")
    template = template_of(draft, "foreign", source_host="elsewhere", topology=a_topology(1, 1, 4, 2))
    cpus = sorted(console.make(instantiate(template, "one")).pinning.all_vcpu_cpus)
    assert cpus[1] - cpus[0] == 8


def test_a_literal_template_names_the_vm_it_collides_with(console: Console) -> None:
    draft = editing.with_hosts(new_draft("x"), ["h1"])
    draft = editing.pin_vcpus(replace(draft, disks=(), nics=()), {0: CpuSet.of([2]), 1: CpuSet.of([3])})
    template = a_template(console, draft)
    console.make(instantiate(template, "one"))
    problems = check(instantiate(template, "two"), console.around("h1"))
    assert [problem.sentence for problem in problems] == [
        "one (running) is pinned to CPUs 2-3 of h1, too: both will be slower. “Keep the shape” gives each VM cores of "
        "its own."
    ]


def test_a_pool_of_four_is_made_and_kept(console: Console) -> None:
    template = a_template(console, high_performance(console))
    pool = VmPool("farm", "golden", size=4, prestarted=3)
    PoolStore(console.app.documents).save(pool)
    done = fill(console.app.pool, PoolStore(console.app.documents).get("farm"), template, console.around())
    assert done.notes == []
    assert [saved.name for saved in done.made] == ["farm-1", "farm-2", "farm-3", "farm-4"]
    assert [saved.is_started for saved in done.made] == [True, True, True, False]
    console.wait(lambda s: sum(vm.state.is_active for vm in members(pool, s)) == 3)
    running = [vm for vm in members(pool, console.app.store.snapshot) if vm.state.is_active]
    for vm in running:
        for other in running:
            if other is not vm and other.host == vm.host:
                assert vm.pinning.all_vcpu_cpus.isdisjoint(other.pinning.all_vcpu_cpus)
    applying.shut_down(console.app.pool, running[0], by_force=True)
    console.wait(lambda s: sum(vm.state.is_active for vm in members(pool, s)) == 2)
    needs = needs_of(pool, console.app.store.snapshot)
    assert (needs.make, len(needs.start)) == ((), 1)
    again = fill(console.app.pool, pool, template, console.around())
    assert (len(again.started), again.notes) == (1, [])


def test_a_pool_stops_with_a_sentence_when_hosts_are_full(console: Console) -> None:
    template = a_template(console, high_performance(console, vcpus=8))
    done = fill(console.app.pool, VmPool("farm", "golden", size=6, prestarted=6), template, console.around())
    assert 2 <= len(done.made) < 6
    assert len(done.notes) == 1
    assert "No host can run farm-" in done.notes[0]


def test_verdicts_name_every_mismatch_with_numbers(console: Console) -> None:
    draft = editing.with_hosts(high_performance(console), ["h1", "h2", "small", "gone"])
    verdicts = {verdict.host: verdict for verdict in host_verdicts(draft, console.around("h1"))}
    assert [verdicts[name].tone for name in ("h1", "h2")] == [Tone.GREEN, Tone.GREEN]
    assert verdicts["small"].tone is Tone.RED
    assert "2,048 2-MiB pages are needed, 0 are free" in verdicts["small"].sentence
    assert "gone" in verdicts["gone"].sentence
    there = verdicts["h2"].placement
    assert there is not None
    assert len(there.pinning.vcpus) == 4


def test_virtual_nodes_are_assigned_and_judged_per_host(console: Console) -> None:
    host = console.app.store.snapshot.hosts["h1"]
    draft = editing.with_memory(editing.with_vcpus(replace(new_draft("n", host=host), disks=()), 4), 12 * GIB)
    draft = editing.with_hosts(editing.with_node_count(editing.with_huge_pages(draft, 2048), 2), ["h1", "small"])
    around = console.around("h1")
    assigned = auto_assign(draft, around, "h1")
    assert not isinstance(assigned, str)
    assert sorted(node.host_nodes for node in assigned.numa_nodes) == [(0,), (1,)]
    refused = auto_assign(draft, around, "small")
    assert isinstance(refused, str)
    tones = {verdict.host: verdict.tone for verdict in numa_verdicts(assigned, around)}
    assert tones == {"h1": Tone.GREEN, "small": Tone.RED}


def test_a_start_without_room_changes_nothing(console: Console) -> None:
    vm = console.make(high_performance(console), start=False)
    for number in range(3):
        console.make(instantiate(a_template(console, high_performance(console)), f"other-{number}"))
    before = applying.open_vm(console.app.pool, "h1", vm.uuid).xml
    with pytest.raises(NoSuitableHost, match="nothing was changed"):
        applying.start_vm(console.app.pool, vm, console.around("h1"))
    assert applying.open_vm(console.app.pool, "h1", vm.uuid).xml == before


def test_resize_and_pin_makes_the_vm_as_large_as_its_host(console: Console) -> None:
    host = console.app.store.snapshot.hosts["h1"]
    draft = editing.with_policy(new_draft("sap", host=host), CpuPinningPolicy.RESIZE_AND_PIN_NUMA)
    draft = replace(editing.with_memory(draft, 2 * GIB), disks=(), nics=())
    with pytest.raises(InvalidEdit, match="not among the specific hosts"):
        applying.create(console.app.pool, "h1", editing.with_hosts(draft, ["h2"]), console.around())
    vm = console.make(draft)
    assert (vm.topology.sockets, vm.topology.cores, vm.topology.threads) == (1, 7, 2)
    assert [node.host_nodes for node in vm.virtual_nodes] == [(0,), (1,)]
    first = {min(node.cpus) for node in host.topology.nodes}  # the first core of each node is the host's
    assert vm.pinning.all_vcpu_cpus.isdisjoint(CpuSet.of(first))
    assert all(len(cpus) == 2 for _, cpus in vm.pinning.vcpus)


def test_several_vms_are_checked_before_any_is_written_and_what_was_written_is_told(console: Console) -> None:
    host = console.app.store.snapshot.hosts["h1"]
    vms = [console.make(replace(new_draft(name, host=host), disks=()), start=False) for name in ("one", "two", "three")]
    opened = [applying.open_vm(console.app.pool, "h1", vm.uuid) for vm in vms]
    wrong = [VmEdit("h1", d, replace(d, title="new")) for d in opened[:2]]
    wrong.append(VmEdit("h1", opened[2], replace(opened[2], memory_kib=1 << 44)))
    with pytest.raises(InvalidEdit, match=r"three: .* No VM was changed"):
        save_all(console.app.pool, wrong, console.around())
    assert [applying.open_vm(console.app.pool, "h1", vm.uuid).title for vm in vms] == ["", "", ""]

    same = [VmEdit("h1", d, replace(d, name="same")) for d in opened[:2]]  # each alone is possible
    done = save_all(
        console.app.pool, [*same, VmEdit("h1", opened[2], replace(opened[2], title="new"))], console.around()
    )
    assert [saved.name for saved in done.saved] == ["same"]
    assert done.problem.startswith("Saved: same. Not saved: two on h1. ")
    assert done.problem.endswith("Not tried: three.")
    assert [applying.open_vm(console.app.pool, "h1", vm.uuid).name for vm in vms] == ["same", "two", "three"]


def test_a_vm_is_not_started_where_it_may_not_run(console: Console) -> None:
    host = console.app.store.snapshot.hosts["h1"]
    vm = console.make(replace(new_draft("roamer", host=host), disks=()), start=False)
    before = applying.open_vm(console.app.pool, "h1", vm.uuid)
    applying.save(console.app.pool, "h1", before, editing.with_hosts(before, ["h2", "small"]), console.around("h1"))
    xml = applying.open_vm(console.app.pool, "h1", vm.uuid).xml
    with pytest.raises(NoSuitableHost, match="may run on h2 and small only, and is defined on h1") as refused:
        applying.start_vm(console.app.pool, vm, console.around("h1"))
    assert "best on " in refused.value.sentence
    assert applying.open_vm(console.app.pool, "h1", vm.uuid).xml == xml
    around = console.around("h1")
    resting = replace(around.snapshot.hosts["h1"], status=HostStatus.MAINTENANCE)
    around = replace(around, snapshot=replace(around.snapshot, hosts={**around.snapshot.hosts, "h1": resting}))
    other = console.make(replace(new_draft("other", host=host), disks=()), start=False)
    with pytest.raises(NoSuitableHost, match="takes no VMs now"):
        applying.start_vm(console.app.pool, other, around)
