"""What does a new VM have before anybody says anything? Pure."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.machines.draft import (
    DiskDraft,
    Graphics,
    NicDraft,
    OptimizedFor,
    VcpuTopology,
    VmDraft,
    volume_name,
)
from hpconsole.core.machines.new_definition import default_machine
from hpconsole.core.machines.profile import with_type
from hpconsole.core.model.host import Host

GIB = 1 << 20  # KiB
_USUAL_DISK_KIB = 20 * GIB


def new_draft(
    name: str = "", *, host: Host | None = None, optimized_for: OptimizedFor = OptimizedFor.SERVER, arch: str = ""
) -> VmDraft:
    """A server with two vCPUs, 2 GiB, one disk to be made and one interface, as far as the host has what they need.

    Args:
        host: Where it is to be made: its pools, networks and architecture are offered.
    """
    pools = sorted(host.devices.storage_pools) if host is not None else []
    networks = sorted(host.devices.networks) if host is not None else ["default"]
    wanted_arch = arch or (host.cpu.arch if host is not None and host.cpu.arch else "x86_64")
    disk = DiskDraft(pool=_preferred(pools, "default"), volume=volume_name(name), create_kib=_USUAL_DISK_KIB)
    draft = VmDraft(
        name=name,
        memory_kib=2 * GIB,
        memory_now_kib=2 * GIB,
        topology=VcpuTopology(sockets=1, cores=2, threads=1),
        vcpus_now=2,
        arch=wanted_arch,
        machine=default_machine(wanted_arch),
        cpu_mode="host-model" if wanted_arch == "x86_64" else "",
        disks=(disk,) if pools else (),
        nics=(NicDraft(source=_preferred(networks, "default")),) if networks else (),
        graphics=Graphics.NONE if wanted_arch == "s390x" else Graphics.VNC,
        video_model="" if wanted_arch == "s390x" else "virtio",
        has_rng=True,
    )
    # The kind it is born as sets its defaults, too.
    return (
        with_type(replace(draft, optimized_for=OptimizedFor.DESKTOP), OptimizedFor.SERVER)
        if (optimized_for is OptimizedFor.SERVER)
        else with_type(draft, optimized_for)
    )


def _preferred(names: list[str], wanted: str) -> str:
    return wanted if wanted in names else names[0] if names else ""
