"""How many vCPUs can a VM of this shape have? CPUs have numbers (APIC ids), and old machine types have only 255.

Must not know hosts: what a host allows (`max_vcpus`, `max_sockets`) is told.
"""

from __future__ import annotations

from hpconsole.core.model.vm import VcpuTopology

LAST_APIC_ID = 254  # 255 speaks to all CPUs at once; more need x2APIC, which machines before q35 do not offer


def most_sockets(shape: VcpuTopology, *, max_vcpus: int, max_sockets: int, is_legacy_x86: bool) -> int:
    """The most sockets of this shape (dies, cores and threads of each, 1 at least); 0 if not even one is possible.

    In an APIC id the thread, the core and the die take whole bits each, so shapes that are no powers of two waste some.
    """
    per_socket = shape.dies * shape.cores * shape.threads
    sockets = min(max_sockets, max_vcpus // per_socket)
    if not is_legacy_x86:
        return sockets
    width = _bits(shape.dies) + _bits(shape.cores) + _bits(shape.threads)
    last = (shape.dies - 1 << _bits(shape.cores)) + shape.cores - 1
    last_in_socket = (last << _bits(shape.threads)) + shape.threads - 1
    if last_in_socket > LAST_APIC_ID:
        return 0
    return min(sockets, 1 + (LAST_APIC_ID - last_in_socket >> width))


def most_vcpus(shape: VcpuTopology, *, max_vcpus: int, max_sockets: int, is_legacy_x86: bool) -> int:
    """The most vCPUs in whole sockets of this shape."""
    sockets = most_sockets(shape, max_vcpus=max_vcpus, max_sockets=max_sockets, is_legacy_x86=is_legacy_x86)
    return sockets * shape.dies * shape.cores * shape.threads


def is_legacy_machine(machine: str) -> bool:
    """Whether an x86 machine type is older than q35 and so without x2APIC: `pc`, `pc-i440fx-...`, `pc-1.2`."""
    return machine == "pc" or (machine.startswith("pc-") and not machine.startswith("pc-q35"))


def _bits(count: int) -> int:
    """How many bits number so many things."""
    return max(0, count - 1).bit_length()
