"""The CPUs a VM's vCPUs have now, as far as a placement could leave them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpconsole.core.scheduler.core_search import Wishes
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.host_tables import positions


@dataclass(frozen=True, slots=True)
class Present:
    """CPU numbers now; they count on any host ("the VM already is on CPUs with these numbers")."""

    cpu_of: Mapping[int, int]  # role -> CPU it has now
    wishes: Wishes  # by first role of a block: for each vCPU that is wholly in the block, its CPUs now, as bits
    sets: Mapping[int, int]  # vCPU -> its CPUs now, as bits


def present_of(demand: Demand) -> Present:
    """What is known of where the vCPUs are now."""
    sets = {vcpu: cpus.bits for vcpu, cpus in demand.vm.pinning.vcpus}
    cpu_of: dict[int, int] = {}
    settled: list[tuple[int, int]] = []  # (roles, present CPUs) of vCPUs that could stay
    for vcpu, roles in demand.vcpu_roles:
        now = sets.get(vcpu, 0)
        if now == roles.bits:
            cpu_of.update((cpu, cpu) for cpu in positions(now))
            settled.append((roles.bits, now))
        elif now.bit_count() == 1 and roles.bits.bit_count() == 1:
            cpu_of[roles.first] = now.bit_length() - 1
            settled.append((roles.bits, now))
    if not settled:
        return Present(cpu_of, {}, sets)
    wishes: dict[int, tuple[int, ...]] = {}
    blocks = [block for need in demand.node_needs for block in need.blocks]
    blocks += [block for socket in demand.sockets for block in socket]
    first_of = {role: block.roles[0] for block in blocks for role in block.roles}
    by_block: dict[int, list[int]] = {}
    for roles_bits, now in settled:
        firsts = {first_of.get(role) for role in positions(roles_bits)}
        first = firsts.pop()
        if not firsts and first is not None:
            by_block.setdefault(first, []).append(now)
    wishes.update((first, tuple(found)) for first, found in by_block.items())
    return Present(cpu_of, wishes, sets)


NOTHING_PRESENT = Present({}, {}, {})
