"""What is a VM meant to have that other tools made, without hpconsole's metadata? Derived from what it has.

Nothing here is written anywhere: the VM keeps its XML until the user changes something.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaPin,
    NumaTune,
    VirtualNumaNode,
    VmIntent,
)


def derive_intent(
    pinning: CpuPinning, nodes: Sequence[VirtualNumaNode], tune: NumaTune | None, *, is_passthrough: bool
) -> VmIntent:
    """The intent of a VM that has this pinning and these bindings now.

    Pinned vCPUs: nothing says that the numbers themselves matter, so the shape is kept and each pinned virtual node
    may go to any one host node. Bound memory alone: the present host nodes are meant literally. A VM without virtual
    nodes counts as one, of number 0. Where virtual nodes are there but only the memory as a whole is bound, none of
    them is pinned: pinning each would be more than was asked. Pinned, bound or with pass-through CPU: migration by
    hand only.
    """
    if pinning.vcpus:
        policy = CpuPinningPolicy.KEEP_SHAPE
        pins = tuple(NumaPin(node.node_id, (), node.mode) for node in nodes if node.host_nodes)
    else:
        policy = CpuPinningPolicy.NONE
        pins = tuple(NumaPin(node.node_id, node.host_nodes, node.mode) for node in nodes if node.host_nodes)
    if tune is not None and not nodes:
        pins = (NumaPin(0, () if pinning.vcpus else tuple(tune.nodeset), tune.mode),)
    is_pinned = is_passthrough or bool(pinning.vcpus) or bool(pins) or tune is not None
    return VmIntent(
        migration_mode=MigrationMode.MANUAL if is_pinned else MigrationMode.AUTOMATIC,
        cpu_pinning_policy=policy,
        numa_pins=pins,
    )
