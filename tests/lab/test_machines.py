"""`hpconsole vm`, `template` and `pool` as a user types them, on a real host; what is true is asked from libvirt."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from hpconsole.cli.main import run
from hpconsole.core.model.cpuset import CpuSet
from tests.lab.commands import wait_until
from tests.lab.guests import Guest, GuestSpec, assemble
from tests.lab.lab import Lab

EMULATED = ("--set", "virt_type=qemu", "--set", "machine=pc", "--set", "cpu_mode=custom", "--set", "cpu_model=qemu64")
SMALL = ("--memory", "64M", "--vcpus", "4", "--network", "none", *EMULATED)


@pytest.fixture
def images(lab: Lab) -> Iterator[Path]:
    """A storage pool of this name on host a, and its folder."""
    folder = lab.folder / "images"
    folder.mkdir(exist_ok=True)
    lab.virsh("a", "pool-create-as", "images", "dir", "--target", str(folder))
    yield folder
    lab.clear()
    lab.virsh("a", "pool-destroy", "images")
    shutil.rmtree(folder)


def told(lab: Lab, data: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """The document a command prints. In this process: eleven starts of the program would cost more than they show."""
    out = io.StringIO()
    with redirect_stdout(out):
        got = run([*words, "--json", "--connect", f"a={lab.host('a').uri}", "--data-folder", str(data)])
    assert got == code, out.getvalue()
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def cpus_of(lab: Lab, name: str) -> CpuSet:
    """Every CPU that a vCPU of this running VM may use, as libvirt says."""
    pins = ElementTree.fromstring(lab.virsh("a", "dumpxml", name)).iterfind("./cputune/vcpupin")
    together = CpuSet()
    for pin in pins:
        together |= CpuSet.parse(pin.get("cpuset", ""))
    return together


def test_a_vm_is_made_boots_is_retuned_while_it_runs_and_deleted(lab: Lab, images: Path, tmp_path: Path) -> None:
    made = told(
        lab, tmp_path, "vm", "create", "fast", "--on", "a", *SMALL, "--disk", "images:2M:raw",
        "--optimized-for", "high-performance", "--recommended",
    )  # fmt: skip
    assert made["fields"]["migration_mode"] == "manual"
    program = assemble(GuestSpec("fast", dirty_mib=16, dirty_mib_s=20), lab.folder)
    disk = images / "fast.raw"
    with disk.open("r+b") as volume:
        volume.write(program.read_bytes()[:512])
    xml = lab.virsh("a", "dumpxml", "fast", "--inactive")
    (tmp_path / "fast.xml").write_text(xml)
    if shutil.which("xmllint"):
        subprocess.run(["virt-xml-validate", str(tmp_path / "fast.xml"), "domain"], check=True, capture_output=True)
    started = told(lab, tmp_path, "vm", "start", "fast")
    assert started["vms"][0]["host"] == "a"
    guest = Guest("fast", made["uuid"], "a")
    first = lab.heartbeat("a", guest)
    wait_until(
        lambda: lab.heartbeat("a", guest) > first, within_s=20, complaint="the guest does not boot from its disk"
    )
    assert len(cpus_of(lab, "fast")) == 4
    told(lab, tmp_path, "vm", "edit", "fast", "--emulator", "7", "--pin", "0#5_1#13_2#6_3#14", "--priority", "80")
    live = ElementTree.fromstring(lab.virsh("a", "dumpxml", "fast"))
    pins = {pin.get("vcpu"): pin.get("cpuset") for pin in live.iterfind("./cputune/vcpupin")}
    assert pins == {"0": "5", "1": "13", "2": "6", "3": "14"}
    emulator = live.find("./cputune/emulatorpin")
    assert emulator is not None
    assert emulator.get("cpuset") == "7"
    assert 'priority="80"' in lab.virsh("a", "metadata", "fast", "--uri", "urn:hpconsole:vm:1").replace("'", '"')
    told(lab, tmp_path, "vm", "shutdown", "fast", "--force")
    refused = told(lab, tmp_path, "vm", "delete", "fast", code=2)
    assert "--yes" in refused["error"]
    told(lab, tmp_path, "vm", "delete", "fast", "--yes", "--with-disks")
    assert "fast" not in lab.virsh("a", "list", "--all", "--name").split()
    assert not disk.exists()


def test_vms_of_a_pinned_template_run_side_by_side_on_disjoint_cores(lab: Lab, images: Path, tmp_path: Path) -> None:
    told(
        lab, tmp_path, "vm", "create", "golden", "--on", "a", *SMALL, "--disk", "images:2M",
        "--optimized-for", "high-performance", "--recommended",
    )  # fmt: skip
    told(lab, tmp_path, "template", "create", "gold", "--from", "golden")
    for name in ("one", "two"):
        told(lab, tmp_path, "vm", "create", name, "--template", "gold", "--start")
    one, two = cpus_of(lab, "one"), cpus_of(lab, "two")
    assert (len(one), len(two)) == (4, 4)
    assert one.isdisjoint(two)
    assert "template-gold.qcow2" in (lab.virsh("a", "vol-dumpxml", "one.qcow2", "--pool", "images"))
    filled = told(
        lab, tmp_path, "pool", "create", "farm", "--template", "gold", "--size", "4", "--prestarted", "1",
    )  # fmt: skip
    assert [vm["name"] for vm in filled["made"]] == ["farm-1", "farm-2", "farm-3", "farm-4"]
    names = lab.virsh("a", "list", "--all", "--name").split()
    assert {"farm-1", "farm-2", "farm-3", "farm-4"} <= set(names)
    assert cpus_of(lab, "farm-1").isdisjoint(one | two)
    assert lab.virsh("a", "domstate", "farm-2").strip() == "shut off"
