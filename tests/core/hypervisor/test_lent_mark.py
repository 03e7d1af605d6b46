"""The mark of lent CPUs in a VM's live metadata: written, read, taken away, and never believed against the pin."""

from __future__ import annotations

import pytest

from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.intent_xml import with_intent
from hpconsole.core.hypervisor.lent_mark import LentMark, format_mark, has_mark, with_mark
from hpconsole.core.hypervisor.port import DomainRecord
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import VmIntent

RECORD = DomainRecord("5c9d3c8f-3f0a-4c8e-9a53-0f4f5b6f9a10", "db-1", 1, 1, True, False)
XML = """<domain type='kvm'>
  <name>db-1</name>
  <uuid>5c9d3c8f-3f0a-4c8e-9a53-0f4f5b6f9a10</uuid>
  <memory unit='KiB'>1048576</memory>
  <vcpu>2</vcpu>
  <cputune>
    <vcpupin vcpu='0' cpuset='1'/>
    <emulatorpin cpuset='6-7'/>
  </cputune>
</domain>
"""
LENT = CpuSet.parse("6-7")


def emulator(xml: str) -> CpuSet | None:
    return read_vm(RECORD, xml, host="a", host_cpus=CpuSet.parse("0-7")).pinning.emulator


@pytest.mark.parametrize("meant", [None, CpuSet.parse("2")])
def test_a_vm_on_lent_cpus_is_read_as_it_is_meant(meant: CpuSet | None) -> None:
    assert emulator(XML) == LENT
    assert emulator(with_mark(XML, LentMark(LENT, meant))) == meant


def test_an_emulator_that_somebody_pinned_since_is_believed() -> None:
    assert emulator(with_mark(XML, LentMark(CpuSet.parse("5"), None))) == LENT


@pytest.mark.parametrize("attributes", ["", "lent=''", "lent='x'", "lent='6-7' meant='y'", "lent='6-7' meant=''"])
def test_a_mark_that_cannot_be_meant_changes_nothing_but_is_seen(attributes: str) -> None:
    mark = f"<metadata><m:cpus xmlns:m='urn:hpconsole:lent:1' {attributes}/></metadata>"
    xml = XML.replace("<memory", f"{mark}<memory", 1)
    assert emulator(xml) == LENT
    assert has_mark(xml)
    assert not has_mark(with_mark(xml, None))


def test_it_is_taken_away_without_a_trace() -> None:
    for xml in (XML, with_intent(XML, VmIntent(priority=70))):
        marked = with_mark(with_mark(xml, LentMark(LENT)), LentMark(LENT, CpuSet.parse("2")))
        assert marked.count("urn:hpconsole:lent:1") == 1
        assert has_mark(marked)
        assert not has_mark(xml)
        assert with_mark(marked, None) == xml
        assert (
            read_vm(RECORD, marked, host="a").intent
            == read_vm(RECORD, with_mark(XML, None) if xml is XML else xml, host="a").intent
        )


def test_libvirt_gets_it_without_prefix() -> None:
    assert format_mark(LentMark(LENT)) == "<cpus lent='6-7'/>"
