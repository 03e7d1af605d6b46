"""What is wrong with the pinning of a draft: texts, policies, threads, virtual nodes (behaviour.md B6-B9). Pure.

The rules themselves are `planning.pinning_text` and `planning.numa_rules`, which the conformance tests hold to the
reference's vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.machines.draft import CpuPinningPolicy, HostMap, NodeDraft, VmDraft
from hpconsole.core.machines.editing import pinning_of
from hpconsole.core.machines.problem import Problem
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.planning import numa_rules
from hpconsole.core.planning.pinning_text import validate

_SHOWN_CPUS = 60  # characters


def check(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    """Every problem of the tab NUMA & pinning."""
    yield from _policy(draft, around)
    yield from _texts(draft, around)
    yield from _helper_threads(draft, around)
    yield from node_problems(draft, around)


def _policy(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    policy = draft.cpu_pinning_policy
    if policy is CpuPinningPolicy.MANUAL and not draft.allowed_hosts:
        yield Problem(
            "cpu_pinning_policy",
            "Manual pinning names CPUs of a host: choose at least one specific host, or the policy Keep the shape.",
            kind="ACTION_TYPE_FAILED_VM_CANNOT_BE_PINNED_TO_CPU_WITH_UNDEFINED_HOST",
        )
    elif policy is CpuPinningPolicy.MANUAL and not draft.pinning_text:
        without = [name for name in draft.allowed_hosts if not pinning_of(draft, name)]
        if without:
            yield Problem(
                "pinning_text", f"Manual pinning needs a map: say which vCPU may use which CPUs on {without[0]}."
            )
    if policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS):
        pinned = [node.index for node in draft.numa_nodes if node.host_nodes]
        if pinned:
            yield Problem(
                "cpu_pinning_policy",
                f"Virtual node {pinned[0]} is pinned, and this policy chooses the host nodes itself: unpin the virtual "
                "nodes, or choose Keep the shape.",
            )
    if policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        for host in around.specific(draft):
            sockets, cores = host.topology.sockets, host.topology.cores
            if sockets and cores and cores // sockets < 2:
                yield Problem(
                    "cpu_pinning_policy",
                    f"Resize and pin leaves one core of each socket to the host, and {host.name} has only one.",
                )


def _texts(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    yield from _text(draft, around, "pinning_text", around.specific(draft))
    for own in draft.per_host:
        host = around.snapshot.hosts.get(own.host)
        if own.host not in draft.allowed_hosts:
            yield Problem(f"per_host.{own.host}", f"{own.host} is not among the specific hosts.")
        yield from _text(draft, around, f"per_host.{own.host}", () if host is None else (host,))


def _text(draft: VmDraft, around: Surroundings, field: str, hosts: Sequence[Host]) -> Iterator[Problem]:
    """One text, for all hosts or (field `per_host.NAME`) for one."""
    policy = draft.cpu_pinning_policy
    own_maps = {own.host: own.pinning_text for own in draft.per_host if own.pinning_text}
    is_general = field == "pinning_text"
    text = draft.pinning_text if is_general else own_maps.get(field.removeprefix("per_host."), "")
    is_shape = policy is CpuPinningPolicy.KEEP_SHAPE  # our own policy: a map whose structure counts, on any host
    try:
        validate(
            text,
            policy=CpuPinningPolicy.MANUAL if is_shape else policy,
            vcpus=draft.vcpus,
            chosen_hosts=1 if is_shape else len(draft.allowed_hosts),
        )
    except InvalidPinning as error:
        yield Problem(field, error.sentence, kind=error.kind)
        return
    if policy is not CpuPinningPolicy.MANUAL or not text:
        return
    asked = _all_cpus(draft, field)
    hosts = [host for host in hosts if not is_general or host.name not in own_maps]
    yield from _collisions(draft, around, field, hosts, asked)
    lacking = [(host, missing) for host in hosts if (missing := _missing(host, asked))]
    is_warning = len(lacking) < len(hosts)
    for host, missing in lacking:
        yield Problem(field, _lacks(host, missing), is_warning=is_warning, kind="VM_PINNING_PCPU_DOES_NOT_EXIST")


def _collisions(
    draft: VmDraft, around: Surroundings, field: str, hosts: Sequence[Host], asked: CpuSet
) -> Iterator[Problem]:
    """VMs, running or not, that are pinned to the same CPUs of the same host: a literal map makes no way for them."""
    names = {host.name for host in hosts}
    for vm in around.snapshot.vms.values():
        if vm.host not in names or vm.uuid == draft.uuid or vm.intent.cpu_pinning_policy is CpuPinningPolicy.NONE:
            continue  # what only follows from nodes is nobody's
        if shared := vm.pinning.all_vcpu_cpus & asked:
            word = "CPU" if len(shared) == 1 else "CPUs"
            yield Problem(
                field,
                f"{vm.name} ({vm.state.value}) is pinned to {word} {shared.format()[:_SHOWN_CPUS]} of {vm.host}, too: "
                "both will be slower. “Keep the shape” gives each VM cores of its own.",
                is_warning=True,
            )


def _all_cpus(draft: VmDraft, field: str) -> CpuSet:
    together = EMPTY
    for cpus in pinning_of(draft, field.removeprefix("per_host.") if field.startswith("per_host.") else "").values():
        together |= cpus
    return together


def _missing(host: Host, asked: CpuSet) -> CpuSet:
    """The CPUs a host lacks; none where it tells nothing of its CPUs."""
    return asked - host.topology.all_cpus if host.topology.cpus else EMPTY


def _lacks(host: Host, missing: CpuSet) -> str:
    word = "CPU" if len(missing) == 1 else "CPUs"
    named = missing.format()
    named = named if len(named) <= _SHOWN_CPUS else f"{named[:_SHOWN_CPUS]}…"
    return f"{host.name} has no {word} {named}; it has {host.topology.all_cpus.format()[:_SHOWN_CPUS]}."


def _helper_threads(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    """Emulator and IO threads: their CPUs exist, and are not those of vCPUs."""
    asked: list[tuple[str, str, str]] = [("emulator_text", "emulator threads", draft.emulator_text)]
    asked += [("iothread_texts", f"IO thread {thread}", text) for thread, text in draft.iothread_texts]
    vcpus = EMPTY
    for cpus in pinning_of(draft).values():
        vcpus |= cpus
    for field, who, text in asked:
        try:
            cpus = CpuSet.parse(text)
        except InvalidPinning as error:
            yield Problem(field, f"{who[:1].upper()}{who[1:]}: {error.sentence}")
            continue
        if text.strip() and not cpus:
            yield Problem(field, f"“{text[:40]}” leaves the {who} no CPU.")
        hosts = around.specific(draft)
        if draft.cpu_pinning_policy is CpuPinningPolicy.MANUAL:
            lacking = [(host, missing) for host in hosts if (missing := _missing(host, cpus))]
            for host, missing in lacking:
                yield Problem(field, _lacks(host, missing), is_warning=len(lacking) < len(hosts))
        shared = cpus & vcpus
        if shared:
            word = "CPU" if len(shared) == 1 else "CPUs"
            yield Problem(
                field,
                f"The {who} share {word} {shared.format()[:_SHOWN_CPUS]} with vCPUs, which then wait for them.",
                is_warning=True,
            )
    beyond = [thread for thread, _ in draft.iothread_texts if not 1 <= thread <= max(draft.iothreads, 0)]
    if beyond and draft.is_new:
        yield Problem("iothread_texts", f"There is no IO thread {beyond[0]}: the VM has {draft.iothreads}.")


def node_problems(
    draft: VmDraft,
    around: Surroundings,
    operation: str = "set",
    requested: Sequence[NodeDraft] | None = None,
    *,
    is_gone: bool = False,
) -> Iterator[Problem]:
    """Every rule of behaviour.md B8, for the pins of all hosts and those of single ones. Quick: asked at every key.

    Args:
        operation: What is done to the draft's virtual nodes: `add`, `update`, `remove`, `set`.
        requested: With these; None: the draft's own, as they are.
        is_gone: The VM was deleted meanwhile.
    """
    facts = facts_of(draft)
    existing, asked = draft.numa_nodes, draft.numa_nodes if requested is None else requested
    problem = numa_rules.check_edit(operation, existing, asked, None if is_gone else facts, None)
    if problem is not None:
        yield Problem("numa_nodes", problem.sentence, kind=problem.kind)
        return
    nodes = numa_rules.edited(operation, existing, asked)
    if not nodes:
        return
    is_shape = draft.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE
    if is_shape:  # it goes to any nodes, of hosts with any number of them: their verdicts say whether it fits
        nodes = tuple(replace(node, host_nodes=()) for node in nodes)
    maps: Mapping[str, HostMap] = {own.host: own for own in draft.per_host}
    if not around.specific(draft):
        problem = numa_rules.check_hosts(nodes, facts, {})
        if problem is not None:
            yield Problem("numa_nodes", problem.sentence, kind=problem.kind)
        return
    for host in around.specific(draft):
        own = maps.get(host.name)
        if is_shape and (own is None or not own.numa):
            continue
        wanted = nodes if own is None else nodes_on(nodes, own)
        problem = numa_rules.check_hosts(wanted, facts, {host.name: memory_of(host)})
        if problem is not None:
            has_own = own is not None and bool(own.numa)
            yield Problem(f"per_host.{host.name}" if has_own else "numa_nodes", problem.sentence, kind=problem.kind)


def node_edit(before: Sequence[NodeDraft], after: Sequence[NodeDraft]) -> tuple[str, tuple[NodeDraft, ...]]:
    """What was done to virtual nodes, as `node_problems` wants it told: the operation, and the nodes it is about."""
    if [node.index for node in before] == [node.index for node in after]:
        changed = tuple(new for old, new in zip(before, after, strict=True) if old != new)
        if all(node.key is not None for node in before) and len({node.key for node in before}) == len(before):
            return "update", changed
    if tuple(after[: len(before)]) == tuple(before):
        return "add", tuple(after[len(before) :])
    return "set", tuple(after)


def facts_of(draft: VmDraft) -> numa_rules.VmFacts:
    """What the rules about virtual nodes ask of the VM."""
    return numa_rules.VmFacts(draft.vcpus, draft.memory_kib, draft.cpu_pinning_policy, draft.huge_page_kib)


def memory_of(host: Host) -> dict[int, int]:
    """A host's nodes with all their memory, KiB."""
    return {node.node_id: node.memory_kib for node in host.topology.nodes}


def nodes_on(nodes: Sequence[NodeDraft], own: HostMap) -> tuple[NodeDraft, ...]:
    """The virtual nodes with the pins that hold on one host."""
    pins = {pin.node_id: pin for pin in own.numa}
    return tuple(
        replace(node, host_nodes=pins[node.index].host_nodes, mode=pins[node.index].mode)
        if node.index in pins
        else node
        for node in nodes
    )
