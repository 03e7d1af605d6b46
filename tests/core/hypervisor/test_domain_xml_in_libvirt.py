"""libvirt's own parser takes what is written, keeps it, and hands it back: asked of its built-in test driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.domain_xml import read_vm, with_intent, with_placement
from hpconsole.core.hypervisor.intent_xml import KEY, NAMESPACE, format_intent, read_intent
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinning, Vm, VmIntent
from tests.core.hypervisor.test_domain_xml_placement import ELSEWHERE, PLACEMENTS
from tests.core.hypervisor.test_intent_xml import FULL, INTENTS
from tests.core.hypervisor.xml_samples import PINNED, RECORD, foreign, text_of

libvirt = pytest.importorskip("libvirt")

Define = Callable[[str], str]


@pytest.fixture(scope="module")
def define() -> Iterator[Define]:
    """Define a domain, and return what libvirt makes of it; None where libvirt refuses it."""
    libvirt.registerErrorHandler(lambda *_: None, None)  # refusals are asked for: not to be printed
    connection = libvirt.open("test:///default")

    def defined(xml: str) -> str:
        domain = connection.defineXML(for_test_driver(xml))
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        domain.undefine()
        return str(text)

    yield defined
    connection.close()
    libvirt.registerErrorHandler(None, None)


def for_test_driver(xml: str) -> str:
    """The same domain of type "test", which has no machine types and no NVRAM."""
    xml = re.sub(r"(<domain\b[^>]*?\stype\s*=\s*)(['\"])\w+\2", r"\1\2test\2", xml, count=1)
    xml = re.sub(r"<nvram>[^<]*</nvram>|<qemu:commandline>.*</qemu:commandline>", "", xml, flags=re.DOTALL)
    return re.sub(r"<type arch='x86_64' machine='[^']*'>", "<type>", xml)


def fitting(placement: Placement, vm: Vm) -> Placement:
    """The placement without the threads and nodes that the VM does not have."""
    most = vm.topology.vcpus
    nodes = {node.node_id for node in vm.virtual_nodes}
    return replace(
        placement,
        bindings=tuple(binding for binding in placement.bindings if binding.node_id in nodes),
        pinning=CpuPinning(
            tuple((vcpu, cpus) for vcpu, cpus in placement.pinning.vcpus if vcpu < most),
            placement.pinning.emulator,
            tuple((thread, cpus) for thread, cpus in placement.pinning.iothreads if thread in vm.iothread_ids),
        ),
    )


def check(define: Define, xml: str, placement: Placement, intent: VmIntent) -> None:
    written = with_intent(with_placement(xml, placement), intent)
    kept = define(written)
    ours, theirs = (read_vm(RECORD, text, host="b") for text in (written, kept))
    assert (theirs.pinning, theirs.numa_tune) == (ours.pinning, ours.numa_tune)
    assert [(n.node_id, n.host_nodes, n.mode) for n in theirs.virtual_nodes] == [
        (n.node_id, n.host_nodes, n.mode) for n in ours.virtual_nodes
    ]
    assert theirs.intent == intent
    assert with_intent(with_placement(kept, placement), intent) == kept


@settings(max_examples=80)
@given(PLACEMENTS, INTENTS)
def test_any_placement_and_intent(define: Define, placement: Placement, intent: VmIntent) -> None:
    check(define, PINNED, fitting(placement, read_vm(RECORD, PINNED, host="a")), intent)


@foreign("domain-xml")
def test_others_definitions(define: Define, path: Path) -> None:
    xml = text_of(path)
    try:
        define(xml)
    except libvirt.libvirtError as error:
        pytest.skip(f"the test driver does not take it as it is: {error}")
    check(define, xml, fitting(ELSEWHERE, read_vm(RECORD, xml, host="a")), FULL)


def test_metadata_is_set_without_a_prefix() -> None:
    """Libvirt puts prefix and namespace in itself, and refuses an element that has them."""
    connection = libvirt.open("test:///default")
    domain = connection.lookupByName("test")
    try:
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            format_intent(FULL, prefix=""),
            KEY,
            NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )
        assert read_vm(RECORD, domain.XMLDesc(), host="a").intent == FULL
        told = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
        assert read_intent(safe_xml.parse(told)) == FULL
    finally:
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, KEY, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        connection.close()
