"""Intents travel in the metadata: whatever is written comes back, and what others wrote there stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.domain_xml import read_vm, with_intent
from hpconsole.core.hypervisor.intent_xml import KEY, NAMESPACE, format_intent, read_intent
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import (
    CpuPinningPolicy,
    HostPinning,
    MigrationMode,
    NumaMode,
    NumaPin,
    OptimizedFor,
    VmIntent,
)
from tests.core.hypervisor.xml_samples import AWKWARD, DENSE, OWN, PINNED, RECORD, foreign, schema_errors, text_of

# Every character XML 1.0 can hold.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\t\n\r <>&\"'#;\ufffd\U0010ffff🚀"),
        st.characters(min_codepoint=0x20, max_codepoint=0x10FFFD, exclude_characters="\ufffe\uffff").filter(
            lambda char: not 0xD800 <= ord(char) <= 0xDFFF
        ),
    ),
    max_size=12,
)
SETS = st.builds(CpuSet.of, st.lists(st.integers(0, 300), max_size=5))
NUMBERS = st.integers(0, 16_383)
PINS = st.lists(
    st.builds(NumaPin, NUMBERS, st.lists(NUMBERS, max_size=3).map(tuple), st.sampled_from(NumaMode)),
    max_size=3,
    unique_by=lambda pin: pin.node_id,
).map(tuple)
MAPS = st.dictionaries(NUMBERS, SETS, max_size=4).map(lambda pairs: tuple(pairs.items()))
INTENTS = st.builds(
    VmIntent,
    optimized_for=st.sampled_from(OptimizedFor),
    migration_mode=st.sampled_from(MigrationMode),
    is_migration_mode_chosen=st.booleans(),
    allowed_hosts=st.lists(TEXTS, max_size=3, unique=True).map(tuple),
    cpu_pinning_policy=st.sampled_from(CpuPinningPolicy),
    cpu_pinning=MAPS,
    numa_pins=PINS,
    per_host=st.lists(st.builds(HostPinning, TEXTS, MAPS, PINS), max_size=2, unique_by=lambda own: own.host).map(tuple),
    high_availability=st.booleans(),
    priority=st.integers(1, 100),
    needs_tsc_frequency=st.booleans(),
    template=TEXTS,
    labels=st.frozensets(TEXTS, max_size=3),
    is_stored=st.just(True),
)
FULL = VmIntent(
    optimized_for=OptimizedFor.HIGH_PERFORMANCE,
    migration_mode=MigrationMode.DO_NOT_MIGRATE,
    is_migration_mode_chosen=True,
    allowed_hosts=('rack "A" <1>', "host-\U0001f680", "x & y"),
    cpu_pinning_policy=CpuPinningPolicy.MANUAL,
    cpu_pinning=((0, CpuSet.parse("4-7")), (3, CpuSet.parse("8,12"))),
    numa_pins=(NumaPin(0, (1, 0), NumaMode.INTERLEAVE), NumaPin(1, (), NumaMode.RESTRICTIVE)),
    per_host=(HostPinning("host-b", ((0, CpuSet.parse("1")),), (NumaPin(0, (3,)),)), HostPinning("host-c")),
    high_availability=True,
    priority=99,
    needs_tsc_frequency=True,
    template="gold's",
    labels=frozenset({"db", "a\nb"}),
    is_stored=True,
)


def metadata(inside: str) -> safe_xml.Element:
    return safe_xml.parse(f"<metadata>{inside}</metadata>")


@given(INTENTS)
def test_every_intent_comes_back(intent: VmIntent) -> None:
    written = format_intent(intent)
    assert read_intent(metadata(written)) == intent
    assert read_intent(safe_xml.parse(written)) == intent  # the element itself, as virDomainGetMetadata hands it out
    assert read_intent(safe_xml.parse(format_intent(intent, prefix=""))) == intent


@settings(max_examples=60)
@given(INTENTS, st.sampled_from(list(OWN.values())))
def test_every_intent_comes_back_from_a_domain(intent: VmIntent, xml: str) -> None:
    written = with_intent(xml, intent)
    assert read_vm(RECORD, written, host="a").intent == intent
    assert with_intent(written, intent) == written
    other = replace(intent, priority=101 - intent.priority)
    assert with_intent(with_intent(written, other), intent) == written


def element_cut(xml: str) -> str:
    """The text without hpconsole's element and the blanks before it, and without a metadata element of no content."""
    start = xml.index(f"<{KEY}:vm ")
    end = xml.index(f"</{KEY}:vm>", start) + len(f"</{KEY}:vm>")
    head, tail = xml[:start].rstrip(), xml[end:]
    if head.endswith("<metadata>") and tail.lstrip().startswith("</metadata>"):
        head, tail = head.removesuffix("<metadata>").rstrip(), tail.lstrip().removeprefix("</metadata>")
    return head + tail


def check_only_the_element_differs(xml: str) -> None:
    written = with_intent(xml, FULL)
    assert element_cut(written) == xml
    assert read_vm(RECORD, written, host="a").intent == FULL
    again = with_intent(written, VmIntent())
    assert element_cut(again) == xml
    assert read_vm(RECORD, again, host="a").intent == VmIntent(is_stored=True)


@foreign("domain-xml")
def test_only_the_element_differs_in_others_definitions(path: Path) -> None:
    xml = text_of(path)
    check_only_the_element_differs(xml)
    if not schema_errors(xml):
        assert not schema_errors(with_intent(xml, FULL))


@pytest.mark.parametrize("xml", OWN.values(), ids=OWN)
def test_only_the_element_differs(xml: str) -> None:
    check_only_the_element_differs(xml)


def test_metadata_is_made_where_libvirt_has_it() -> None:
    xml = "<domain>\n  <name>n</name>\n  <title>t</title>\n  <memory>1</memory>\n</domain>"
    written = with_intent(xml, VmIntent())
    assert written.startswith(
        "<domain>\n  <name>n</name>\n  <title>t</title>\n  <metadata>\n"
        "    <hpconsole:vm xmlns:hpconsole='urn:hpconsole:vm:1'"
    )
    assert written.endswith("    </hpconsole:vm>\n  </metadata>\n  <memory>1</memory>\n</domain>")
    assert "\n" not in with_intent(DENSE, VmIntent())


def test_nothing_stored_is_nothing() -> None:
    assert read_intent(None) is None
    assert read_intent(metadata("")) is None
    assert read_intent(metadata("<vm/><other:vm xmlns:other='urn:other'/>")) is None


def test_any_prefix_will_do() -> None:
    intent = read_intent(metadata(f"<vm xmlns='{NAMESPACE}' optimized-for='desktop'><label name='x'/></vm>"))
    assert intent == VmIntent(optimized_for=OptimizedFor.DESKTOP, labels=frozenset("x"), is_stored=True)
    xml = f"<domain><metadata><vm xmlns='{NAMESPACE}' priority='2'/></metadata></domain>"
    assert read_vm(RECORD, with_intent(xml, FULL), host="a").intent == FULL


def test_an_older_hpconsole_keeps_what_a_newer_one_wrote() -> None:
    newer = (
        f"<domain><metadata><hpconsole:vm xmlns:hpconsole='{NAMESPACE}' xmlns:n='urn:n' version='2' priority='9'\n"
        " colour='a&lt;b' n:mark='1'>"
        "<hpconsole:schedule><!-- nightly --><n:at  hour = '3'/></hpconsole:schedule><hpconsole:label name='old'/>"
        "<n:more/></hpconsole:vm></metadata></domain>"
    )
    assert read_vm(RECORD, newer, host="a").intent == VmIntent(priority=9, labels=frozenset({"old"}), is_stored=True)
    assert with_intent(newer, VmIntent(priority=9, labels=frozenset({"old"}))) == newer
    written = with_intent(newer, FULL)
    assert read_vm(RECORD, written, host="a").intent == FULL
    for kept in (
        "<hpconsole:schedule><!-- nightly --><n:at  hour = '3'/></hpconsole:schedule>",
        "<n:more/>",
        "xmlns:n='urn:n'",
        "version='2'",
        "colour='a&lt;b'",
        "n:mark='1'",
    ):
        assert written.count(kept) == 1
    assert "name='old'" not in written


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("version='x'/>", "version"),
        ("version='0'/>", "version"),
        ("optimized-for='speed'/>", "“speed” is not known for “Optimized for”"),
        ("version='9' optimized-for='speed'/>", "written by a newer hpconsole"),
        ("priority='101'/>", "priority"),
        ("priority='1000000000000000000000000'/>", "priority"),
        ("high-availability='perhaps'/>", "yes or no"),
        ("><hpconsole:migration mode='maybe'/></hpconsole:vm>", "migration mode"),
        ("><hpconsole:host/></hpconsole:vm>", "a name is missing"),
        ("><hpconsole:host name='a'/><hpconsole:host name='a'/></hpconsole:vm>", "a specific host is named twice"),
        ("><hpconsole:cpu-pinning policy='glue'/></hpconsole:vm>", "CPU-pinning policy"),
        (
            "><hpconsole:cpu-pinning><hpconsole:vcpu id='0' cpuset='0-999999999'/></hpconsole:cpu-pinning>"
            "</hpconsole:vm>",
            "too large",
        ),
        (
            "><hpconsole:cpu-pinning><hpconsole:vcpu id='0' cpuset='0'/><hpconsole:vcpu id='0' cpuset='1'/>"
            "</hpconsole:cpu-pinning></hpconsole:vm>",
            "a pinned vCPU is named twice",
        ),
        ("><hpconsole:cpu-pinning/><hpconsole:cpu-pinning/></hpconsole:vm>", "its cpu-pinning is named twice"),
        ("><hpconsole:numa-pin node='-1'/></hpconsole:vm>", "virtual NUMA node"),
        ("><hpconsole:numa-pin node='0' host-nodes='1,x'/></hpconsole:vm>", "host NUMA node"),
        ("><hpconsole:numa-pin node='0' mode='soft'/></hpconsole:vm>", "NUMA mode"),
        ("/><hpconsole:vm xmlns:hpconsole='urn:hpconsole:vm:1'/>", "twice"),
    ],
)
def test_what_cannot_be_meant_is_derived_with_a_problem(inside: str, says: str) -> None:
    xml = PINNED.replace("  </metadata>", f"    <hpconsole:vm xmlns:hpconsole='{NAMESPACE}' {inside}\n  </metadata>")
    vm = read_vm(RECORD, xml, host="a")
    assert says in vm.intent.problem
    assert vm.intent.problem.endswith(".")
    assert replace(vm.intent, problem="") == read_vm(RECORD, PINNED, host="a").intent
    assert not vm.intent.is_stored
    mended = with_intent(xml, FULL)
    assert read_vm(RECORD, mended, host="a").intent == FULL
    assert element_cut(mended) == PINNED


def test_a_character_that_xml_cannot_hold_is_a_sentence() -> None:
    with pytest.raises(InvalidXml, match=r"The character U\+0007 cannot be kept in XML"):
        with_intent(PINNED, VmIntent(template="ding\x07"))


def test_what_is_no_xml_is_a_sentence() -> None:
    with pytest.raises(InvalidXml, match="The VM's definition has a document type"):
        with_intent("<!DOCTYPE a><domain/>", VmIntent())


def test_the_awkward_document_keeps_its_awkwardness() -> None:
    assert element_cut(with_intent(AWKWARD, FULL)) == AWKWARD
