"""What a VM asks of a host, as needs that a host node meets or not. Knows intents and present pinning, no host.

The words every part of the placement engine uses. A `NodeNeed` goes wholly to one host node (see `span` for the
exception). How a node's CPUs are counted for a need is its `CoreRule`; with that, memory, pages, the allowed nodes and
`Demand.nodes_distinct` anybody can compute for many hosts at once which need fits which node. `demand_of` is in
`demand_reading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode, Vm

NO_OWNER = -1  # stands for "no virtual node" where vCPUs are grouped by virtual node


class CoreRule(StrEnum):
    """How the CPUs of a host node are counted. *Free* CPUs below: online, in the node, pinned by no other VM.

    NOTHING: no CPUs are asked of the node (policy MANUAL names its CPUs itself).
    FLOATING: the vCPUs may use all usable CPUs of the node (online, no other VM's own, not isolated by the kernel) and
        take none away. Room: usable CPUs >= cpus_needed. Any number of such needs may be on one node.
    SIBLINGS: each block takes `Demand.threads` free CPUs of one core; blocks may share a core.
        Room: sum over cores of free // threads >= number of blocks.
    WHOLE_CORES: each block takes a core none of whose CPUs is taken. Room: such cores >= number of blocks.
    SHAPE: each block takes a core of its own with at least `size` free CPUs.
        Room: for every k, cores with >= k free CPUs >= blocks with size >= k; and usable CPUs >= usable_needed.
    RESIZED: the reference's resize and pin: the node's cores after the first, none of whose CPUs is another VM's own,
        in order, as many vCPUs on each as it has CPUs; not taken away. Room: CPUs of those cores >= cpus_needed.
    """

    NOTHING = "nothing"
    FLOATING = "floating"
    SIBLINGS = "siblings"
    WHOLE_CORES = "whole cores"
    SHAPE = "shape"
    RESIZED = "resized"

    @property
    def takes_cpus(self) -> bool:
        """Whether the CPUs are the VM's own afterwards."""
        return self in (CoreRule.SIBLINGS, CoreRule.WHOLE_CORES, CoreRule.SHAPE)


@dataclass(frozen=True, slots=True)
class Block:
    """What stays together on one core.

    `roles` are the CPUs to be found, under the names they have in the demand: the vCPU itself (SIBLINGS, WHOLE_CORES)
    or the CPU it has now (SHAPE).
    """

    roles: tuple[int, ...]
    size: int  # free CPUs of one core it takes; SIBLINGS may reserve more than there are roles (vCPUs not plugged in)
    owners: tuple[int, ...]  # virtual nodes whose vCPUs are in it; NO_OWNER for none
    vcpus: int  # how many vCPUs are in it


@dataclass(frozen=True, slots=True)
class NodeNeed:
    """What goes together to one host node. Memory and pages are never counted twice."""

    virtual_nodes: tuple[int, ...] = ()  # whose memory (or a share of it) or vCPUs are here
    memory_kib: int = 0  # plain memory the node must have free
    page_kib: int | None = None  # huge pages the node must have free: their size ...
    pages: int = 0  # ... and how many
    more_pages: tuple[tuple[int, int], ...] = ()  # (size, pages) of further sizes; nearly always empty
    cpus_needed: int = 0  # see CoreRule; SIBLINGS: blocks x threads, SHAPE: sum of sizes, WHOLE_CORES: blocks
    blocks: tuple[Block, ...] = ()  # SIBLINGS, WHOLE_CORES, SHAPE: largest first
    vcpus: tuple[int, ...] = ()  # who runs here without CPUs of its own
    vcpu_owners: tuple[int, ...] = ()  # the virtual nodes of those; NO_OWNER for none
    usable_needed: int = 0  # SHAPE: usable CPUs the node must have for those `vcpus`
    allowed_nodes: tuple[int, ...] | None = None  # in the order of the pin list; None = any
    takes_all_allowed: bool = False  # interleaved: memory is divided evenly over every node of the list
    span: int = 1  # may be divided evenly over so many nodes when no single one has room (it lies over as many now)

    @property
    def whole_cores_needed(self) -> int:
        """Cores that must be completely free (WHOLE_CORES only; other rules look at `blocks`)."""
        return sum(1 for block in self.blocks if block.size == WHOLE)

    @property
    def page_needs(self) -> tuple[tuple[int, int], ...]:
        """(page size in KiB, pages) of every size."""
        first = ((self.page_kib, self.pages),) if self.page_kib is not None and self.pages else ()
        return first + self.more_pages


WHOLE = 1 << 20  # the size of a block that takes a whole core, however many CPUs that has


@dataclass(frozen=True, slots=True)
class Bound:
    """A virtual node whose memory is bound to the host nodes of these needs (indices into `Demand.node_needs`)."""

    node_id: int
    mode: NumaMode
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tune:
    """The binding of the memory that is in no bound virtual node.

    `nodes` is literal; where it is None the memory follows the VM to its host nodes, divided evenly.
    """

    mode: NumaMode
    nodes: tuple[int, ...] | None
    needs: tuple[int, ...] = ()  # follow these needs only; empty = all nodes of the VM
    memory_kib: int = 0  # literal and whole-VM bindings; what follows `needs` is counted there
    page_needs: tuple[tuple[int, int], ...] = ()  # (page size in KiB, pages)


class HelperKind(StrEnum):
    """How the CPUs of the emulator or an IO thread relate to the rest of the VM now."""

    LITERAL = "literal"  # these numbers, as far as they are there
    VCPUS = "vcpus"  # exactly the CPUs of these vCPUs
    NODES = "nodes"  # all CPUs of host nodes of the VM
    OWN = "own"  # other CPUs: so many, near the VM


@dataclass(frozen=True, slots=True)
class Helper:
    """Emulator (`iothread` 0) or IO thread, and what it is to get. Helpers never decide whether a VM fits."""

    iothread: int
    kind: HelperKind
    present: CpuSet
    vcpus: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()  # NODES, OWN: the needs it was with; empty = any node of the VM


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything a VM asks of a host. Made once per VM; a literal map that differs per host is made once per host."""

    vm: Vm
    rule: CoreRule = CoreRule.NOTHING
    threads: int = 1  # SIBLINGS: CPUs of one core per block
    node_needs: tuple[NodeNeed, ...] = ()
    nodes_distinct: bool = False  # the needs go to different host nodes, each to its own
    sockets: tuple[
        tuple[Block, ...], ...
    ] = ()  # VM without virtual nodes and with CPUs of its own: its virtual sockets,
    # each within one host socket, over as few host nodes as possible; node_needs is empty then
    bound: tuple[Bound, ...] = ()
    tune: Tune | None = None
    vcpu_roles: tuple[tuple[int, CpuSet], ...] = ()  # (vCPU, roles): it gets the CPUs found for these roles
    floating: tuple[tuple[int, tuple[int, ...]], ...] = ()  # (vCPU, needs): it gets all CPUs of their nodes
    literal: tuple[tuple[int, CpuSet], ...] = ()  # (vCPU, CPUs) of policy MANUAL
    helpers: tuple[Helper, ...] = ()
    problems: tuple[str, ...] = ()  # sentences: why this VM can be placed nowhere

    @property
    def is_exclusive(self) -> bool:
        """Whether it takes CPUs for itself (other VMs' pinned CPUs are not free to it)."""
        return self.rule.takes_cpus and bool(self.sockets or any(need.blocks for need in self.node_needs))

    @property
    def is_free(self) -> bool:
        """Whether nothing of it is bound: any host will do as far as placement goes."""
        return not (self.node_needs or self.sockets or self.tune or self.literal or self.helpers or self.problems)

    @property
    def policy(self) -> CpuPinningPolicy:
        """The VM's CPU-pinning policy."""
        return self.vm.intent.cpu_pinning_policy

    @property
    def blocks_needed(self) -> int:
        """Blocks of all needs and virtual sockets together."""
        return sum(len(need.blocks) for need in self.node_needs) + sum(len(blocks) for blocks in self.sockets)
