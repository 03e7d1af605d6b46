"""Why a VM has no place on a host: the smallest set of facts that makes it impossible, in numbers and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.scheduler.demand import Block, Demand, NodeNeed
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.need_facts import Fact, facts_of, users_sentence
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.relaxing import Constraint, relaxed, smallest_cause
from hpconsole.core.scheduler.room import HostRoom
from hpconsole.core.scheduler.units import Shortage
from hpconsole.core.scheduler.wording import counted, listed, mib, page

NO_MAP = "NOT_MEMORY_PINNED_NUMA"
NO_CPU = "VM_PINNING_PCPU_DOES_NOT_EXIST"
NO_OWN_CPUS = "VM_PINNING_DEDICATED_NOT_FIT"
NO_CPU_DATA = "NO_HOST_CPU_DATA"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A VM that has no place on a host, and the smallest cause. `kind` is the reference's reason key."""

    vm_uuid: str
    host: str
    sentence: str
    shortages: tuple[Shortage, ...] = ()
    kind: str = ""


def explain(demand: Demand, occupancy: Occupancy) -> Misfit:
    """Why the demand, which has no placement here, has none."""
    uuid, host = demand.vm.uuid, occupancy.host.name
    if demand.problems:
        return Misfit(uuid, host, " ".join(demand.problems))
    sentence, shortages, kind = _plain_cause(demand, occupancy) or _searched_cause(demand, occupancy)
    return Misfit(uuid, host, sentence, shortages, kind)


_Answer = tuple[str, tuple[Shortage, ...], str]


def _plain_cause(demand: Demand, occupancy: Occupancy) -> _Answer | None:
    """What is simply not there: CPUs at all, named nodes, named CPUs, the memory of a literal binding."""
    room = HostRoom(demand, occupancy)
    host = occupancy.host.name
    if not room.tables.online and (demand.rule.takes_cpus or demand.literal or demand.floating):
        return f"{host} has not told which CPUs it has.", (), NO_CPU_DATA
    missing = room.missing_nodes()
    if missing:
        has = CpuSet.of(room.tables.node_ids).format()
        names = "host node" if len(missing) == 1 else "host nodes"
        sentence = f"It is pinned to {names} {listed(missing)}, which {host} does not have (it has {has})."
        return sentence, (Shortage(f"{names} {listed(missing)}", len(missing), 0, "nodes"),), NO_MAP
    wanted = 0
    for _, cpus in demand.literal:
        wanted |= cpus.bits
    absent, taken = CpuSet(wanted & ~room.tables.online), CpuSet(wanted & occupancy.exclusive.bits)
    if absent:
        are = "is" if len(absent) == 1 else "are"
        sentence = f"It is pinned to {_cpus_named(absent)}, which {are} not there or not online on {host}."
        return sentence, (Shortage(f"online {_cpus_named(absent)}", len(absent), 0, "CPUs"),), NO_CPU
    if taken:
        users = users_sentence(occupancy, taken)
        sentence = f"It is pinned to {_cpus_named(taken)}, which other VMs have for themselves{users}."
        return sentence, (Shortage(f"free {_cpus_named(taken)}", len(taken), 0, "CPUs"),), NO_CPU
    return None if room.has_tune_memory else _short_tune(demand, room)


def _short_tune(demand: Demand, room: HostRoom) -> _Answer:
    tune = demand.tune
    assert tune is not None  # noqa: S101 - only its memory can be short
    ids = tune.nodes or ()
    share, asked = -(-tune.memory_kib // max(1, len(ids))), []
    shortages: list[Shortage] = []
    for node_id in ids:
        node = room.nodes[room.tables.index[node_id]]
        if node.free_kib < share:
            asked.append(f"node {node_id} has {mib(node.free_kib)} free of {mib(share)}")
            shortages.append(Shortage(f"free memory on node {node_id}", share / 1024, node.free_kib / 1024, "MiB"))
        for size, count in tune.page_needs:
            each, free = -(-count // max(1, len(ids))), node.free_pages.get(size, 0)
            if free < each:
                asked.append(f"node {node_id} has {free:,} free {page(size)} pages of {each:,}")
                shortages.append(Shortage(f"free {page(size)} pages on node {node_id}", each, free, "pages"))
    names = "host node" if len(ids) == 1 else "host nodes"
    return f"Its memory is bound to {names} {listed(ids)}: {listed(asked)}.", tuple(shortages), NO_MAP


def _searched_cause(demand: Demand, occupancy: Occupancy) -> _Answer:
    cause = smallest_cause(demand, occupancy)
    loose, taken = relaxed(demand, occupancy, cause)
    room = HostRoom(loose, taken)
    is_about_cpus = Constraint.CPUS in cause and demand.rule.takes_cpus
    kind = NO_OWN_CPUS if is_about_cpus and not cause & {Constraint.MEMORY, Constraint.PAGES} else NO_MAP
    if demand.sockets:
        sentence, shortages = _of_sockets(loose, room, cause)
    elif not loose.node_needs:
        sentence, shortages = "Its demands contradict each other.", ()
    else:
        sentence, shortages = _of_needs(loose, room, cause)
    if Constraint.OTHERS in cause:
        sentence += f" Other VMs hold CPUs there{users_sentence(occupancy, None)}."
    return sentence, shortages, kind


def _of_needs(demand: Demand, room: HostRoom, cause: frozenset[Constraint]) -> tuple[str, tuple[Shortage, ...]]:
    masks = [_fit_mask(room, need) for need in demand.node_needs]
    for need, mask in zip(demand.node_needs, masks, strict=True):
        if not mask:
            return _nowhere(need, room, cause)
    if demand.nodes_distinct:
        short = _too_few_nodes(masks)
        if short is not None:
            return _not_enough_nodes(short, demand, room, masks, cause)
    return _not_together(demand, room, cause)


def _fit_mask(room: HostRoom, need: NodeNeed) -> int:
    """Nodes with room; for a need that lies over several nodes, those with room for its share."""
    if not need.takes_all_allowed:
        return room.fit_mask(need)
    allowed = room.allowed(need)
    shares = allowed.bit_count()
    is_met = all(node.has_memory(need, shares) for node in room.nodes if allowed >> node.position & 1)
    return allowed if is_met else 0


def _subject(needs: Sequence[NodeNeed]) -> str:
    ids = sorted({node for need in needs for node in need.virtual_nodes})
    if not ids:
        return "It"
    return f"Virtual node {ids[0]}" if len(ids) == 1 else f"Virtual nodes {CpuSet.of(ids).format()} together"


def _nowhere(need: NodeNeed, room: HostRoom, cause: frozenset[Constraint]) -> tuple[str, tuple[Shortage, ...]]:
    """One need that no node has room for."""
    allowed = room.allowed(need)
    nodes = [node for node in room.nodes if allowed >> node.position & 1]
    facts = facts_of(need, room, cause, shares=len(nodes) if need.takes_all_allowed else 1)
    ids = room.tables.node_ids
    verb = "need" if len(need.virtual_nodes) > 1 else "needs"
    wanted = f"{_subject([need])} {verb} {_joined([fact.wanted for fact in facts])}"
    if not nodes:
        return f"{_subject([need])} {verb} a host node that is in the pin list of each; there is none.", ()
    if need.takes_all_allowed:
        where = f"on each of {_nodes_named([node.position for node in nodes], room, 'and')}"
    elif Constraint.PINS in cause and len(nodes) > 1:
        where = f"on one of {_nodes_named([node.position for node in nodes], room, 'and')}"
    else:
        where = f"on node {ids[nodes[0].position]}" if len(nodes) == 1 else "on one host node"
    if len(facts) == 1 and not need.takes_all_allowed:
        fact = facts[0]
        best = max(nodes, key=lambda node: (fact.available[node.position], -node.position))
        have, name = fact.available[best.position], f"node {ids[best.position]}"
        shortage = Shortage(f"{fact.what} on {name}", fact.shown(fact.needed), fact.shown(have), fact.unit)
        has = f"it has {fact.told(have)}" if len(nodes) == 1 else f"{name} has the most, {fact.told(have)}"
        return f"{wanted} {where}; {has}.", (shortage,)
    lacks: list[str] = []
    shortages: list[Shortage] = []
    for node in nodes:
        lacking = next((fact for fact in facts if not fact.is_met(node.position)), None)
        if lacking is not None:
            have, name = lacking.available[node.position], f"node {ids[node.position]}"
            lacks.append(f"{name} has {lacking.had(have)}")
            needed = lacking.shown(lacking.needed)
            shortages.append(Shortage(f"{lacking.what} on {name}", needed, lacking.shown(have), lacking.unit))
    return f"{wanted} {where}: {listed(lacks)}.", tuple(shortages)


def _too_few_nodes(masks: Sequence[int]) -> tuple[list[int], int] | None:
    """(needs, the nodes they fit): a smallest set of needs with fewer nodes than needs; None if there is none."""
    holder: dict[int, int] = {}
    node_of: dict[int, int] = {}
    for j in range(len(masks)):
        seen_needs, seen_nodes, end = {j}, 0, -1
        parent: dict[int, int] = {}
        queue = [j]
        while queue and end < 0:
            here = queue.pop(0)
            for node in positions(masks[here] & ~seen_nodes):
                seen_nodes |= 1 << node
                parent[node] = here
                if node not in holder:
                    end = node
                    break
                seen_needs.add(holder[node])
                queue.append(holder[node])
        if end < 0:
            return sorted(seen_needs), seen_nodes
        need = -1
        while need != j:
            need = parent[end]
            holder[end] = need
            node_of[need], end = end, node_of.get(need, -1)
    return None


def _not_enough_nodes(
    short: tuple[list[int], int], demand: Demand, room: HostRoom, masks: Sequence[int], cause: frozenset[Constraint]
) -> tuple[str, tuple[Shortage, ...]]:
    """More needs than nodes that have room for any of them."""
    indices, nodes = short
    needs = [demand.node_needs[j] for j in indices]
    wanted = [_joined([fact.wanted for fact in facts_of(need, room, cause)]) for need in needs]
    have = [i for i in range(len(room.nodes)) if nodes >> i & 1]
    where = f"only {_nodes_named(have, room, 'and')} {'has' if len(have) == 1 else 'have'} that"
    kinds = sorted(set(wanted), key=wanted.index)
    if kinds == [""]:
        sentence = f"It needs {counted(len(needs), 'host node')}; {room.occupancy.host.name} has {len(have)}."
    elif len(kinds) == 1:
        sentence = f"It needs {counted(len(needs), 'host node')} with {kinds[0]} each; {where}."
    else:
        parts = [counted(wanted.count(kind), "host node") + (f" with {kind}" if kind else "") for kind in kinds]
        sentence = f"It needs {_joined(parts)}, {len(needs)} different ones; only {_nodes_named(have, room, 'and')} "
        sentence += f"{'has' if len(have) == 1 else 'have'} room for any of these."
    what = f"host nodes with {kinds[0]}" if len(kinds) == 1 and kinds[0] else "host nodes with room"
    return sentence, (Shortage(what, len(needs), len(have), "nodes"),)


def _not_together(demand: Demand, room: HostRoom, cause: frozenset[Constraint]) -> tuple[str, tuple[Shortage, ...]]:
    """Each need has room by itself, but not beside the others."""
    by_need = [facts_of(need, room, cause) for need in demand.node_needs]
    sentences: list[str] = []
    shortages: list[Shortage] = []
    for fact in _totals(by_need):
        reach = 0
        for need in demand.node_needs:
            reach |= room.allowed(need)
        have = sum(fact.available[i] for i in positions(reach))
        if have < fact.needed:
            reached = list(positions(reach))
            has = "has" if len(reached) == 1 else "together have"
            where = _nodes_named(reached, room, "and")
            sentences.append(f"It needs {fact.wanted} in all; {where} {has} {fact.told(have)}.")
            shortages.append(Shortage(f"{fact.what} in all", fact.shown(fact.needed), fact.shown(have), fact.unit))
    if sentences:
        return " ".join(sentences), tuple(shortages)
    parts: list[str] = []
    for need, facts in zip(demand.node_needs, by_need, strict=True):
        name = f"virtual node {need.virtual_nodes[0]}: " if need.virtual_nodes else ""
        parts.append(name + _joined([fact.wanted for fact in facts]))
    rooms: list[str] = []
    for node in room.nodes:
        told = [fact.had(fact.available[node.position]) for fact in _totals(by_need)]
        rooms.append(f"node {room.tables.node_ids[node.position]} has {_joined(told)}")
    for fact in _totals(by_need):
        most = max(fact.available)
        shortages.append(Shortage(f"{fact.what} on one node", fact.shown(fact.needed), fact.shown(most), fact.unit))
    sentence = f"Its virtual nodes cannot be divided over the host nodes: {listed(parts)}; {listed(rooms)}."
    return sentence, tuple(shortages)


def _totals(by_need: Sequence[Sequence[Fact]]) -> list[Fact]:
    """The facts of all needs added up by what they are about (what does not add up is left out)."""
    totals: dict[str, Fact] = {}
    for facts in by_need:
        for fact in facts:
            if fact.adds_up:
                known = totals.get(fact.what)
                totals[fact.what] = fact if known is None else known.plus(fact)
    return list(totals.values())


def _of_sockets(demand: Demand, room: HostRoom, cause: frozenset[Constraint]) -> tuple[str, tuple[Shortage, ...]]:
    """A VM without virtual nodes: CPUs of its own anywhere on the host, its memory with them."""
    sentences: list[str] = []
    shortages: list[Shortage] = []
    if demand.tune is not None and cause & {Constraint.MEMORY, Constraint.PAGES}:
        asked = NodeNeed(memory_kib=demand.tune.memory_kib, more_pages=demand.tune.page_needs)
        for fact in facts_of(asked, room, cause):
            sentences.append(f"It needs {fact.wanted}, divided evenly over its host nodes.")
            shortages.append(Shortage(fact.what, fact.shown(fact.needed), fact.shown(sum(fact.available)), fact.unit))
    if demand.sockets:
        largest = max(demand.sockets, key=len)
        every = tuple(block for blocks in demand.sockets for block in blocks)
        if Constraint.SOCKETS in cause and len(largest) > 1:
            each = _fact_of_blocks(largest, demand, room, cause)
            by_socket = _socket_capacities(room)
            have = sum(capacity // len(largest) for capacity in by_socket)
            count, told = len(demand.sockets), listed([each.told(capacity) for capacity in by_socket])
            wanted = f"{counted(count, 'virtual socket')} with {each.wanted}{' each' if count > 1 else ''}"
            sentences.append(f"It needs {wanted}, none over two host sockets; these have {told}.")
            shortages.append(Shortage("virtual sockets there is room for", count, have, "sockets"))
        else:
            fact = _fact_of_blocks(every, demand, room, cause)
            have = sum(fact.available)
            sentences.append(f"It needs {fact.wanted}; {room.occupancy.host.name} has {fact.told(have)}.")
            shortages.append(Shortage(fact.what, fact.needed, have, fact.unit))
    return " ".join(sentences), tuple(shortages)


def _fact_of_blocks(blocks: tuple[Block, ...], demand: Demand, room: HostRoom, cause: frozenset[Constraint]) -> Fact:
    need = NodeNeed(blocks=blocks, cpus_needed=len(blocks) * demand.threads)
    return next(fact for fact in facts_of(need, room, cause) if fact.is_about_cpus)


def _socket_capacities(room: HostRoom) -> list[int]:
    """How many blocks each host socket has room for."""
    sockets: dict[int, int] = {}
    for node in room.nodes:
        for socket in {core.socket for core in node.tables.cores[node.position]}:
            bits = sum(core.bits for core in node.tables.cores[node.position] if core.socket == socket)
            sockets[socket] = sockets.get(socket, 0) + node.part(bits).capacity
    return [capacity for _, capacity in sorted(sockets.items())]


def _nodes_named(nodes: Sequence[int], room: HostRoom, last: str) -> str:
    ids = [room.tables.node_ids[i] for i in nodes]
    if not ids:
        return "no host node"
    if len(ids) == 1:
        return f"node {ids[0]}"
    if len(ids) > 8:
        return f"nodes {CpuSet.of(ids).format()}"
    return f"nodes {', '.join(map(str, ids[:-1]))} {last} {ids[-1]}"


def _cpus_named(cpus: CpuSet) -> str:
    return f"{'CPU' if len(cpus) == 1 else 'CPUs'} {cpus.format()}"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(part for part in parts if part)
