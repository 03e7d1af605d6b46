"""The least a definition of a new VM says, for each architecture; a draft's differences are written into it."""

from __future__ import annotations

from hpconsole.core.hypervisor.xml_editing import escaped
from hpconsole.core.machines.draft import VmDraft

_MACHINES = {"x86_64": "q35", "aarch64": "virt", "riscv64": "virt", "s390x": "s390-ccw-virtio", "ppc64le": "pseries"}
_X86 = """\
  <features>
    <acpi/>
    <apic/>
  </features>
"""
_ARM = """\
  <features>
    <acpi/>
    <gic version='3'/>
  </features>
"""
_CLOCKS = """\
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
"""


def default_machine(arch: str) -> str:
    """The machine type of a new VM."""
    return _MACHINES.get(arch, "")


def minimal_xml(draft: VmDraft) -> str:
    """A definition with a name, one vCPU, no devices to speak of, and nothing in the way of the draft."""
    arch = draft.arch or "x86_64"
    is_x86 = arch in ("x86_64", "i686")
    machine = draft.machine or default_machine(arch)
    features = _X86 if is_x86 else _ARM if arch == "aarch64" else ""
    uuid = f"  <uuid>{escaped(draft.uuid)}</uuid>\n" if draft.uuid else ""
    return (
        f"<domain type='{escaped(draft.virt_type or 'kvm')}'>\n"
        f"  <name>new</name>\n{uuid}"
        "  <memory unit='KiB'>1048576</memory>\n"
        "  <vcpu placement='static'>1</vcpu>\n"
        "  <os>\n"
        f"    <type arch='{escaped(arch)}'" + (f" machine='{escaped(machine)}'" if machine else "") + ">hvm</type>\n"
        "  </os>\n"
        f"{features}" + (_CLOCKS if is_x86 else "  <clock offset='utc'/>\n") + "  <on_poweroff>destroy</on_poweroff>\n"
        "  <on_reboot>restart</on_reboot>\n"
        "  <on_crash>destroy</on_crash>\n"
        "  <devices>\n"
        "  </devices>\n"
        "</domain>\n"
    )
