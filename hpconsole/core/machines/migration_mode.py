"""Which migration mode does a VM get by itself, and what is to be said about the one it has? Pure.

One rule for dialogs, command line and API (the reference's REST interface has none): high-performance or pinned means
*Allow manual migration only*, anything else manual and automatic migration. A mode the user chose stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, OptimizedFor

NAMES = {
    MigrationMode.AUTOMATIC: "Allow manual and automatic migration",
    MigrationMode.MANUAL: "Allow manual migration only",
    MigrationMode.DO_NOT_MIGRATE: "Do not allow migration",
}
_CAUTION = (
    "Automatic migration can be started by load balancing, by a host that becomes non-operational, or by High "
    "Availability; after it this VM may run slower, since it is {why}. With “Allow manual migration only” you decide "
    "when it moves."
)


@dataclass(frozen=True, slots=True)
class ModeSuggestion:
    """The mode hpconsole would choose; `sentence` says so where the user chose another one, else it is empty."""

    mode: MigrationMode
    is_different: bool
    sentence: str = ""


def default_mode(draft: VmDraft) -> MigrationMode:
    """The mode of a VM about which the user said nothing."""
    return MigrationMode.MANUAL if draft.is_pinned_or_high_performance else MigrationMode.AUTOMATIC


def settled(before: VmDraft, after: VmDraft) -> VmDraft:
    """The edited draft with the mode that follows from the edit.

    The mode changes only where the edit makes the VM high-performance or pinned, or makes it neither any more, and the
    user has not chosen one; or where the user has just given the choice back.
    """
    is_given_back = before.is_migration_mode_chosen and not after.is_migration_mode_chosen
    is_switched = before.is_pinned_or_high_performance != after.is_pinned_or_high_performance
    if after.is_migration_mode_chosen or not (is_given_back or is_switched):
        return after
    return replace(after, migration_mode=default_mode(after))


def suggestion(draft: VmDraft) -> ModeSuggestion:
    """What hpconsole suggests, and whether the VM has another mode."""
    mode = default_mode(draft)
    if mode is draft.migration_mode:
        return ModeSuggestion(mode, is_different=False)
    why = why_pinned(draft)
    because = f", because this VM is {why}" if why else ", because nothing in this VM is pinned"
    return ModeSuggestion(mode, is_different=True, sentence=f"hpconsole suggests “{NAMES[mode]}”{because}.")


def caution(draft: VmDraft) -> str:
    """What to consider about the mode the VM has; empty where there is nothing."""
    if draft.migration_mode is MigrationMode.AUTOMATIC and draft.is_pinned_or_high_performance:
        return _CAUTION.format(why=why_pinned(draft))
    return ""


def why_pinned(draft: VmDraft) -> str:
    """What makes the VM high-performance or pinned, as in "This VM is ..."; empty if it is neither."""
    reasons = []
    if draft.optimized_for is OptimizedFor.HIGH_PERFORMANCE:
        reasons.append("of type High Performance")
    if draft.cpu_pinning_policy is not CpuPinningPolicy.NONE or draft.pinning_text:
        reasons.append("pinned to CPUs")
    if any(node.host_nodes for node in draft.numa_nodes):
        reasons.append("pinned to NUMA nodes")
    if draft.is_passthrough_cpu:
        reasons.append("using the host's CPU model (pass-through)")
    return " and ".join([", ".join(reasons[:-1]), reasons[-1]]) if len(reasons) > 1 else "".join(reasons)
