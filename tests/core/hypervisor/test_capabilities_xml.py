"""What is read from capabilities: topologies of every kind, CPU models, machine types."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.capabilities_xml import (
    DomainCapabilities,
    HostCapabilities,
    cpu_model,
    read_capabilities,
    read_domain_capabilities,
)
from hpconsole.core.hypervisor.interning import one_object
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import CacheBank, HostNumaNode, HostTopology
from tests.core.hypervisor.xml_samples import foreign, foreign_files, text_of


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def host(inside: str, guests: str = "") -> HostCapabilities:
    return read_capabilities(f"<capabilities><host>{inside}</host>{guests}</capabilities>")


def cells(*written: str) -> HostTopology:
    return host(f"<topology><cells num='{len(written)}'>{''.join(written)}</cells></topology>").topology


def cell(node: int, *written: str, inside: str = "<memory unit='KiB'>1048576</memory>") -> str:
    listed = "".join(f"<cpu {attributes}/>" for attributes in written)
    return f"<cell id='{node}'>{inside}<cpus num='{len(written)}'>{listed}</cpus></cell>"


def cpu(number: int, socket: int, core: int, siblings: str, die: int = 0, cluster: int | None = None) -> str:
    more = "" if cluster is None else f" cluster_id='{cluster}'"
    return f"id='{number}' socket_id='{socket}' die_id='{die}'{more} core_id='{core}' siblings='{siblings}'"


def check_consistent(topology: HostTopology) -> None:
    """(socket, die, core) and siblings tell the same; every CPU is in the node that lists it."""
    cores: dict[tuple[int, int, int], CpuSet] = {}
    siblings = {one.cpu_id: one.siblings for one in topology.cpus}
    for one in topology.cpus:
        assert one.cpu_id in one.siblings
        assert {siblings[other] for other in one.siblings} == {one.siblings}
        assert cores.setdefault((one.socket_id, one.die_id, one.core_id), one.siblings) == one.siblings
        node = topology.node(one.node_id)
        assert node is not None
        assert one.cpu_id in node.cpus
    assert len(set(cores.values())) == len(cores)
    assert [one.cpu_id for one in topology.cpus] == sorted(topology.all_cpus)
    if topology.cpus:
        assert topology.threads == len(topology.cpus)
        assert topology.cores in (None, len(cores))
        assert topology.sockets in (None, len({one.socket_id for one in topology.cpus}))


@foreign("capabilities-xml")
def test_others_capabilities_are_read(path: Path) -> None:
    text = text_of(path)
    if "<domainCapabilities" in text:
        domain = read_domain_capabilities(text)
        assert domain.arch
        assert domain.virt_type
    else:
        read = read_capabilities(text)
        check_consistent(read.topology)
        assert read.cpu.arch
        assert read_capabilities(text).topology is read.topology


SHAPES = {  # sockets, cores, threads, dies per socket, CPUs of each node
    "libvirt-dies": (2, 12, 12, 3, ["0-11"]),
    "libvirt-aarch64-clusters": (2, 4, 8, 1, ["0-3", "4-7"]),
    "libvirt-hmat-memory-only-node": (24, 24, 24, 1, ["0-23", ""]),
    "kvm-aarch64": (2, 160, 160, 1, ["0-79", "80-159"]),
    "kvm-ppc64le": (2, 12, 96, 1, ["0-47", "48-95"]),
    "kvm-s390x": (2, 4, 4, 1, ["0-3"]),
    "kvm-x86_64": (1, 4, 8, 1, ["0-7"]),
    "lxc": (1, 4, 8, 1, ["0-7"]),  # modules of two cores: siblings say it, core numbers do not
    "bhyve": (1, 6, 6, 1, []),
    "test-empty": (None, None, 2, 1, ["0-1"]),
    "xen-rhel5.4": (None, None, 2, 1, ["0-1"]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_others_hosts(name: str) -> None:
    found = [path for path in foreign_files("capabilities-xml") if path.stem == name]
    if not found:
        pytest.skip("the folder of capabilities-xml files made by others is not here")
    topology = read_capabilities(text_of(found[0])).topology
    counts = topology.sockets, topology.cores, topology.threads, topology.dies_per_socket
    assert (*counts, [node.cpus.format() for node in topology.nodes]) == SHAPES[name]


def test_a_numa_host_is_read_whole() -> None:
    inside = (
        "<memory unit='GiB'>64</memory><pages unit='KiB' size='4'>100</pages><pages unit='KiB' size='2048'>512</pages>"
        "<pages unit='GiB' size='1'>2</pages>"
        "<distances><sibling id='0' value='10'/><sibling id='2' value='21'/></distances>"
    )
    topology = cells(
        cell(2, cpu(2, 5, 0, "2,6"), cpu(6, 5, 0, "2,6")),
        cell(0, cpu(4, 0, 1, "0,4"), cpu(0, 0, 1, "0,4"), inside=inside),
    )
    check_consistent(topology)
    assert topology.nodes == (
        HostNumaNode(0, 64 * 1024**2, cpus("0,4"), ((0, 10), (2, 21)), ((2048, 512), (1024**2, 2))),
        HostNumaNode(2, 1024**2, cpus("2,6")),
    )
    assert (topology.sockets, topology.cores, topology.threads) == (2, 2, 4)
    assert topology.supports_numa
    assert topology.node(0) is not None
    assert topology.nodes[0].distance_to(2) == 21


def test_offline_cpus_are_left_out() -> None:
    topology = cells(cell(0, cpu(0, 0, 0, "0"), "id='1'", cpu(2, 0, 2, "2-3"), "id='3'"))
    check_consistent(topology)
    assert topology.all_cpus == cpus("0,2")
    assert topology.nodes[0].cpus == cpus("0,2")
    assert (topology.sockets, topology.cores, topology.threads) == (1, 2, 2)


def test_core_numbers_that_repeat_in_each_cluster_are_told_apart() -> None:
    topology = cells(
        cell(
            0,
            cpu(0, 0, 0, "0", cluster=0),
            cpu(1, 0, 1, "1", cluster=0),
            cpu(2, 0, 0, "2", cluster=1),
            cpu(3, 0, 1, "3"),
        )
    )
    check_consistent(topology)
    assert topology.cores == 4


def test_a_host_without_numa_has_one_node() -> None:
    assert not cells(cell(0, cpu(0, 0, 0, "0"))).supports_numa
    assert host("").topology == HostTopology()
    assert host("<cpu><topology sockets='2' dies='2' cores='8' threads='2'/></cpu>").topology == HostTopology(
        sockets=2, cores=32, threads=64, dies_per_socket=2
    )


def test_nodes_without_cpus_or_memory() -> None:
    topology = cells(cell(0, cpu(0, 0, 0, "0"), inside=""), "<cell id='1'><memory>4096</memory></cell>")
    assert topology.nodes == (HostNumaNode(0, 0, cpus("0")), HostNumaNode(1, 4096, CpuSet()))


def test_counts_do_not_come_from_the_topology_element() -> None:
    """It is per NUMA node: a machine of two sockets in two nodes says sockets='1'."""
    read = host(
        "<cpu><topology sockets='1' dies='1' cores='1' threads='1'/></cpu><topology><cells>"
        + cell(0, cpu(0, 0, 0, "0"))
        + cell(1, cpu(1, 1, 0, "1"))
        + "</cells></topology>"
    )
    assert (read.topology.sockets, read.topology.cores) == (2, 2)


def test_level_3_caches() -> None:
    topology = host(
        "<cache><bank id='1' level='3' type='both' size='16' unit='MiB' cpus='4-7'/>"
        "<bank id='0' level='3' type='both' size='512' unit='KiB' cpus='0-3'/>"
        "<bank id='2' level='2' type='both' size='1' unit='MiB' cpus='0'/></cache>"
    ).topology
    assert topology.l3_banks == (CacheBank(3, 512, cpus("0-3")), CacheBank(3, 16 * 1024, cpus("4-7")))


def test_cpu_model_and_iommu() -> None:
    read = host(
        "<uuid> abc </uuid><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>"
        "<counter name='tsc' frequency='2794750000' scaling='yes'/><feature name='x2apic'/><feature name='svm'/></cpu>"
        "<iommu support='yes'/><migration_features><live/><uri_transports><uri_transport>rdma</uri_transport>"
        "</uri_transports></migration_features>"
    )
    assert (read.uuid, read.has_iommu, read.migration_transports) == ("abc", True, frozenset({"rdma"}))
    assert (read.cpu.arch, read.cpu.model, read.cpu.vendor) == ("x86_64", "EPYC", "AMD")
    assert read.cpu.features == {"x2apic", "svm"}
    assert (read.cpu.tsc_frequency_hz, read.cpu.has_tsc_scaling) == (2_794_750_000, True)
    assert host("").has_iommu is None


GUESTS = (
    "<guest><arch name='x86_64'><machine>old</machine><machine canonical='pc-q35-9.0'>q35</machine>"
    "<domain type='qemu'/><domain type='kvm'><machine>pc-q35-9.0</machine></domain></arch></guest>"
    "<guest><os_type>hvm</os_type><arch name='aarch64'><machine>virt</machine><domain type='qemu'/></arch></guest>"
)


def test_machine_types_by_architecture_and_kind() -> None:
    read = host("<cpu><arch>x86_64</arch></cpu>", GUESTS)
    assert read.machine_types() == {"pc-q35-9.0"}
    assert read.machine_types(virt_type="qemu") == {"old", "q35"}
    assert read.machine_types("aarch64") == {"virt"}
    assert read.machine_types("s390x") == frozenset()
    assert read.virt_types() == {"kvm", "qemu"}
    assert read.virt_types("aarch64") == {"qemu"}


def test_domain_capabilities() -> None:
    read = read_domain_capabilities(
        "<domainCapabilities><path>/usr/bin/qemu</path><domain>kvm</domain><machine>pc-q35-9.0</machine>"
        "<arch>x86_64</arch><vcpu max='4096'/><cpu><mode name='host-passthrough' supported='yes'/>"
        "<mode name='maximum' supported='no'/><mode name='host-model' supported='yes'><model>EPYC-Rome</model>"
        "<feature policy='require' name='x2apic'/><feature policy='disable' name='svm'/></mode>"
        "<mode name='custom' supported='yes'><model usable='yes'>EPYC</model><model usable='no'>Haswell</model>"
        "<model usable='unknown'>odd</model></mode></cpu></domainCapabilities>"
    )
    assert read == DomainCapabilities(
        arch="x86_64",
        machine="pc-q35-9.0",
        virt_type="kvm",
        emulator="/usr/bin/qemu",
        most_vcpus=4096,
        cpu_modes=frozenset({"host-passthrough", "host-model", "custom"}),
        usable_models=frozenset({"EPYC"}),
        host_model="EPYC-Rome",
        host_model_features=frozenset({"x2apic"}),
        host_model_lacks=frozenset({"svm"}),
    )
    assert read_domain_capabilities("") == DomainCapabilities()
    both = cpu_model(host("<cpu><arch>x86_64</arch><model>EPYC</model><feature name='npt'/></cpu>"), read)
    assert (both.model, both.features, both.usable_models) == (
        "EPYC",
        frozenset({"npt", "x2apic"}),
        frozenset({"EPYC"}),
    )


def large(sockets: int = 2, cores: int = 64, memory: int = 1024) -> str:
    written = []
    total = sockets * cores
    for node in range(sockets):
        own = range(node * cores, (node + 1) * cores)
        listed = [cpu(c + t * total, node, c, f"{c},{c + total}") for c in own for t in (0, 1)]
        written.append(cell(node, *listed, inside=f"<memory>{memory}</memory>"))
    return f"<capabilities><host><topology><cells>{''.join(written)}</cells></topology></host></capabilities>"


def test_hosts_of_one_model_share_one_topology() -> None:
    with ThreadPoolExecutor(4) as pool:
        topologies = [read.topology for read in pool.map(read_capabilities, [large()] * 40)]
    assert {id(topology) for topology in topologies} == {id(topologies[0])}
    other = read_capabilities(large(memory=1025)).topology  # equal machines differ by some KiB of memory
    assert other is not topologies[0]
    assert other.cpus is topologies[0].cpus


def test_interning_keeps_types_apart_and_is_bounded() -> None:
    assert one_object(("interning", 1)) is one_object(("interning", 1))
    assert one_object(False) is False
    assert one_object(0) is not False
    first = one_object(("interning", "x"))
    for number in range(5000):
        one_object(("interning", number))
    assert one_object(("interning", "x")) == first


def test_a_large_host_is_read_quickly() -> None:
    start = time.process_time()
    topology = read_capabilities(large(sockets=8, cores=128)).topology
    assert time.process_time() - start < 0.5
    assert (topology.sockets, topology.cores, topology.threads) == (8, 1024, 2048)


@pytest.mark.parametrize(
    "inside",
    [
        "<topology><cells><cell id='x'/></cells></topology>",
        "<topology><cells><cell id='1000000000'/></cells></topology>",
        "<topology><cells><cell id='0'><memory unit='moon'>1</memory></cell></cells></topology>",
        "<topology><cells><cell id='0'><pages size='-1'>1</pages></cell></cells></topology>",
        "<topology><cells><cell id='0'><cpus><cpu/></cpus></cell></cells></topology>",
        "<topology><cells><cell id='0'><cpus><cpu id='1000000000'/></cpus></cell></cells></topology>",
        "<topology><cells><cell id='0'><cpus><cpu id='0' socket_id='-1'/></cpus></cell></cells></topology>",
        "<topology><cells><cell id='0'><cpus><cpu id='0' siblings='0-999999999'/></cpus></cell></cells></topology>",
        "<topology><cells><cell><distances><sibling id='0' value='far'/></distances></cell></cells></topology>",
        "<cache><bank level='3' size='1' cpus='5-1'/></cache>",
        "<cpu><counter name='tsc' frequency='fast'/></cpu>",
        "<cpu><topology sockets='1000000000'/></cpu>",
    ],
)
def test_numbers_that_cannot_be_meant_are_a_sentence(inside: str) -> None:
    with pytest.raises(InvalidXml) as refused:
        host(inside)
    assert refused.value.sentence.startswith("The XML has ")
    assert refused.value.sentence.endswith(".")


def test_contradictions_end_in_a_consistent_topology() -> None:
    """A CPU in two nodes, siblings that do not exist, siblings that disagree."""
    topology = cells(
        cell(0, cpu(0, 0, 0, "0,9"), cpu(1, 0, 0, "1-2"), cpu(2, 0, 0, "2")),
        cell(0, cpu(5, 0, 1, "0-9")),
        cell(1, cpu(0, 1, 0, "0")),
    )
    check_consistent(topology)
    assert topology.all_cpus == cpus("0-2,5")


@pytest.mark.parametrize("text", ["", "<domain/>", "<capabilities/>", "<!DOCTYPE c><capabilities/>", "<capabilities>"])
def test_what_is_no_capabilities_is_a_sentence(text: str) -> None:
    with pytest.raises(InvalidXml, match="The host's capabilities"):
        read_capabilities(text)
    if text:
        with pytest.raises(InvalidXml, match="The host's domain capabilities"):
            read_domain_capabilities(text)
