"""Disks, interfaces and displays in a definition; what is refused; secrets; templates as hostile files."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.errors import HpconsoleError, InvalidEdit
from hpconsole.core.machines.draft import DiskDraft, Graphics, NicDraft, VcpuTopology, VmDraft
from hpconsole.core.machines.editing import with_iothreads, with_multi_queue
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.templates import Template, export_text, import_text, instantiate, template_of
from hpconsole.core.machines.writing import difference, render, with_xml

DATA = Path(__file__).resolve().parents[2] / "data/domain-xml"


def stored(name: str) -> VmDraft:
    return read_draft((DATA / f"{name}.xml").read_text())


def changed_lines(before: str, after: str) -> list[str]:
    """What a person sees in a diff, without its place."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line[0] + line[1:].strip() for line in lines if line[:2] not in ("--", "++", "@@")]


def test_one_disk_of_several_changes_in_its_place() -> None:
    draft = stored("disks-many")
    disks = tuple(replace(disk, path="/new.iso") if disk.device == "cdrom" else disk for disk in draft.disks)
    lines = changed_lines(draft.xml, render(replace(draft, disks=disks)))
    assert len(lines) == 2
    assert "/new.iso" in lines[1]


def test_a_disk_that_is_gone_goes_and_a_new_one_gets_the_next_name() -> None:
    draft = stored("disks-many")
    kept = draft.disks[1:]
    after = read_draft(render(replace(draft, disks=(*kept, DiskDraft(path="/n.qcow2", bus="scsi")))))
    assert [disk.path for disk in after.disks] == [*(disk.path for disk in kept), "/n.qcow2"]
    assert len({disk.target for disk in after.disks}) == len(after.disks)
    assert after.disks[-1].bus == "scsi"


def test_interfaces_change_in_their_place() -> None:
    draft = stored("nic-many")
    nics = (replace(draft.nics[0], source="prod"), *draft.nics[2:], NicDraft(kind="bridge", source="br9"))
    written = render(replace(draft, nics=nics))
    assert [(nic.kind, nic.source) for nic in read_draft(written).nics][:1] == [("network", "prod")]
    assert [line for line in changed_lines(draft.xml, written) if "prod" in line] == ['+<source network="prod"/>']
    assert read_draft(written).nics[-1].source == "br9"


def test_queues_and_iothreads_reach_the_devices_that_can_use_them() -> None:
    draft = replace(new_draft("vm"), topology=VcpuTopology(1, 16, 1), vcpus_now=16)
    draft = replace(draft, disks=(DiskDraft(path="/a"), DiskDraft(path="/b"), DiskDraft(device="cdrom", bus="sata")))
    draft = replace(draft, nics=(NicDraft(), NicDraft(kind="user", source=""), NicDraft(model="e1000")))
    after = read_draft(render(with_multi_queue(with_iothreads(draft, 2), is_on=True)))
    assert [disk.iothread for disk in after.disks] == [1, 2, None]
    assert [nic.queues for nic in after.nics] == [8, None, None]
    fewer = read_draft(render(with_iothreads(replace(after, iothread_texts=((2, "3"),)), 1)))
    assert [disk.iothread for disk in fewer.disks] == [1, 1, None]
    assert fewer.iothread_texts == ()


def test_what_only_spice_carries_goes_with_spice() -> None:
    draft = stored("spice-many")
    written = render(replace(draft, graphics=Graphics.NONE, video_model=""))
    assert "spicevmc" not in written
    assert "<graphics" not in written
    assert "<video" not in written


def test_a_definition_without_the_place_for_it_is_refused_with_a_sentence() -> None:
    bare = read_draft("<domain type='kvm'><name>x</name><memory>1024</memory></domain>")
    with pytest.raises(InvalidEdit, match="no <devices> element"):
        render(replace(bare, has_rng=True))
    with pytest.raises(InvalidEdit, match="no <os> element"):
        render(replace(bare, boot_devices=("hd",)))


def test_the_uuid_is_not_edited_by_hand() -> None:
    draft = stored("plain") if (DATA / "plain.xml").exists() else stored("q35")
    with pytest.raises(InvalidEdit, match="UUID cannot be changed"):
        with_xml(draft, draft.xml.replace(draft.uuid, "5d0c1d4e-0000-4000-8000-000000000001"))


def test_passwords_are_kept_in_the_definition_and_nowhere_else() -> None:
    draft = stored("vnc-password")
    assert "passwd" in draft.xml
    written = render(replace(draft, title="new"))
    password = draft.xml.partition('passwd="')[2].partition('"')[0]
    assert f'passwd="{password}"' in written
    shown = difference("", written)
    assert "passwd='...'" in shown
    assert password not in shown
    assert "passwd" not in template_of(draft, "t").definition


def test_a_template_has_nothing_of_one_vm() -> None:
    template = template_of(stored("nvram-template"), "t")
    assert "<uuid" not in template.definition
    assert '<nvram template="/f/v.fd"/>' in template.definition
    assert "<mac" not in template.definition
    made = instantiate(template, "new")
    assert (made.name, made.uuid, made.template, made.is_new) == ("new", "", "t", True)
    assert read_draft(render(made)).template == "t"


def good() -> dict[str, object]:
    value: dict[str, object] = json.loads(export_text(Template("t", render(new_draft("t")))))
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"name": "a/b"},
        {"name": 7},
        {"definition": "<pool/>"},
        {"definition": "<!DOCTYPE d [<!ENTITY a 'b'>]><domain/>"},
        {"disks": [{"key": "0"}]},
        {"disks": [{"key": "0", "pool": "p", "size_kib": -1}]},
        {"topology": {"cpus": [1]}},
    ],
    ids=str,
)
def test_a_template_file_is_hostile_until_read(change: dict[str, object]) -> None:
    assert import_text(json.dumps(good())).name == "t"
    with pytest.raises(HpconsoleError):
        import_text(json.dumps(good() | change))


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "[" * 100_000, "x" * (5 << 20)], ids=["none", "open", "list", "deep", "long"]
)
def test_what_is_no_file_is_said_to_be_none(text: str) -> None:
    with pytest.raises(HpconsoleError):
        import_text(text)
