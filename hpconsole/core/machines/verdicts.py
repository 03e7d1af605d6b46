"""Does the VM of this draft fit each of its hosts, every mismatch with its numbers? And its virtual nodes alone? Pure.

The verdicts are the scheduler's own: the same filters and the same placement engine that decide when the VM starts or
moves. Judged as if the VM started there now, so that what it uses on its present host is given back first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines.draft import CpuPinningPolicy, VmDraft
from hpconsole.core.machines.editing import pin_node
from hpconsole.core.machines.field_labels import counted
from hpconsole.core.machines.layout import fits_topology, host_topology, taken_on
from hpconsole.core.machines.resizing import resized, resized_placement
from hpconsole.core.machines.surroundings import Surroundings, meant_vm
from hpconsole.core.model.host import Host
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import NumaMode, NumaPin, Vm
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.units import Refusal

_ROOM_FILTERS = ("Memory", "HugePages", "NUMA", "CpuPinning", "CPU", "Placement")  # judged by the engine where it runs


class Tone(StrEnum):
    """Whether a host will do."""

    GREEN = "green"
    AMBER = "amber"  # it will run there, with what the warnings say
    RED = "red"


@dataclass(frozen=True, slots=True)
class HostVerdict:
    """One host: why not, what to consider, and the exact map the VM would get there now."""

    host: str
    reasons: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()
    placement: Placement | None = None

    @property
    def tone(self) -> Tone:
        """Red: it cannot run there."""
        return Tone.RED if self.reasons else Tone.AMBER if self.warnings else Tone.GREEN

    @property
    def is_suitable(self) -> bool:
        """Whether it can run there."""
        return not self.reasons

    @property
    def sentence(self) -> str:
        """Everything in one line; "It fits." where there is nothing to say."""
        words = [reason.sentence for reason in self.reasons] + list(self.warnings)
        return " ".join(words) or "It fits."


def host_verdicts(draft: VmDraft, around: Surroundings, hosts: Sequence[str] = ()) -> tuple[HostVerdict, ...]:
    """A verdict for each of these hosts (none named: the specific ones, or all), in their order.

    Threads: any; some milliseconds and a few more for each host: dialogs ask off their own thread.
    """
    names = tuple(hosts) or draft.allowed_hosts or tuple(around.snapshot.hosts)
    try:
        present = around.present(draft)
        meant = meant_vm(draft)
    except HpconsoleError as error:
        return tuple(HostVerdict(name, (Refusal("Definition", error.sentence),)) for name in names)
    vm = replace(meant, host=around.shape_host(draft))
    ranking = rank(Request((vm.uuid,), may_stay=True), around.with_vm(vm), around.policy, around.reservations)
    verdicts = []
    for name in names:
        host = around.snapshot.hosts.get(name)
        if host is None:
            verdicts.append(HostVerdict(name, (Refusal("Host status", f"There is no host named {name[:60]}."),)))
            continue
        reasons = ranking.refusals(name)
        taken = taken_on(draft, around, host)
        if present is not None and present.is_running_somewhere and present.host == name:
            reasons = tuple(reason for reason in reasons if reason.unit not in _ROOM_FILTERS)
        placed = _place_on(draft, around, host, taken, meant)
        if isinstance(placed, Misfit) and not any(reason.unit in _ROOM_FILTERS for reason in reasons):
            reasons = (*reasons, Refusal("Placement", placed.sentence, placed.kind, placed.shortages))
        placement = placed if isinstance(placed, Placement) else None
        verdicts.append(HostVerdict(name, reasons, _warnings(draft, host, taken, placement), placement))
    return tuple(verdicts)


def numa_verdicts(draft: VmDraft, around: Surroundings, hosts: Sequence[str] = ()) -> tuple[HostVerdict, ...]:
    """Whether the pins of the virtual nodes alone fit each host; the CPU pinning is not looked at."""
    verdicts = []
    for name in tuple(hosts) or draft.allowed_hosts or tuple(around.snapshot.hosts):
        host = around.snapshot.hosts.get(name)
        if host is None:
            verdicts.append(HostVerdict(name, (Refusal("Host status", f"There is no host named {name[:60]}."),)))
            continue
        placed = _place_on(memory_only(draft), around, host, taken_on(draft, around, host))
        if isinstance(placed, Misfit):
            verdicts.append(HostVerdict(name, (Refusal("NUMA", placed.sentence, placed.kind, placed.shortages),)))
        else:
            verdicts.append(HostVerdict(name, placement=placed))
    return tuple(verdicts)


def memory_only(draft: VmDraft) -> VmDraft:
    """The draft without its CPU pinning; virtual nodes stay pinned."""
    return replace(
        draft,
        cpu_pinning_policy=CpuPinningPolicy.NONE,
        pinning_text="",
        emulator_text="",
        iothread_texts=(),
        per_host=tuple(replace(own, pinning_text="") for own in draft.per_host if own.numa),
    )


def _place_on(
    draft: VmDraft, around: Surroundings, host: Host, taken: Occupancy, meant: Vm | None = None
) -> Placement | Misfit:
    """`meant`: the VM of the draft where hosts make no difference to it; written and read again it costs the most."""
    try:
        sized = resized(draft, host)  # judged as large as it will be there
        is_same = meant is not None and sized is draft and not draft.per_host
        vm = meant if meant is not None and is_same else meant_vm(sized, host=host.name)
    except HpconsoleError as error:
        return Misfit(draft.uuid, host.name, error.sentence)
    placed = place(vm, taken, source=around.shape_topology(draft))
    if isinstance(placed, Placement) and draft.cpu_pinning_policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        return resized_placement(sized, host, vm.uuid)  # the very map a start writes
    return placed


def _warnings(draft: VmDraft, host: Host, taken: Occupancy, placement: Placement | None) -> tuple[str, ...]:
    warnings = []
    if draft.is_pinned_or_high_performance and host.topology.cpus and not fits_topology(draft.topology, host):
        has, wants = host_topology(host), draft.topology
        cores = f"{counted(has.cores, 'core')} with {counted(has.threads, 'thread')}"
        asked = f"{wants.sockets} of {wants.cores * wants.dies} with {wants.threads}"
        warnings.append(
            f"{host.name} has {counted(has.sockets, 'socket')} of {cores}, the VM {asked}: the guest sees other caches."
        )
    if placement is not None:
        own = placement.pinning.all_vcpu_cpus
        shared = [user for user in taken.users_of(own) if not user.is_exclusive]
        if shared:
            names = ", ".join(f"{user.name} (CPUs {(user.cpus & own).format()})" for user in shared[:3])
            warnings.append(f"Its vCPUs share CPUs on {host.name} with {names}.")
    return tuple(warnings)


# --- virtual nodes on host nodes --------------------------------------------------


def auto_assign(draft: VmDraft, around: Surroundings, host: str, *, for_host_only: bool = False) -> VmDraft | str:
    """The best legal assignment of all virtual nodes on a host (shortest distances, fewest host nodes), or why none.

    Args:
        for_host_only: Keep it as this host's own variation.
    """
    there = around.snapshot.hosts.get(host)
    if there is None:
        return f"There is no host named {host[:60]}."
    if not draft.numa_nodes:
        return "The VM has no virtual nodes to assign."
    free = replace(
        memory_only(draft), per_host=(), numa_nodes=tuple(replace(n, host_nodes=()) for n in draft.numa_nodes)
    )
    try:
        vm = meant_vm(free)
    except HpconsoleError as error:
        return error.sentence
    anywhere = tuple(NumaPin(node.index, (), NumaMode.STRICT) for node in draft.numa_nodes)
    placed = place(_with_pins(vm, anywhere), taken_on(draft, around, there))
    if isinstance(placed, Misfit):
        return placed.sentence
    assigned = draft
    for binding in placed.bindings:
        assigned = pin_node(assigned, binding.node_id, binding.host_nodes, host=host if for_host_only else "")
    return assigned


def _with_pins(vm: Vm, pins: tuple[NumaPin, ...]) -> Vm:
    return replace(vm, intent=replace(vm.intent, numa_pins=pins))
