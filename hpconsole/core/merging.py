"""Several hosts may hold one VM: which one has it? One `Vm` per UUID from what each host says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hpconsole.core.hypervisor.domain_state import is_held_by_migration
from hpconsole.core.model.vm import OtherProcess, Vm
from hpconsole.core.rounds import HostRound


@dataclass(frozen=True, slots=True)
class HostVms:
    """What one host says of its VMs. `is_fresh`: it answers now."""

    round: HostRound
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class _Instance:
    vm: Vm
    host: str
    is_fresh: bool
    is_running: bool
    is_held: bool  # paused by a migration, or post-copy
    running_since_s: float
    seen_at_s: float


def merge(hosts: Mapping[str, HostVms], before: Mapping[str, Vm]) -> dict[str, Vm]:
    """One VM per UUID. The running instance wins; in a migration that is the source until it hands over.

    Args:
        hosts: By name.
        before: The last result; VMs that did not change stay the same objects.
    """
    claims: dict[str, list[tuple[Vm, str]]] = {}
    merged: dict[str, Vm] = {}
    for name, said in hosts.items():
        for uuid, vm in said.round.vms.items():
            if uuid in merged:
                claims.setdefault(uuid, []).append((vm, name))
            else:
                merged[uuid] = vm
    for uuid, further in claims.items():
        first = merged[uuid]
        found = [(first, first.host or ""), *further]
        merged[uuid] = _merged([_instance(vm, name, hosts[name]) for vm, name in found])
    for uuid, vm in merged.items():
        known = before.get(uuid)
        if known is not None and known is not vm and known == vm:
            merged[uuid] = known
    return merged


def _instance(vm: Vm, name: str, said: HostVms) -> _Instance:
    record = said.round.records.get(vm.uuid)
    state, reason = (record.state, record.reason) if record is not None else (0, 0)
    since = said.round.running_since_s.get(vm.uuid)
    return _Instance(
        vm=vm,
        host=name,
        is_fresh=said.is_fresh,
        is_running=since is not None,
        is_held=is_held_by_migration(state, reason),
        running_since_s=since if since is not None else 0.0,
        seen_at_s=said.round.at_s,
    )


def _merged(instances: list[_Instance]) -> Vm:
    # Running before paused before shut off; what answers before what is only remembered; the later start before the
    # earlier (the destination of a migration); and the name, so that the choice never flickers.
    instances = sorted(
        instances,
        key=lambda one: (
            not one.vm.state.is_active,
            not one.is_fresh,
            not one.is_running,
            -one.running_since_s,
            one.host,
        ),
    )
    winner, others = instances[0], instances[1:]
    twice = tuple(other.host for other in others if _is_twice(winner, other))
    is_active_elsewhere = any(other.vm.state.is_active and other.is_held and other.is_fresh for other in others)
    return replace(
        winner.vm,
        other_hosts=tuple(other.host for other in others if other.host not in twice),
        also_running_on=twice,
        other_processes=tuple(
            OtherProcess(other.host, other.vm.pinning)
            for other in others
            if other.vm.state.is_active and other.is_fresh
        ),
        is_migrating=winner.vm.is_migrating or (winner.vm.state.is_active and is_active_elsewhere),
    )


def _is_twice(one: _Instance, other: _Instance) -> bool:
    """Whether both were seen running at the same time. Hosts are polled one after the other, so that in a migration
    the destination may be seen running before the source is seen to have stopped.
    """
    if not (one.is_running and other.is_running and one.is_fresh and other.is_fresh):
        return False
    if one.is_held or other.is_held:
        return False
    return max(one.running_since_s, other.running_since_s) <= min(one.seen_at_s, other.seen_at_s)
