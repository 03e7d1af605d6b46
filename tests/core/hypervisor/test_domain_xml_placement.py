"""A placement is written into a definition, and nothing else changes."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune
from tests.core.hypervisor.xml_samples import AWKWARD, DENSE, OWN, PINNED, RECORD, foreign, schema_errors, text_of

FREE = Placement(RECORD.uuid, "host-b")


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


ELSEWHERE = Placement(
    RECORD.uuid,
    "host-b",
    bindings=(NodeBinding(0, (2,), NumaMode.STRICT), NodeBinding(1, (3,), NumaMode.STRICT)),
    pinning=CpuPinning(
        vcpus=((0, cpus("16")), (1, cpus("48")), (2, cpus("24")), (3, cpus("56"))),
        emulator=cpus("17,49"),
        iothreads=((1, cpus("17")), (2, cpus("49"))),
    ),
)

SETS = st.builds(CpuSet.of, st.lists(st.integers(0, 500), min_size=1, max_size=4))
PINS = st.dictionaries(st.integers(0, 12), SETS, max_size=5).map(lambda pairs: tuple(sorted(pairs.items())))
MODES = st.sampled_from(NumaMode)
PLACEMENTS = st.builds(
    Placement,
    st.just(RECORD.uuid),
    st.just("host-b"),
    bindings=st.lists(
        st.builds(
            NodeBinding,
            st.integers(0, 1),
            st.sets(st.integers(0, 9), max_size=3).map(lambda n: tuple(sorted(n))),
            MODES,
        ),
        max_size=2,
        unique_by=lambda binding: binding.node_id,
    ).map(tuple),
    pinning=st.builds(CpuPinning, PINS, st.none() | SETS, PINS),
    numa_tune=st.none() | st.builds(NumaTune, MODES, SETS),
)


def masked(xml: str) -> str:
    """The text without anything a placement may write. Written apart from the editor, with plain patterns."""
    comments: list[str] = []

    def hidden(match: re.Match[str]) -> str:
        comments.append(match[0])
        return f"\x01{len(comments) - 1}\x01"

    xml = re.sub(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", hidden, xml, flags=re.DOTALL)
    xml = re.sub(r"\s*<(vcpupin|emulatorpin|iothreadpin|memnode)\b[^>]*?(/>|>\s*</\1\s*>)", "", xml)
    xml = re.sub(r"\s*<memory\s[^>]*(nodeset|placement)[^>]*/>", "", xml)
    xml = re.sub(r"\s*<(cputune|numatune)\s*(/>|>\s*</\1\s*>)", "", xml)
    xml = re.sub(r"(<vcpu\b[^>]*?)\s+cpuset\s*=\s*('[^']*'|\"[^\"]*\")", r"\1", xml)
    xml = re.sub(r"(<vcpu\b[^>]*?placement\s*=\s*['\"])auto", r"\1static", xml)
    return re.sub("\x01(\\d+)\x01", lambda match: comments[int(match[1])], xml)


def check(xml: str, placement: Placement) -> None:
    """Read back it is the placement; what is not pinning is the same text; writing again changes nothing."""
    written = with_placement(xml, placement)
    assert masked(written) == masked(xml)
    assert with_placement(written, placement) == written
    vm = read_vm(RECORD, written, host="host-b")
    assert vm.pinning == placement.pinning
    bindings = {binding.node_id: binding for binding in placement.bindings if binding.host_nodes}
    nodes = CpuSet.of(node for binding in bindings.values() for node in binding.host_nodes)
    if not vm.virtual_nodes:
        bindings = {}
    for node in vm.virtual_nodes:
        binding = bindings.get(node.node_id)
        assert node.host_nodes == (binding.host_nodes if binding else ())
        assert binding is None or node.mode is binding.mode
    if placement.numa_tune is not None:
        assert vm.numa_tune is not None
        assert vm.numa_tune.nodeset == placement.numa_tune.nodeset
        is_possible = placement.numa_tune.mode is not NumaMode.RESTRICTIVE or all(
            binding.mode is NumaMode.RESTRICTIVE for binding in bindings.values()
        )
        assert (vm.numa_tune.mode is placement.numa_tune.mode) == is_possible
    elif vm.numa_tune is not None:
        assert vm.numa_tune.nodeset == nodes


@foreign("domain-xml")
def test_only_pinning_differs_in_others_definitions(path: Path) -> None:
    xml = text_of(path)
    check(xml, ELSEWHERE)
    check(xml, FREE)
    if not schema_errors(xml):
        assert not schema_errors(with_placement(xml, ELSEWHERE))


@pytest.mark.parametrize("xml", OWN.values(), ids=OWN)
def test_only_pinning_differs(xml: str) -> None:
    check(xml, ELSEWHERE)
    check(xml, FREE)


@settings(max_examples=200)
@given(PLACEMENTS, st.sampled_from(list(OWN.values())))
def test_any_placement(placement: Placement, xml: str) -> None:
    check(xml, placement)


@settings(max_examples=60)
@given(PLACEMENTS, PLACEMENTS, st.sampled_from(list(OWN.values())))
def test_nothing_of_the_old_host_is_left(first: Placement, second: Placement, xml: str) -> None:
    check(with_placement(xml, first), second)


def test_a_vm_that_is_free_is_bound_to_nothing_of_the_old_host() -> None:
    pinned = (
        "<domain><vcpu cpuset='0-31'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='0-31'/></cputune>"
        "<numatune><memory mode='strict' nodeset='0-1'/></numatune></domain>"
    )
    assert with_placement(pinned, FREE) == "<domain><vcpu>2</vcpu></domain>"


def test_where_nothing_is_bound_nothing_changes() -> None:
    xml = (
        "<domain><vcpu  placement='auto'>2</vcpu><cputune><shares>2</shares></cputune>"
        "<numatune><memory placement='auto'/></numatune></domain>"
    )
    assert with_placement(xml, FREE) == xml


def test_a_move_rewrites_values_in_place() -> None:
    written = with_placement(PINNED, ELSEWHERE)
    expected = PINNED
    for old, new in (
        ("vcpu='0' cpuset='2'", "vcpu='0' cpuset='16'"),
        ("vcpu='1' cpuset='10'", "vcpu='1' cpuset='48'"),
        ("vcpu='2' cpuset='3'", "vcpu='2' cpuset='24'"),
        ("vcpu='3' cpuset='11'", "vcpu='3' cpuset='56'"),
        ("<emulatorpin cpuset='0,8'", "<emulatorpin cpuset='17,49'"),
        ("iothread='1' cpuset='0'", "iothread='1' cpuset='17'"),
        ("iothread='2' cpuset='8'", "iothread='2' cpuset='49'"),
        ("<memory mode='strict' nodeset='0-1'", "<memory mode='strict' nodeset='2-3'"),
        ("cellid='0' mode='strict' nodeset='0'", "cellid='0' mode='strict' nodeset='2'"),
        ("cellid='1' mode='strict' nodeset='1'", "cellid='1' mode='strict' nodeset='3'"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert written == expected


def test_the_placement_it_has_changes_nothing() -> None:
    here = read_vm(RECORD, PINNED, host="host-a")
    bindings = tuple(NodeBinding(node.node_id, node.host_nodes, node.mode) for node in here.virtual_nodes)
    assert with_placement(PINNED, Placement(here.uuid, "host-a", bindings, here.pinning, here.numa_tune)) == PINNED
    other_words = PINNED.replace("cpuset='0,8'", "cpuset=' 8, 0 '").replace("vcpu='0'", "vcpu='00'")
    assert with_placement(other_words, Placement(here.uuid, "a", bindings, here.pinning)) == other_words


def test_what_is_new_stands_where_libvirt_has_it() -> None:
    xml = "<domain>\n  <name>n</name>\n  <vcpu>2</vcpu>\n  <os/>\n</domain>\n"
    placement = replace(
        FREE, pinning=CpuPinning(((0, cpus("1")),), cpus("2")), numa_tune=NumaTune(NumaMode.STRICT, cpus("1"))
    )
    assert with_placement(xml, placement) == (
        "<domain>\n  <name>n</name>\n  <vcpu>2</vcpu>\n"
        "  <cputune>\n    <vcpupin vcpu='0' cpuset='1'/>\n    <emulatorpin cpuset='2'/>\n  </cputune>\n"
        "  <numatune>\n    <memory mode='strict' nodeset='1'/>\n  </numatune>\n  <os/>\n</domain>\n"
    )
    dense = with_placement(DENSE, ELSEWHERE)
    assert '<vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="16"/>' in dense
    assert '</cputune><numatune><memnode cellid="0" mode="strict" nodeset="2"/>' in dense


def test_added_pins_join_their_like() -> None:
    tune = (
        "<domain>\n <cputune>\n  <shares>1</shares>\n  <vcpupin vcpu='0' cpuset='0'/>\n"
        "  <quota>-1</quota>\n </cputune>\n</domain>"
    )
    placement = replace(FREE, pinning=CpuPinning(((0, cpus("4")), (1, cpus("5"))), cpus("6")))
    assert with_placement(tune, placement) == (
        "<domain>\n <cputune>\n  <shares>1</shares>\n  <vcpupin vcpu='0' cpuset='4'/>\n"
        "  <vcpupin vcpu='1' cpuset='5'/>\n  <emulatorpin cpuset='6'/>\n  <quota>-1</quota>\n </cputune>\n</domain>"
    )


def test_a_tuning_element_that_held_pins_only_goes_with_them() -> None:
    xml = "<domain>\n <cputune>\n  <vcpupin vcpu='0' cpuset='0'/>\n </cputune>\n <os/>\n</domain>"
    placement = replace(FREE, numa_tune=NumaTune(NumaMode.STRICT, cpus("0")))
    assert "cputune" not in with_placement(xml, placement)
    noted = xml.replace("<cputune>", "<cputune><!-- why -->")
    assert "<cputune><!-- why -->\n </cputune>" in with_placement(noted, placement)
    empty = "<domain><cputune/></domain>"
    assert with_placement(empty, placement).startswith("<domain><cputune/>")


def test_the_old_hosts_cpu_list_goes() -> None:
    xml = "<domain><vcpu placement='auto' cpuset='0-31' current='2'>4</vcpu></domain>"
    written = with_placement(xml, replace(FREE, pinning=CpuPinning(((0, cpus("1")),), cpus("2"))))
    assert "<vcpu placement='static' current='2'>4</vcpu>" in written


CELL = "<cpu><numa><cell id='0' cpus='0' memory='1024'/></numa></cpu>"


def bound(memory: str, mode: NumaMode = NumaMode.STRICT, tune: NumaTune | None = None) -> str:
    xml = f"<domain>{CELL}<numatune>{memory}</numatune></domain>"
    placement = replace(FREE, bindings=(NodeBinding(0, (4, 5), mode),), numa_tune=tune)
    written = with_placement(xml, placement)
    return written.partition("<numatune>")[2].partition("</numatune>")[0]


def test_the_whole_memory_follows_its_nodes() -> None:
    node = "<memnode cellid='0' mode='strict' nodeset='4-5'/>"
    assert bound("") == node
    assert bound("<memory mode='preferred' nodeset='0'/>") == "<memory mode='preferred' nodeset='4-5'/>" + node
    assert bound("<memory nodeset='0-1'/>") == "<memory nodeset='4-5'/>" + node
    # libvirt: per-node binding is not compatible with automatic placement
    assert bound("<memory mode='strict' placement='auto'/>") == node
    tune = NumaTune(NumaMode.STRICT, cpus("4"))
    assert bound("<memory placement='auto'/>", tune=tune) == "<memory placement='static' nodeset='4'/>" + node
    # libvirt: 'restrictive' memory wants every memnode restrictive
    assert bound("<memory mode='restrictive' nodeset='0'/>") == "<memory mode='strict' nodeset='4-5'/>" + node
    assert bound("<memory mode='restrictive' nodeset='0'/>", NumaMode.RESTRICTIVE) == (
        "<memory mode='restrictive' nodeset='4-5'/><memnode cellid='0' mode='restrictive' nodeset='4-5'/>"
    )


def test_bindings_of_a_vm_without_virtual_nodes_bind_the_whole_memory() -> None:
    placement = replace(FREE, bindings=(NodeBinding(0, (1, 3), NumaMode.INTERLEAVE),))
    written = with_placement("<domain><vcpu>1</vcpu></domain>", placement)
    assert "<numatune><memory mode='interleave' nodeset='1,3'/></numatune>" in written
    assert "memnode" not in written


def test_memory_bound_by_name_only_is_set_free_where_the_placement_binds_none() -> None:
    xml = "<domain><numatune><memory mode='strict' nodeset='0'/></numatune></domain>"
    placement = replace(FREE, pinning=CpuPinning(((0, cpus("1")),)))
    assert "numatune" not in with_placement(xml, placement)
    auto = "<domain><numatune><memory placement='auto'/></numatune></domain>"
    assert "<numatune><memory placement='auto'/></numatune>" in with_placement(auto, placement)


def test_a_definition_with_fewer_virtual_nodes_than_the_running_vm_is_bound_where_it_has_some() -> None:
    cell = "<cell cpus='0-1' memory='1' unit='GiB'/>"
    xml = f"<domain><vcpu>2</vcpu><cpu><numa>{cell}</numa></cpu></domain>"
    placement = replace(ELSEWHERE, pinning=CpuPinning())
    assert re.findall("<memnode [^>]*>", with_placement(xml, placement)) == [
        "<memnode cellid='0' mode='strict' nodeset='2'/>"
    ]


def test_pins_named_twice_are_named_once() -> None:
    xml = "<domain><cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='0' cpuset='2'/></cputune></domain>"
    written = with_placement(xml, replace(FREE, pinning=CpuPinning(((0, cpus("1")),))))
    assert written == "<domain><cputune><vcpupin vcpu='0' cpuset='1'/></cputune></domain>"


def test_elements_of_other_namespaces_and_comments_are_not_pinning() -> None:
    written = with_placement(AWKWARD, ELSEWHERE)
    assert '<q:cputune><vcpupin vcpu="0" cpuset="1"/></q:cputune>' in written
    assert "<!-- <emulatorpin/> -->" in written
    assert "<![CDATA[a <vcpupin vcpu='0' cpuset='9'/> & b]]>" in written
    assert "<vcpupin   cpuset='16'  vcpu=\"00\"></vcpupin>" in written


@pytest.mark.parametrize("text", ["", "<domain", "<!DOCTYPE d><domain/>", "<domain>" * 300])
def test_what_is_no_xml_is_a_sentence(text: str) -> None:
    with pytest.raises(InvalidXml, match="The VM's definition"):
        with_placement(text, ELSEWHERE)


def test_4096_vcpus_are_placed_quickly() -> None:
    pinning = CpuPinning(tuple((i, CpuSet(1 << i)) for i in range(4096)))
    start = time.process_time()
    once = with_placement("<domain>\n  <vcpu>4096</vcpu>\n</domain>", replace(FREE, pinning=pinning))
    moved = CpuPinning(tuple((i, CpuSet(1 << (4095 - i))) for i in range(4096)))
    twice = with_placement(once, replace(FREE, pinning=moved))
    assert time.process_time() - start < 2
    assert len(safe_xml.parse(twice)[1]) == 4096


def test_a_usual_placement_is_written_in_milliseconds() -> None:
    rounds = 50
    start = time.process_time()
    for _ in range(rounds):
        with_placement(PINNED, ELSEWHERE)
    assert (time.process_time() - start) / rounds < 0.006


@settings(max_examples=60)
@given(PLACEMENTS)
def test_libvirts_schema_takes_any_placement(placement: Placement) -> None:
    assert not schema_errors(PINNED)
    assert not schema_errors(with_placement(PINNED, placement))
