"""NUMA Topology without the window: the VMs under edit, what is pinned where on each host, undo. No Qt.

For one VM (from its dialog, unsaved) or for a host (every VM that may run there). The pins that are drawn hold on every
host, unless they are drawn for the shown host only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hpconsole.core.errors import HpconsoleError, InvalidPinning
from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import NodeDraft, VmDraft
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import NumaMode, Vm
from hpconsole.ui.numa import drawing, judging, wording
from hpconsole.ui.numa.capacity import FITS, Fit, Room, fit, pins_on, rooms
from hpconsole.ui.numa.survey import NumaAnswer, NumaQuestion
from hpconsole.ui.numa.view import Chip, Key, NodeDetail, NumaView
from hpconsole.ui.undo import Undo

if TYPE_CHECKING:
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

Drafts = tuple[VmDraft, ...]


class NumaPresenter:
    """Built for some drafts over a snapshot.

    Args:
        drafts: The VMs under edit; those without virtual nodes are not shown.
        hosts: The hosts of the strip; the first is shown first.
        is_for_host: Opened for a host: only VMs that may run on the shown one are listed, and OK writes them.
    """

    def __init__(
        self,
        drafts: Sequence[VmDraft],
        snapshot: ClusterSnapshot,
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]] = tuple,
        *,
        hosts: Sequence[str],
        is_for_host: bool = False,
    ) -> None:
        self.before: Drafts = tuple(drafts)
        self.snapshot = snapshot
        self.policy = policy
        self.reservations = reservations
        self._drafts: Drafts = tuple(drafts)
        self._hosts = tuple(dict.fromkeys(name for name in hosts if name in snapshot.hosts))
        self._host = self._hosts[0] if self._hosts else ""
        self._is_for_host = is_for_host
        self._is_single_host = False
        self._selected: Key | None = None
        self._undo: Undo[Drafts] = Undo()
        self._problem = ""
        self._broken_rule = ""  # of behaviour.md B8, at once; the answers of hosts come later
        self._answer: NumaAnswer | None = None
        self._is_wanted = True
        self._is_computing = False
        self._select_first()

    # What the user does

    @property
    def drafts(self) -> Drafts:
        """As they are edited now."""
        return self._drafts

    @property
    def changed(self) -> tuple[tuple[VmDraft, VmDraft], ...]:
        """(before, now) of every VM that is different."""
        return tuple((old, new) for old, new in zip(self.before, self._drafts, strict=True) if old != new)

    @property
    def host(self) -> str:
        """The host that is shown."""
        return self._host

    def show_host(self, name: str) -> None:
        """Look at this host."""
        if name in self._hosts:
            self._host = name
            self._select_first()

    def draw_for_one_host(self, is_wanted: bool) -> None:
        """What is drawn from now on holds on the shown host only, or on all."""
        self._is_single_host = is_wanted

    def select(self, key: Key) -> None:
        """Look at this virtual node."""
        if self._find(key) is not None:
            self._selected = key

    def pin(self, key: Key, host_nodes: Iterable[int]) -> None:
        """This virtual node to these host nodes; none = not pinned. A node that never can take it refuses."""
        wanted = tuple(dict.fromkeys(host_nodes))
        self._problem = ""
        for node_id in wanted:
            judged = self.fit(key, node_id)
            if judged.is_impossible:
                self._problem = f"{judged.sentence} Nothing was changed."
                return
        host = self._host if self._is_single_host else ""
        if not host and wanted != self._pins(key):
            self._forget_own(key)
        self._edit(key, lambda draft: editing.pin_node(draft, key[1], wanted, host=host))
        self._selected = key

    def toggle(self, key: Key, node_id: int) -> None:
        """Span over this host node as well, or no more."""
        now = self._pins(key)
        self.pin(key, tuple(n for n in now if n != node_id) if node_id in now else (*now, node_id))

    def unpin(self, key: Key) -> None:
        """To any node."""
        self.pin(key, ())

    def step(self, key: Key, by: int) -> None:
        """To the next or previous node of the host that could ever take it; from none to the first or last."""
        host = self._shown()
        if host is None or not host.topology.nodes:
            return
        ids = [node.node_id for node in host.topology.nodes]
        now = self._pins(key)
        place = ids.index(now[0]) + by if now and now[0] in ids else (0 if by > 0 else len(ids) - 1)
        while 0 <= place < len(ids):
            if not self.fit(key, ids[place]).is_impossible:
                self.pin(key, (ids[place],))
                return
            place += by

    def set_mode(self, key: Key, mode: NumaMode) -> None:
        """How strictly its memory is bound."""
        self._edit_node(key, lambda node: replace(node, mode=mode))

    def set_memory(self, key: Key, memory_kib: int) -> None:
        """Its memory."""
        self._edit_node(key, lambda node: replace(node, memory_kib=memory_kib))

    def set_vcpus(self, key: Key, text: str) -> str:
        """Its vCPUs, as typed; returns what is wrong with the text."""
        try:
            vcpus = tuple(CpuSet.parse(text))
        except InvalidPinning as error:
            return error.sentence
        self._edit_node(key, lambda node: replace(node, vcpus=vcpus))
        return ""

    def split(self, key: Key) -> None:
        """In two halves."""
        self._edit(key, lambda draft: editing.split_node(draft, key[1]))

    def merge(self, key: Key, other: int) -> None:
        """Together with another node of the same VM."""
        self._edit(key, lambda draft: editing.merge_nodes(draft, key[1], other))
        self._selected = (key[0], min(key[1], other))

    def take_assignment(self, draft: VmDraft) -> None:
        """The draft with an assignment that was shown and accepted."""
        self._change(tuple(draft if old.uuid == draft.uuid else old for old in self._drafts))

    def take_written(self, drafts: Sequence[VmDraft]) -> None:
        """These were written, and are so now; what was not is still to be saved. There is no way back behind it."""
        written = {draft.uuid: draft for draft in drafts}
        self.before = tuple(written.get(draft.uuid, draft) for draft in self.before)
        self._drafts = tuple(written.get(draft.uuid, draft) for draft in self._drafts)
        self._undo.forget()
        self._after_change()

    def undo(self) -> None:
        """Back by one change."""
        self._restore(self._undo.back(self._drafts))

    def redo(self) -> None:
        """Forth by one change."""
        self._restore(self._undo.forth(self._drafts))

    def _restore(self, drafts: Drafts | None) -> None:
        if drafts is not None:
            self._drafts = drafts
            self._after_change()

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed: what is drawn stays, and is judged anew."""
        if snapshot.serial != self.snapshot.serial:
            self.snapshot = snapshot
            self._broken_rule = self._first_broken_rule()
            self._is_wanted = True

    # Editing

    def _find(self, key: Key) -> NodeDraft | None:
        draft = self._draft(key)
        return next((n for n in draft.numa_nodes if n.index == key[1]), None) if draft is not None else None

    def _draft(self, key: Key) -> VmDraft | None:
        return next((draft for draft in self._drafts if draft.uuid == key[0]), None)

    def draft_of(self, key: Key | None) -> VmDraft | None:
        """The VM of a virtual node; without one the first that is listed."""
        found = self._draft(key) if key is not None else None
        listed = self._listed()
        return found or (listed[0] if listed else None)

    def _pins(self, key: Key) -> tuple[int, ...]:
        draft = self._draft(key)
        return pins_on(draft, key[1], self._host) if draft is not None else ()

    def _forget_own(self, key: Key) -> None:
        """A pin for all hosts takes the place of what the shown host had of its own."""
        draft = self._draft(key)
        if draft is not None and any(p.node_id == key[1] for own in draft.per_host for p in own.numa):
            self._edit(key, lambda d: editing.pin_node(d, key[1], (), host=self._host))

    def _edit(self, key: Key, change: Callable[[VmDraft], VmDraft]) -> None:
        self._change(tuple(change(draft) if draft.uuid == key[0] else draft for draft in self._drafts))

    def _edit_node(self, key: Key, change: Callable[[NodeDraft], NodeDraft]) -> None:
        node = self._find(key)
        if node is not None:
            self._edit(key, lambda draft: editing.with_node(draft, change(node)))

    def _change(self, drafts: Drafts) -> None:
        if drafts != self._drafts:
            self._undo.leave(self._drafts)
            self._drafts = drafts
            self._after_change()

    def _after_change(self) -> None:
        self._is_wanted = True
        self._problem = ""
        self._broken_rule = self._first_broken_rule()
        if self._selected is not None and self._find(self._selected) is None:
            self._select_first()

    def _first_broken_rule(self) -> str:
        broken = judging.first_broken_rule(self.changed, self.snapshot)
        return self._told(*broken) if broken is not None else ""

    def _select_first(self) -> None:
        listed = self._listed()
        nodes = [(draft.uuid, node.index) for draft in listed for node in draft.numa_nodes]
        if self._selected not in nodes:
            self._selected = nodes[0] if nodes else None

    # What is known

    def fit(self, key: Key, node_id: int) -> Fit:
        """Whether a node of the shown host can take this virtual node; quick enough for every move of the mouse."""
        host, node, draft = self._shown(), self._find(key), self._draft(key)
        if host is None or node is None or draft is None:
            return FITS
        room = self._rooms(host).get(node_id)
        if room is None:
            return Fit(True, False, f"{host.name} has no node {node_id}.")
        is_there = node_id in pins_on(draft, node.index, host.name)
        return fit(node, draft.huge_page_kib, host.name, node_id, room, is_there=is_there)

    def _shown(self) -> Host | None:
        return self.snapshot.hosts.get(self._host)

    def _vm(self, draft: VmDraft) -> Vm | None:
        return self.snapshot.vms.get(draft.uuid) if draft.uuid else None

    def _listed(self) -> Drafts:
        """The VMs with virtual nodes that may run on the shown host."""
        return tuple(
            draft
            for draft in self._drafts
            if draft.numa_nodes
            and (not self._is_for_host or not draft.allowed_hosts or self._host in draft.allowed_hosts)
        )

    def _rooms(self, host: Host) -> Mapping[int, Room]:
        return rooms(host, [(draft, self._vm(draft)) for draft in self._listed()])

    def next_question(self) -> NumaQuestion | None:
        """What to compute now; None while one is under way or nothing is new."""
        if self._is_computing or not self._is_wanted:
            return None
        self._is_computing, self._is_wanted = True, False
        drafts = self._listed() if self._is_for_host else self._drafts
        return NumaQuestion(drafts, self._hosts, self.snapshot, self.policy, self.reservations)

    def take_answer(self, answer: NumaAnswer) -> None:
        """A question was answered."""
        self._is_computing = False
        self._answer = answer

    def take_failure(self, error: HpconsoleError) -> None:
        """A question could not be answered."""
        self._is_computing = False
        self._problem = error.sentence

    def say(self, sentence: str) -> None:
        """Something the user has to know, until the next change."""
        self._problem = sentence

    # What is shown

    def view(self) -> NumaView:
        """Everything."""
        host = self._shown()
        listed = self._listed()
        own = tuple(chip for draft in listed for chip in drawing.chips_of(draft, self._host))
        everyone = tuple(self.snapshot.vms.values())
        others = drawing.locked_chips(everyone, host, (d.uuid for d in self._drafts)) if host is not None else ()
        loads = drawing.node_loads(host, everyone, self.snapshot.loads) if host is not None else {}
        marks = judging.host_marks(self._hosts, self._host, self._answer)
        shown = next((mark for mark in marks if mark.is_shown), None)
        return NumaView(
            title=self._title(),
            summary=f"{wording.changes(self.changed)}{judging.standing(self._answer, self._changed_uuids)}",
            hosts=marks,
            host=self._host,
            host_text=wording.host(host),
            groups=drawing.groups(host, self._rooms(host), (*own, *others), loads) if host is not None else (),
            distances=drawing.distances(host.topology) if host is not None else (),
            node_ids=tuple(node.node_id for node in host.topology.nodes) if host is not None else (),
            unpinned=self._unpinned(own, host),
            selected=self._detail(own),
            reasons=shown.reasons if shown is not None else (),
            problem=self._problem or self._first_problem(),
            is_single_host=self._is_single_host,
            can_save=not self._first_problem() and bool(self.changed),
            can_undo=self._undo.can_undo,
            can_redo=self._undo.can_redo,
            accept_text="&Save" if self._is_for_host else "&OK",
        )

    def _title(self) -> str:
        if self._is_for_host:
            return f"NUMA Topology of {self._host}"
        name = self._drafts[0].name if self._drafts else ""
        return f"NUMA Topology of {name or 'the new VM'}"

    def _unpinned(self, chips: Sequence[Chip], host: Host | None) -> tuple[tuple[str, tuple[Chip, ...]], ...]:
        """Also those whose node this host does not have: they have no place in its picture."""
        there = {node.node_id for node in host.topology.nodes} if host is not None else set()
        loose: dict[str, list[Chip]] = {}
        for chip in chips:
            if not set(chip.host_nodes) & there:
                loose.setdefault(chip.vm_name or "new VM", []).append(chip)
        return tuple((name, tuple(found)) for name, found in loose.items())

    def _detail(self, chips: Sequence[Chip]) -> NodeDetail | None:
        key = self._selected
        chip = next((chip for chip in chips if chip.key == key), None)
        node, draft = (self._find(key), self._draft(key)) if key is not None else (None, None)
        if chip is None or node is None or draft is None:
            return None
        own = next((item.numa for item in draft.per_host if item.host == self._host), ())
        return NodeDetail(
            chip,
            wording.memory(node.memory_kib),
            drawing.vcpu_text(node.vcpus),
            can_split=len(node.vcpus) > 1,
            mergeable=tuple(other.index for other in draft.numa_nodes if other.index != node.index),
            has_own_pin=any(pin.node_id == node.index for pin in own),
        )

    def _first_problem(self) -> str:
        if self._broken_rule or self._answer is None:
            return self._broken_rule
        changed = self._changed_uuids
        found = (self._told(*broken) for broken in judging.errors(self._answer) if broken[0].uuid in changed)
        return next(found, "")

    @property
    def _changed_uuids(self) -> frozenset[str]:
        return frozenset(now.uuid for _, now in self.changed)

    def _told(self, draft: VmDraft, sentence: str) -> str:
        """With the VM's name where there are several."""
        return f"{draft.name}: {sentence}" if self._is_for_host else sentence
