"""An independent, exhaustive placement for tiny cases, to hold the engine against.

Written from the rules, not from the engine: it shares no code with `hpconsole.core.scheduler` but the occupancy value.
`python -m tests.core.scheduler.brute_force --cases 100000` compares the two and prints a summary.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations, product

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode, NumaPin, VirtualNumaNode, Vm
from hpconsole.core.scheduler.occupancy import Occupancy

Key = tuple[int, ...]  # nodes, distance, banks, part cores, devices, moved, free CPUs, free memory
Sets = dict[int, frozenset[int]]
OWN = (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS, CpuPinningPolicy.KEEP_SHAPE)


@dataclass
class Machine:
    """A host's topology as plain sets."""

    cpus: dict[int, frozenset[int]]  # node -> online CPUs
    core: dict[int, frozenset[int]]  # CPU -> its core
    socket: dict[int, int]
    banks: list[frozenset[int]]
    distance: dict[tuple[int, int], int]

    @classmethod
    def of(cls, topology: HostTopology) -> Machine:
        online = {cpu.cpu_id for cpu in topology.cpus}
        cpus = {node.node_id: frozenset(node.cpus) & online for node in topology.nodes}
        banks: list[frozenset[int]] = []
        for own in cpus.values():
            left = set(own)
            for bank in topology.l3_banks:
                part = frozenset(bank.cpus) & left
                banks += [part] if part else []
                left -= part
            banks += [frozenset(left)] if left else []
        return cls(
            cpus,
            {cpu.cpu_id: frozenset(cpu.siblings) & online for cpu in topology.cpus},
            {cpu.cpu_id: cpu.socket_id for cpu in topology.cpus},
            banks,
            {(a.node_id, b.node_id): a.distance_to(b.node_id) for a in topology.nodes for b in topology.nodes},
        )

    def node_of(self, cpu: int) -> int:
        return next(node for node, cpus in self.cpus.items() if cpu in cpus)


@dataclass
class Case:
    """One VM and one host; everything derived from the rules."""

    vm: Vm
    taken: Occupancy
    source: HostTopology | None
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine.of(self.taken.host.topology)
        online = {cpu for cpus in self.machine.cpus.values() for cpu in cpus}
        self.free = online - set(self.taken.exclusive) - set(self.taken.shared)
        self.usable = online - set(self.taken.exclusive) - set(self.taken.host.isolated_cpus)
        self.unheld = online - set(self.taken.exclusive)
        self.policy = self.vm.intent.cpu_pinning_policy
        self.pins = self._pins()
        self.now = {vcpu: frozenset(cpus) for vcpu, cpus in self.vm.pinning.vcpus}

    def _pins(self) -> dict[int, NumaPin]:
        pins = {pin.node_id: pin for pin in self.vm.intent.numa_pins}
        for node in self.vm.virtual_nodes:
            if node.node_id in pins:
                continue
            literal = self.policy in (CpuPinningPolicy.NONE, CpuPinningPolicy.MANUAL)
            placed = self.policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)
            if node.host_nodes:
                pins[node.node_id] = NumaPin(node.node_id, node.host_nodes if literal else (), node.mode)
            elif placed:
                pins[node.node_id] = NumaPin(node.node_id, (), node.mode)
        return pins

    # Memory

    def asked(self, node: VirtualNumaNode) -> tuple[int, int]:
        """(page size or 0, KiB or pages) of a virtual node."""
        size = node.page_kib or self.vm.huge_page_kib or 0
        if self.pins[node.node_id].mode is NumaMode.PREFERRED:
            return size, 0
        return size, -(-node.memory_kib // size) if size else node.memory_kib

    def has_memory(self, homes: Mapping[int, Sequence[int]], more: Iterable[tuple[int, int, int]] = ()) -> bool:
        """Whether the memory is there. `homes`: virtual node -> host nodes; `more`: (node, size, amount)."""
        need: dict[tuple[int, int], int] = {}
        for vnode in self.vm.virtual_nodes:
            if vnode.node_id in homes:
                size, amount = self.asked(vnode)
                for node in homes[vnode.node_id]:
                    key = (node, size)
                    need[key] = need.get(key, 0) + -(-amount // len(homes[vnode.node_id]))
        for node, size, amount in more:
            need[node, size] = need.get((node, size), 0) + amount
        return all(
            amount <= (self.taken.free_pages.get(node, {}).get(size, 0) if size else self.taken.free_kib.get(node, 0))
            for (node, size), amount in need.items()
        )

    # The order

    def key(self, used: Iterable[int], sets: Sets, own: Iterable[int]) -> Key:
        """The documented order, from a finished map. `own`: CPUs the VM has for itself."""
        nodes, machine = sorted(set(used)), self.machine
        owner = {vcpu: node.node_id for node in self.vm.virtual_nodes for vcpu in node.vcpus}
        by_owner: dict[int, set[int]] = {}
        for vcpu, cpus in sets.items():
            by_owner.setdefault(owner.get(vcpu, -1), set()).update(cpus)
        mine = set(own)
        part = {machine.core[cpu] for cpu in mine if machine.core[cpu] - mine}
        at = {device.address: device.node_id for device in self.taken.host.devices.pci}
        devices = [at.get(device.address) for device in self.vm.devices.assigned]
        exclusive = self.policy in OWN
        pool = self.free if exclusive else self.usable
        counts = self.policy is not CpuPinningPolicy.MANUAL
        return (
            len(nodes),
            sum(machine.distance[a, b] for a in nodes for b in nodes if a != b),
            sum(1 for cpus in by_owner.values() for bank in machine.banks if bank & cpus),
            len(part) if self.policy is not CpuPinningPolicy.ISOLATE_THREADS else 0,
            sum(min(machine.distance[n, d] for n in nodes) for d in devices if d is not None and nodes),
            sum(1 for vcpu, cpus in sets.items() if self.now.get(vcpu) != cpus),
            sum(len(machine.cpus[n] & pool) for n in nodes) if counts else 0,
            sum(self._free_memory(n) for n in nodes),
        )

    def _free_memory(self, node: int) -> int:
        sizes = {size for v in self.vm.virtual_nodes if v.node_id in self.pins for size, n in [self.asked(v)] if n}
        if not self.vm.virtual_nodes and self.vm.numa_tune is not None and self.policy in OWN:
            sizes = {self.vm.huge_page_kib or 0} if self.vm.numa_tune.mode is not NumaMode.PREFERRED else set()
        plain = self.taken.free_kib.get(node, 0) if 0 in sizes else 0
        return plain + sum(size * self.taken.free_pages.get(node, {}).get(size, 0) for size in sizes if size)

    def measure(self, placement: Placement) -> Key:
        """The order of what the engine answered."""
        sets = {vcpu: frozenset(cpus) for vcpu, cpus in placement.pinning.vcpus}
        used = {n for b in placement.bindings for n in b.host_nodes}
        used |= {self.machine.node_of(cpu) for cpus in sets.values() for cpu in cpus}
        follows = self.vm.numa_tune is not None and self.policy in OWN
        if follows and placement.numa_tune is not None:
            used |= set(placement.numa_tune.nodeset)
        floating = set() if self.policy is not CpuPinningPolicy.KEEP_SHAPE else self.floating()
        own = {c for v, cpus in sets.items() if self.policy in OWN and v not in floating for c in cpus}
        return self.key(used, sets, own)

    def floating(self) -> set[int]:
        """VCPUs that are at home on whole source nodes."""
        if self.source is None:
            return set()
        nodes = Machine.of(self.source).cpus.values()
        users = [cpus for _, cpus in self.vm.pinning.vcpus]
        return {
            vcpu
            for vcpu, cpus in self.now.items()
            if len(cpus) >= max(2, users.count(CpuSet.of(cpus)) + 1)
            and all(not own & cpus or own <= cpus for own in nodes)
        }

    # Exhaustion

    def best(self) -> Key | None:
        """The least key of every placement there is; None if there is none."""
        return min(self.ways(), default=None)

    def ways(self) -> Iterator[Key]:
        if self.policy is CpuPinningPolicy.KEEP_SHAPE:
            yield from Shape(self).ways()
        elif self.policy in OWN and not self.vm.virtual_nodes:
            yield from self._anywhere()
        elif self.policy in OWN:
            yield from self._own_by_node()
        else:
            yield from self._floating_by_node()

    def options(self, vnode: VirtualNumaNode) -> list[tuple[int, ...]]:
        """Every set of host nodes a virtual node may be bound to."""
        pin, everywhere = self.pins[vnode.node_id], tuple(self.machine.cpus)
        listed = tuple(dict.fromkeys(pin.host_nodes)) or everywhere
        if any(node not in everywhere for node in listed):
            return []
        exclusive = self.policy in OWN
        if pin.mode is NumaMode.INTERLEAVE and len(set(pin.host_nodes)) > 1 and not exclusive:
            return [listed]
        found: list[tuple[int, ...]] = [(node,) for node in listed]
        if not exclusive and pin.mode is not NumaMode.PREFERRED:
            for width in range(2, len(set(vnode.host_nodes)) + 1):
                found += list(combinations(listed, width))
        return found

    def _floating_by_node(self) -> Iterator[Key]:
        bound = [v for v in self.vm.virtual_nodes if v.node_id in self.pins]
        manual = self.policy is CpuPinningPolicy.MANUAL
        literal = {v: frozenset(c) for v, c in self.vm.intent.cpu_pinning or self.vm.pinning.vcpus} if manual else {}
        if any(cpus - self.unheld for cpus in literal.values()):
            return
        near: list[Key] = []
        far: list[Key] = []
        for chosen in product(*(self.options(v) for v in bound)):
            homes = {v.node_id: nodes for v, nodes in zip(bound, chosen, strict=True)}
            sets: Sets = dict(literal)
            ok = self.has_memory(homes)
            is_near = True
            for v in bound:
                here = frozenset(c for n in homes[v.node_id] for c in self.machine.cpus[n] & self.usable)
                running = [vcpu for vcpu in v.vcpus if vcpu < self.vm.vcpus]
                if manual:
                    listed = self.pins[v.node_id].host_nodes
                    for vcpu in v.vcpus:
                        if vcpu in literal and not (
                            self.pins[v.node_id].mode is NumaMode.INTERLEAVE and len(set(listed)) > 1
                        ):
                            is_near &= all(self.machine.cpus[n] & literal[vcpu] for n in homes[v.node_id])
                    continue
                present = {c for vcpu in running for c in self.now.get(vcpu, ())}
                if not present and self.source is not None and not any(self.now.get(vcpu) for vcpu in running):
                    there = Machine.of(self.source).cpus
                    present = {c for n in v.host_nodes for c in there.get(n, ())}
                ok &= len(here) >= min(len(running), len(present) or len(running))
                sets.update((vcpu, here) for vcpu in running)
            if ok:
                used = {n for nodes in homes.values() for n in nodes}
                used |= {self.machine.node_of(c) for cpus in literal.values() for c in cpus}
                (near if is_near else far).append(self.key(used, sets, ()))
        yield from near or far

    def _virtual_cores(self, vcpus: Iterable[int]) -> list[tuple[int, ...]]:
        threads = self.vm.topology.threads if self.policy is CpuPinningPolicy.DEDICATED else 1
        cores: dict[int, list[int]] = {}
        for vcpu in sorted(vcpus):
            cores.setdefault(vcpu // threads, []).append(vcpu)
        return [tuple(core) for core in cores.values()]

    def _seatings(self, cores: Sequence[tuple[int, ...]], free: frozenset[int]) -> Iterator[dict[int, int]]:
        """Every way to give these virtual cores CPUs of their own out of `free`."""
        if not cores:
            yield {}
            return
        first, rest = cores[0], cores[1:]
        threads = self.vm.topology.threads
        if self.policy is CpuPinningPolicy.ISOLATE_THREADS:
            for core in {self.machine.core[c] for c in free}:
                if core <= free:
                    for more in self._seatings(rest, free - core):
                        yield {first[0]: min(core), **more}
            return
        for core in {self.machine.core[c] for c in free}:
            for seats in permutations(sorted(core & free), threads):
                for more in self._seatings(rest, free - frozenset(seats)):
                    yield {**dict(zip(first, seats, strict=False)), **more}

    def _own_by_node(self) -> Iterator[Key]:
        bound = [v for v in self.vm.virtual_nodes if v.node_id in self.pins]
        running = {v.node_id: {c for c in v.vcpus if c < self.vm.vcpus} for v in bound}
        named = {c for own in running.values() for c in own}
        running[bound[0].node_id] |= {c for c in range(self.vm.vcpus) if c not in named}
        parts: dict[tuple[int, frozenset[int]], tuple[Key, ...]] = {}

        def costs(node: int, ids: frozenset[int]) -> tuple[Key, ...]:
            """(banks, part cores, moved) of every seating of these virtual nodes on one node, the best first."""
            if (node, ids) not in parts:
                cores = [core for i in sorted(ids) for core in self._virtual_cores(running[i])]
                free = self.machine.cpus[node] & self.free
                found = set()
                for seats in self._seatings(cores, free):
                    sets = {v: frozenset([c]) for v, c in seats.items()}
                    key = self.key((node,), sets, seats.values())
                    found.add((key[2], key[3], key[5]))
                parts[node, ids] = tuple(sorted(found)[:1])
            return parts[node, ids]

        for chosen in product(*(self.options(v) for v in bound)):
            homes = {v.node_id: nodes for v, nodes in zip(bound, chosen, strict=True)}
            if not self.has_memory(homes):
                continue
            nodes = {n for own in chosen for n in own}
            by_node = [costs(n, frozenset(i for i, own in homes.items() if n in own)) for n in nodes]
            if all(by_node):
                base = self.key(nodes, {}, ())
                sums = [sum(part[0][i] for part in by_node) for i in range(3)]
                yield (*base[:2], sums[0], sums[1], base[4], sums[2], *base[6:])

    def _anywhere(self) -> Iterator[Key]:
        topology, vm = self.vm.topology, self.vm
        per_socket = max(1, topology.vcpus // topology.sockets)
        if topology.vcpus < vm.vcpus:
            per_socket = topology.threads
        cores = self._virtual_cores(range(vm.vcpus))
        tune = vm.numa_tune
        size = vm.huge_page_kib or 0
        amount = -(-vm.memory_kib // size) if size else vm.memory_kib
        if tune is None or tune.mode is NumaMode.PREFERRED:
            amount = 0
        seen: set[tuple[frozenset[tuple[int, int]], ...]] = set()
        for seats in self._seatings(cores, frozenset(self.free)):
            at: dict[int, set[int]] = {}
            for vcpu, cpu in seats.items():
                at.setdefault(vcpu // per_socket, set()).add(self.machine.socket[cpu])
            if any(len(sockets) > 1 for sockets in at.values()):
                continue
            state = (frozenset(seats.items()),)
            if state in seen:
                continue
            seen.add(state)
            nodes = {self.machine.node_of(cpu) for cpu in seats.values()}
            sets = {v: frozenset([c]) for v, c in seats.items()}
            if not amount:
                yield self.key(nodes, sets, seats.values())
                continue
            others = [n for n in self.machine.cpus if n not in nodes]
            for more in range(len(others) + 1):
                for extra in combinations(others, more):
                    used = nodes | set(extra)
                    share = -(-amount // len(used))
                    if self.has_memory({}, ((n, size, share) for n in used)):
                        yield self.key(used, sets, seats.values())


class Shape:
    """Every structure-preserving way to put a VM of policy KEEP_SHAPE elsewhere."""

    def __init__(self, case: Case) -> None:
        assert case.source is not None
        self.case, self.there = case, Machine.of(case.source)
        self.floats = case.floating()
        everything = {c for cpus in self.there.cpus.values() for c in cpus}
        free = {v for v in self.floats if case.now[v] == everything and len(self.there.cpus) > 1}  # bound to nothing
        self.floats -= free
        self.now = {v: cpus for v, cpus in case.now.items() if v not in free}
        self.kept = {v: cpus for v, cpus in self.now.items() if v not in self.floats}
        self.roles = frozenset(c for cpus in self.kept.values() for c in cpus)
        self.homes = {
            v.node_id: tuple(n for n in v.host_nodes if n in self.there.cpus)
            for v in case.vm.virtual_nodes
            if v.node_id in case.pins
        }
        for v in case.vm.virtual_nodes:
            if v.node_id in self.homes and case.pins[v.node_id].mode is NumaMode.PREFERRED and self.homes[v.node_id]:
                self.homes[v.node_id] = (min(self.homes[v.node_id]),)
            if v.node_id in self.homes and not self.homes[v.node_id]:
                self.homes[v.node_id] = self._with_most_vcpus(v)

    def _with_most_vcpus(self, vnode: VirtualNumaNode) -> tuple[int, ...]:
        count: dict[int, int] = {}
        for vcpu in vnode.vcpus:
            for node in {self.there.node_of(c) for c in self.now.get(vcpu, ())}:
                count[node] = count.get(node, 0) + 1
        return tuple(sorted(count, key=lambda node: (-count[node], node))[:1])

    def ways(self) -> Iterator[Key]:
        sources = {self.there.node_of(c) for cpus in self.now.values() for c in cpus}
        sources |= {n for own in self.homes.values() for n in own}
        loose = [i for i, own in self.homes.items() if not own]
        names: list[tuple[str, int]] = [("node", n) for n in sorted(sources)] + [("alone", i) for i in loose]
        machine = self.case.machine
        for chosen in permutations(machine.cpus, len(names)):
            image = dict(zip(names, chosen, strict=True))
            homes = {
                i: [image["node", n] for n in own] if own else [image["alone", i]] for i, own in self.homes.items()
            }
            if self._allowed(homes) and self.case.has_memory(homes):
                yield from self._seated({n: image["node", n] for n in sources}, set(chosen))

    def _allowed(self, homes: Mapping[int, Sequence[int]]) -> bool:
        for i, nodes in homes.items():
            listed = self.case.pins[i].host_nodes
            if any(n not in self.case.machine.cpus for n in listed) or (listed and not set(nodes) <= set(listed)):
                return False
        return True

    def _seated(self, image: Mapping[int, int], used: set[int]) -> Iterator[Key]:
        case = self.case
        usable = {n: case.machine.cpus[image[n]] & case.usable for n in image}
        for n in image:
            shares = sum(
                1 / len({self.there.node_of(c) for c in self.now[v]})
                for v in self.floats
                if n in {self.there.node_of(c) for c in self.now[v]}
            )
            if len(usable[n]) < shares - 1e-9:
                return
        by_node = [list(self._on_node(n, image[n])) for n in image]
        floating = {
            v: frozenset(c for n in {self.there.node_of(x) for x in self.now[v]} for c in usable[n])
            for v in self.floats
        }
        best: dict[Key, Key] = {}
        for parts in product(*by_node):
            where = {role: cpu for part in parts for role, cpu in part.items()}
            sets = {v: frozenset(where[c] for c in cpus) for v, cpus in self.kept.items()} | floating
            key = case.key(used, sets, where.values())
            best.setdefault(key[:6], key)
        yield from best.values()

    def _on_node(self, source: int, target: int) -> Iterator[dict[int, int]]:
        roles = self.roles & self.there.cpus[source]
        cores = sorted({self.there.core[c] & roles for c in roles}, key=sorted)
        machine = self.case.machine
        free = self.case.free & machine.cpus[target]
        homes = sorted({machine.core[c] & free for c in free}, key=sorted)
        for chosen in permutations(homes, len(cores)):
            if all(len(home) >= len(core) for home, core in zip(chosen, cores, strict=True)):
                each = [
                    [dict(zip(sorted(core), seats, strict=True)) for seats in permutations(sorted(home), len(core))]
                    for home, core in zip(chosen, cores, strict=True)
                ]
                for parts in product(*each):
                    yield {role: cpu for part in parts for role, cpu in part.items()}


def main() -> None:
    """Compare many cases and say what came of it."""
    from tests.core.scheduler.comparing import compare  # it needs this module: only the program needs both

    parser = argparse.ArgumentParser(description="Compare the placement engine with brute force.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    began = time.monotonic()
    summary = compare(range(options.first, options.first + options.cases))
    lines = [
        f"{options.cases} cases from number {options.first} in {time.monotonic() - began:.0f} s",
        f"{summary.fitting} placed, {summary.misfits} misfits",
        f"{summary.compared_fully} of kinds where every criterion is promised: best in every one",
        f"{summary.best_beyond} of the other kinds, best in every criterion too; {len(summary.short_of_best)} best in "
        "what is promised, but not in every criterion",
        ", ".join(f"{name} {count}" for name, count in sorted(summary.by_policy.items())),
        f"{len(summary.differences)} differences",
        *summary.differences[:20],
        *(f"not best: {line}" for line in summary.short_of_best[:20]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(summary.differences))


if __name__ == "__main__":
    main()
