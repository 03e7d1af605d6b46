"""What the affinity editor shows: groups with their state, who may be a member, drafts not saved yet. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.affinity_groups import GroupState, known_labels, states
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone

SELECT_FIRST = "Select a group to change it, or make one with New."
NEW = ""  # the key of the group that is made: kept ones have their names

VM_RULES = (
    (AffinityRule.DISABLED, "No rule among VMs"),
    (AffinityRule.POSITIVE, "Together on one host"),
    (AffinityRule.NEGATIVE, "Apart, on different hosts"),
)
HOST_RULES = (
    (AffinityRule.DISABLED, "No rule about hosts"),
    (AffinityRule.POSITIVE, "Only on these hosts"),
    (AffinityRule.NEGATIVE, "Never on these hosts"),
)
_VM_WORDS = {AffinityRule.POSITIVE: "together", AffinityRule.NEGATIVE: "apart", AffinityRule.DISABLED: "–"}
_HOST_WORDS = {AffinityRule.POSITIVE: "on hosts", AffinityRule.NEGATIVE: "not on hosts", AffinityRule.DISABLED: "–"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may be a member: a VM by UUID, a host by name, a label."""

    key: str
    name: str
    hint: str = ""
    tip: str = ""
    tone: Tone = Tone.NORMAL
    is_pinned: bool = False  # high-performance or pinned


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything the dialog shows of one moment; made on a worker thread."""

    snapshot: ClusterSnapshot
    states: tuple[GroupState, ...]
    vms: tuple[Person, ...]
    hosts: tuple[Person, ...]
    labels: tuple[Person, ...]


def survey(snapshot: ClusterSnapshot) -> Survey:
    """Look at everybody. Takes some milliseconds in large clusters."""
    return Survey(
        snapshot,
        states(snapshot),
        tuple(_vm(vm) for vm in snapshot.vms.values()),
        tuple(
            Person(name, name, _labels(host.labels) if host.is_candidate else host.link.state.value)
            for name, host in snapshot.hosts.items()
        ),
        tuple(_label(label, snapshot) for label in sorted(known_labels(snapshot))),
    )


def _vm(vm: Vm) -> Person:
    where = vm.host if vm.is_running_somewhere and vm.host is not None else "not running"
    is_pinned = vm.is_pinned_or_high_performance
    words = [where, *(["pinned"] if is_pinned else []), *([_labels(vm.intent.labels)] if vm.intent.labels else [])]
    tip = "High-performance or pinned" if is_pinned else ""
    return Person(vm.uuid, vm.name, " · ".join(words), tip, is_pinned=is_pinned)


def _labels(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels))


def _label(label: str, snapshot: ClusterSnapshot) -> Person:
    vms = sum(label in vm.intent.labels for vm in snapshot.vms.values())
    hosts = sum(label in host.labels for host in snapshot.hosts.values())
    parts = [text for n, text in ((vms, fmt.count(vms, "VM")), (hosts, fmt.count(hosts, "host"))) if n]
    return Person(label, label, ", ".join(parts))


def with_strangers(people: Iterable[Person], keys: Iterable[str], what: str) -> tuple[Person, ...]:
    """The people, and members nobody knows any more: they must be seen to be taken out."""
    known = tuple(people)
    names = {person.key for person in known}
    strangers = (key for key in keys if key not in names)
    return (*known, *(Person(key, key, f"{what} is gone", tone=Tone.BAD) for key in strangers))


def only_pinned(people: Iterable[Person], chosen: Iterable[str]) -> tuple[Person, ...]:
    """The filter: high-performance and pinned VMs, and members in any case."""
    members = set(chosen)
    return tuple(person for person in people if person.is_pinned or person.key in members)


# Drafts


class Drafts:
    """What was edited and not saved, by the name under which the group is kept (`NEW` for one that is made)."""

    def __init__(self) -> None:
        self._drafts: dict[str, AffinityGroup] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """The groups with changes that are not saved."""
        return tuple(self._drafts)

    def of(self, key: str, kept: Mapping[str, AffinityGroup]) -> AffinityGroup:
        """As it is edited, or as it is kept."""
        return self._drafts.get(key) or kept.get(key) or AffinityGroup("")

    def change(self, key: str, draft: AffinityGroup, kept: Mapping[str, AffinityGroup]) -> None:
        """Another state of it; one that equals what is kept is no change."""
        if _in_order(draft) == _in_order(kept.get(key, AffinityGroup(""))):
            self._drafts.pop(key, None)
        else:
            self._drafts[key] = draft

    def forget(self, key: str) -> None:
        """Saved, removed or reverted."""
        self._drafts.pop(key, None)


def _in_order(group: AffinityGroup) -> AffinityGroup:
    """The order of members means nothing."""
    return replace(group, vms=tuple(sorted(group.vms)), hosts=tuple(sorted(group.hosts)))


# The table


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group as the table shows it."""

    key: str
    state: GroupState
    is_edited: bool = False

    @property
    def group(self) -> AffinityGroup:
        """The group."""
        return self.state.group

    @property
    def name(self) -> str:
        """Its name, with a mark if there is something to save."""
        name = self.group.name or "New group"
        return f"{name} *" if self.is_edited else name

    @property
    def vm_rule(self) -> str:
        """What holds among its VMs."""
        return _with_hard(_VM_WORDS[self.group.vm_rule], self.group.vm_rule, self.group.is_vm_rule_enforced)

    @property
    def host_rule(self) -> str:
        """What holds about hosts."""
        return _with_hard(_HOST_WORDS[self.group.host_rule], self.group.host_rule, self.group.is_host_rule_enforced)

    @property
    def members(self) -> str:
        """How many belong to it."""
        parts = [fmt.count(len(self.state.members), "VM")]
        if self.state.hosts:
            parts.append(fmt.count(len(self.state.hosts), "host"))
        return ", ".join(parts)

    @property
    def standing(self) -> tuple[str, Tone]:
        """Kept or broken, by whom."""
        if self.key == NEW:
            return "not saved", Tone.MUTED
        if self.state.unknown:
            return f"{fmt.count(len(self.state.unknown), 'member')} gone", Tone.WARNING
        if self.state.is_kept:
            return "kept", Tone.GOOD
        is_hard = self.group.is_vm_rule_enforced or self.group.is_host_rule_enforced
        return f"broken by {fmt.names(self.state.broken_by)}", Tone.BAD if is_hard else Tone.WARNING


def _with_hard(words: str, rule: AffinityRule, is_hard: bool) -> str:
    return f"{words}, hard" if is_hard and rule is not AffinityRule.DISABLED else words


def rows(found: tuple[GroupState, ...], drafts: Drafts) -> tuple[GroupRow, ...]:
    """The table: what is kept, and the new one that is being made."""
    edited = set(drafts.keys)
    kept = tuple(GroupRow(state.group.name, state, state.group.name in edited) for state in found)
    if NEW not in edited:
        return kept
    draft = drafts.of(NEW, {})
    return (*kept, GroupRow(NEW, GroupState(draft, draft.vms, draft.hosts), is_edited=True))


def summary(found: tuple[GroupState, ...]) -> tuple[str, Tone]:
    """The line above the table."""
    if not found:
        return "There is no affinity group yet. Make one, or let pinning suggest some.", Tone.MUTED
    broken = [state.group.name for state in found if not state.is_kept]
    if not broken:
        return f"{fmt.count(len(found), 'group')}, all kept where the VMs run now.", Tone.NORMAL
    return f"{fmt.count(len(found), 'group')}; broken now: {fmt.names(tuple(broken))}.", Tone.WARNING


def why_not_save(*, is_edited: bool, is_judged: bool, problem: str) -> str:
    """Why it cannot be saved; empty where it can."""
    if not is_edited:
        return "Nothing was changed."
    if not is_judged:
        return "The change is being checked."
    return problem
