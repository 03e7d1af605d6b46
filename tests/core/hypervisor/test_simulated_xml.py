"""The simulated hosts' XML, read by the real readers, says what was intended; and it looks as libvirt's does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libvirt
import pytest
from lxml import etree

from hpconsole.core.errors import OperationRefused
from hpconsole.core.hypervisor.capabilities_xml import cpu_model, read_capabilities, read_domain_capabilities
from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.hypervisor.intent_xml import format_intent
from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.demand import read_demand
from hpconsole.core.hypervisor.simulated.guests import GuestModel, definition_xml
from hpconsole.core.hypervisor.simulated.machines import GIB, PAGE_1G, PAGE_2M, Generation, HostModel, MachineShape
from hpconsole.core.hypervisor.simulated.pinned_guests import Line, guest_uuid
from hpconsole.core.hypervisor.simulated.xml_format import format_xml
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, NumaMode, Vm, VmIntent
from tests.core.hypervisor.simulated_clock import FakeClock, uuid_of


@pytest.fixture(scope="module")
def still() -> SimulatedCluster:
    """For tests that only read."""
    return SimulatedCluster.demo(clock=FakeClock())


@pytest.fixture
def cluster() -> Iterator[SimulatedCluster]:
    made = SimulatedCluster.demo(clock=FakeClock())
    yield made
    made.close()


def topology_of(cluster: SimulatedCluster, host: str) -> HostTopology:
    return read_capabilities(cluster.open(f"sim://{host}").facts().capabilities_xml).topology


def vm_named(cluster: SimulatedCluster, host: str, name: str, *, inactive: bool = False) -> Vm:
    connection = cluster.open(f"sim://{host}")
    record = next(record for record in connection.sample().domains if record.name == name)
    return read_vm(record, connection.domain_xml(record.uuid, inactive=inactive), host=host)


@pytest.mark.parametrize("model", demo.HOSTS, ids=lambda model: model.name)
def test_topology_is_the_one_intended(still: SimulatedCluster, model: HostModel) -> None:
    topology = topology_of(still, model.name)
    shape = model.shape
    assert topology.all_cpus == model.online
    assert (topology.sockets, topology.cores) == (shape.sockets, shape.cores)
    assert [node.cpus for node in topology.nodes] == list(model.node_cpus)
    assert [node.memory_kib for node in topology.nodes] == [model.node_kib(n) for n in range(shape.nodes)]
    assert all(dict(node.page_totals) == model.pool for node in topology.nodes)
    for node in topology.nodes:
        for other in topology.nodes:
            expected = (
                10
                if node is other
                else 12
                if node.cpus and _socket(topology, node.node_id) == _socket(topology, other.node_id)
                else 21
            )
            assert node.distance_to(other.node_id) == expected
    banks = shape.cores // (shape.cores_per_l3 or shape.cores_per_node)
    assert len(topology.l3_banks) == banks


def _socket(topology: HostTopology, node_id: int) -> int:
    return next(cpu.socket_id for cpu in topology.cpus if cpu.node_id == node_id)


def test_numbering_is_linuxs_on_most_and_adjacent_on_one_model(still: SimulatedCluster) -> None:
    two, eight, one = (topology_of(still, name) for name in ("host-01", "host-10", "host-07"))
    assert two.cpus[1].siblings == CpuSet.of([1, 33])
    assert eight.cpus[1].siblings == CpuSet.of([0, 1])
    assert one.cpus[1].siblings == CpuSet.of([1])


def test_offline_cpu_is_a_hole(still: SimulatedCluster) -> None:
    topology = topology_of(still, "host-11")
    assert 101 not in topology.all_cpus
    assert next(cpu for cpu in topology.cpus if cpu.cpu_id == 100).siblings == CpuSet.of([100])
    online = still.open("sim://host-11").sample().online_cpus
    assert [cpu for cpu, is_online in enumerate(online) if not is_online] == [101]
    assert len(online) == 128


def test_generations_differ_in_flags_and_models(still: SimulatedCluster) -> None:
    def cpu(host: str) -> tuple[frozenset[str], frozenset[str]]:
        facts = still.open(f"sim://{host}").facts()
        model = cpu_model(
            read_capabilities(facts.capabilities_xml), read_domain_capabilities(facts.domain_capabilities_xml)
        )
        return model.features, model.usable_models

    (old_flags, old_models), (new_flags, new_models) = cpu("host-04"), cpu("host-01")
    assert old_flags < new_flags < cpu("host-10")[0]
    assert new_models - old_models == {"Icelake-Server-noTSX"}
    capabilities = read_capabilities(still.open("sim://host-01").facts().capabilities_xml)
    assert "pc-q35-7.2" in capabilities.machines["x86_64", "kvm"]


def test_engine_vm_is_read_as_it_was_meant(still: SimulatedCluster) -> None:
    vm = vm_named(still, "host-02", "trade-engine-1")
    assert (vm.vcpus, vm.memory_kib, vm.huge_page_kib) == (8, 16 * GIB, PAGE_2M)
    assert [node.host_nodes for node in vm.virtual_nodes] == [(0,), (1,)]
    assert {node.mode for node in vm.virtual_nodes} == {NumaMode.STRICT}
    nodes = demo.HOSTS[1].node_cpus
    assert all(len(cpus) == 1 and cpus <= nodes[vcpu // 4] for vcpu, cpus in vm.pinning.vcpus)
    assert vm.pinning.emulator == CpuSet.of([0, 32])
    assert vm.intent.is_stored
    assert vm.intent.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE
    assert vm.cpu.is_passthrough


@pytest.mark.parametrize("line", demo.PINNED, ids=lambda line: line.name)
def test_every_pinned_vm_is_read(still: SimulatedCluster, line: Line) -> None:
    vm = vm_named(still, line.host, line.name)
    assert vm.is_pinned_or_high_performance
    assert vm.intent.is_stored is line.is_stored
    assert vm.intent.problem == ""
    assert vm.vcpus == line.vcpus
    assert len(vm.virtual_nodes) == (len(line.nodes) if line.has_virtual_nodes else 0)
    if line.is_stored:
        assert vm.intent.cpu_pinning_policy is line.policy
        assert vm.intent.allowed_hosts == line.allowed_hosts
        assert vm.intent.optimized_for is line.optimized_for
    if line.is_running and line.page_kib == PAGE_1G:
        assert vm.huge_page_kib == PAGE_1G


def test_definition_has_nothing_that_was_chosen_at_start(still: SimulatedCluster) -> None:
    host = still.open("sim://host-02")
    uuid = uuid_of(host, "trade-engine-1")
    live, inactive = host.domain_xml(uuid), host.domain_xml(uuid, inactive=True)
    for mark in ("<domain type='kvm' id=", "<resource>", "<alias", "<seclabel"):
        assert mark in live
        assert mark not in inactive


def test_libvirt_itself_writes_every_definition_the_same_way() -> None:
    """Its parser and formatter, by way of the test driver, change nothing but the domain type and a device name."""
    driver = libvirt.openAuth("test:///default", [[], None, None])
    for guest in (guest for guests in demo.guests(1).values() for guest in guests):
        ours = definition_xml(guest).replace("<domain type='kvm'>", "<domain type='test'>", 1)
        theirs = driver.defineXMLFlags(ours, 0).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert re.sub(r" +<target dev='testnet\d+'/>\n", "", theirs) == ours
    driver.close()


def test_migratable_xml_has_no_traces_of_the_process(still: SimulatedCluster) -> None:
    host = still.open("sim://host-01")
    for record in host.sample().domains:
        xml = host.migratable_xml(record.uuid)
        assert xml.startswith("<domain type='kvm'>")
        assert "<alias" not in xml
        assert "name='hypervisor'" not in xml
        assert host.migratable_xml(record.uuid, inactive=True) == host.domain_xml(record.uuid, inactive=True)


def test_it_looks_like_libvirts(still: SimulatedCluster) -> None:
    host = still.open("sim://host-02")
    xml = host.domain_xml(uuid_of(host, "trade-engine-1"))
    assert xml.startswith("<domain type='kvm' id=")
    assert "\n    <vcpupin vcpu='0' cpuset='1'/>\n" in xml
    assert '    <hpconsole:vm xmlns:hpconsole="urn:hpconsole:vm:1"' in xml  # libxml2 dumps metadata itself
    assert format_xml(etree.fromstring(xml)) == xml


def test_host_model_becomes_the_hosts_own_cpu_at_start() -> None:
    shape = MachineShape(1, 1, 4, 1, gib_per_node=16)
    guest = GuestModel("web-1", guest_uuid(1, "web-1"), 2, GIB, cpu_mode="host-model")
    for generation in (Generation.CASCADE_LAKE, Generation.ICE_LAKE):
        made = SimulatedCluster(clock=FakeClock(), hosts=[HostModel("h", shape, generation)], guests={"h": [guest]})
        host = made.open("sim://h")
        live = etree.fromstring(host.domain_xml(guest.uuid))
        flags = {feature.get("name") for feature in live.iterfind("cpu/feature")}
        assert ("avx512ifma" in flags) is (generation is Generation.ICE_LAKE)
        assert live.findtext("cpu/model") == read_capabilities(host.facts().capabilities_xml).cpu.model
        assert "host-model" in host.domain_xml(guest.uuid, inactive=True)


def test_names_are_escaped_and_hostile_text_stays_text() -> None:
    name = """a<b>&'c" </name><memory>1</memory>"""
    guest = GuestModel(name, guest_uuid(1, "x"), 1, GIB)
    xml = definition_xml(guest)
    assert read_demand(etree.fromstring(xml)).name == name
    assert read_demand(etree.fromstring(xml)).memory_kib == GIB


def test_metadata_is_replaced_and_removed_and_others_stay(cluster: SimulatedCluster) -> None:
    host = cluster.open("sim://host-02")
    uuid = uuid_of(host, "trade-engine-1")
    other = "<app:x xmlns:app='http://example.com/app'>kept &lt; here</app:x>"
    host.define(host.domain_xml(uuid, inactive=True).replace("<metadata>", f"<metadata>{other}"))
    for prefix in ("hpconsole", ""):  # as it stands in the XML, and as virDomainSetMetadata wants it
        policy = CpuPinningPolicy.DEDICATED if prefix else CpuPinningPolicy.ISOLATE_THREADS
        host.set_metadata(
            uuid, format_intent(VmIntent(cpu_pinning_policy=policy), prefix=prefix), live=True, config=True
        )
        for inactive in (False, True):
            vm = vm_named(cluster, "host-02", "trade-engine-1", inactive=inactive)
            assert vm.intent.cpu_pinning_policy is policy
    assert "kept &lt; here" in host.domain_xml(uuid, inactive=True)
    host.set_metadata(uuid, None, live=True, config=True)
    assert not vm_named(cluster, "host-02", "trade-engine-1").intent.is_stored
    assert "<metadata" not in host.domain_xml(uuid)
    assert "kept &lt; here" in host.domain_xml(uuid, inactive=True)
    with pytest.raises(OperationRefused):
        host.set_metadata(uuid, "<broken", live=True, config=False)


def test_pinning_a_vcpu_changes_the_documents(cluster: SimulatedCluster) -> None:
    host = cluster.open("sim://host-02")
    uuid = uuid_of(host, "trade-engine-1")
    host.pin_vcpu(uuid, 3, "5-7,^6", live=True, config=False)
    assert vm_named(cluster, "host-02", "trade-engine-1").pinning.of_vcpu(3) == CpuSet.of([5, 7])
    inactive = vm_named(cluster, "host-02", "trade-engine-1", inactive=True)
    assert inactive.pinning.of_vcpu(3) == CpuSet.of([34])
    host.pin_vcpu(uuid, 3, "5,64", live=True, config=False)
    assert vm_named(cluster, "host-02", "trade-engine-1").pinning.of_vcpu(3) == CpuSet.of([5])
    for vcpu, cpus in ((8, "1"), (0, "64"), (0, ""), (0, "x")):
        with pytest.raises(OperationRefused):
            host.pin_vcpu(uuid, vcpu, cpus, live=True, config=True)


def test_pinning_a_vcpu_that_had_no_pinning(cluster: SimulatedCluster) -> None:
    host = cluster.open("sim://host-01")
    name = next(record.name for record in host.sample().domains if record.name.startswith("web"))
    uuid = uuid_of(host, name)
    host.pin_vcpu(uuid, 1, "2", live=True, config=True)
    host.pin_vcpu(uuid, 0, "1", live=True, config=True)
    assert vm_named(cluster, "host-01", name).pinning.vcpus == ((0, CpuSet.of([1])), (1, CpuSet.of([2])))


def test_placement_is_written_into_the_migratable_xml(still: SimulatedCluster) -> None:
    host = still.open("sim://host-02")
    vm = vm_named(still, "host-02", "trade-engine-1")
    placement = Placement(
        vm.uuid,
        "host-10",
        bindings=(NodeBinding(0, (2,), NumaMode.STRICT), NodeBinding(1, (5,), NumaMode.STRICT)),
        pinning=CpuPinning(tuple((vcpu, CpuSet.of([40 + vcpu])) for vcpu in range(8)), CpuSet.of([32])),
    )
    demand = read_demand(etree.fromstring(with_placement(host.migratable_xml(vm.uuid), placement)))
    assert demand.nodes == CpuSet.of([2, 5])
    assert CpuSet.parse("40-47,32") <= demand.cpus
