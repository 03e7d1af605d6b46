"""The CPUs a VM's vCPUs have now, as far as a placement could leave them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpconsole.core.scheduler.core_search import NO_WISHES, Wishes
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.host_tables import positions


@dataclass(frozen=True, slots=True)
class Present:
    """CPU numbers now; they count on any host ("the VM already is on CPUs with these numbers")."""

    cpu_of: Mapping[int, int]  # role -> CPU it has now
    wishes: Wishes
    sets: Mapping[int, int]  # vCPU -> its CPUs now, as bits
    cpus: int = 0  # all of `cpu_of`, as bits, if every role has a CPU, each its own; else 0


NOTHING_PRESENT = Present({}, NO_WISHES, {})


def present_of(demand: Demand) -> Present:
    """What is known of where the vCPUs are now."""
    sets = {vcpu: cpus.bits for vcpu, cpus in demand.vm.pinning.vcpus}
    cpu_of: dict[int, int] = {}
    promised = 0
    settled: list[tuple[int, int]] = []  # (roles, present CPUs) of vCPUs that could stay
    for vcpu, roles in demand.vcpu_roles:
        now = sets.get(vcpu, 0)
        if not now or not roles:
            continue
        if now == roles.bits:
            cpu_of.update((cpu, cpu) for cpu in positions(now))
            settled.append((roles.bits, now))
        elif now.bit_count() == 1 and roles.bits.bit_count() == 1 and not now & promised:  # one CPU stays one vCPU's
            promised |= now
            cpu_of[roles.first] = now.bit_length() - 1
            settled.append((roles.bits, now))
    if not settled:
        return Present(cpu_of, NO_WISHES, sets)
    blocks = [block for need in demand.node_needs for block in need.blocks]
    blocks += [block for socket in demand.sockets for block in socket]
    first_of = {role: block.roles[0] for block in blocks for role in block.roles}
    narrow: dict[int, tuple[int, ...]] = {}
    wide: list[int] = []
    for roles_bits, now in settled:
        firsts = {first_of.get(role) for role in positions(roles_bits)}
        first = firsts.pop()
        if firsts:
            wide.append(roles_bits)
        elif first is not None:
            narrow[first] = (*narrow.get(first, ()), now)
    homes: dict[int, int] = {}
    for block in blocks:
        numbers = {cpu_of[role] for role in block.roles if role in cpu_of}
        if len(numbers) == len(block.roles):
            homes[block.roles[0]] = sum(1 << number for number in numbers)
    asked = together = 0
    for _, own in demand.vcpu_roles:
        asked |= own.bits
    for cpu in cpu_of.values():
        together |= 1 << cpu
    is_complete = len(cpu_of) == asked.bit_count() == together.bit_count()
    return Present(cpu_of, Wishes(narrow, homes, tuple(wide)), sets, together if is_complete else 0)
