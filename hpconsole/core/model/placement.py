"""Where exactly a VM goes on a host: its map, as a value. Made by the scheduler, written into domain XML."""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.model.vm import NO_PINNING, CpuPinning, NumaMode, NumaTune


@dataclass(frozen=True, slots=True)
class NodeBinding:
    """A virtual node on its host nodes."""

    node_id: int
    host_nodes: tuple[int, ...]
    mode: NumaMode


@dataclass(frozen=True, slots=True)
class Placement:
    """The full map of one VM on one host.

    What is not named is not bound: a vCPU without an entry may use any CPU, a virtual node without a binding any node.
    """

    vm_uuid: str
    host: str
    bindings: tuple[NodeBinding, ...] = ()
    pinning: CpuPinning = NO_PINNING
    numa_tune: NumaTune | None = None  # the binding of the whole memory, for VMs without virtual nodes

    @property
    def is_free(self) -> bool:
        """Whether nothing is bound at all (a VM without pinning)."""
        return not self.bindings and self.pinning == NO_PINNING and self.numa_tune is None
