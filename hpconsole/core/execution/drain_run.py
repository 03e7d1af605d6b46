"""Carries out one drain: submits its moves as their turn comes, plans again around failures and changed hosts.

What a move is and how it is proven is the executor's business; where VMs go is the planner's. Everything that happens
is a line of the drain's record, which is written before it is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hpconsole.core.errors import HpconsoleError, PlanningError
from hpconsole.core.events import StepFinished, StepOutcome
from hpconsole.core.execution.drain_book import DrainBook
from hpconsole.core.execution.drain_incoming import IncomingMoves
from hpconsole.core.execution.drain_record import DrainRecord, DrainState
from hpconsole.core.execution.drain_seeing import (
    are_empty,
    is_gone,
    is_seen_since,
    next_moves,
    remaining,
    stuck_now,
    stuck_that_left,
    unseen_departures,
)
from hpconsole.core.execution.drain_silence import SilentDestinations
from hpconsole.core.execution.drain_surroundings import DrainSurroundings, at_once
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.model.host import HostStatus
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.drain import DrainAction, DrainIntent, DrainItem, DrainPlan, step_of
from hpconsole.core.planning.drain_planner import plan_drain
from hpconsole.core.planning.plan import Plan
from hpconsole.core.planning.projection import without

_log = logging.getLogger(__name__)
_MOST_TRIES = 3  # hosts tried for one VM, as the reference's MaxRerunVmOnVdsCount


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A move that was submitted, or a VM that was asked to shut down."""

    item: DrainItem
    plan_id: str = ""
    asked_at: datetime | None = None


class DrainRun:
    """One drain on a thread of its own.

    Args:
        record: What is known of it; the state says whether it begins at once.
        plan: The confirmed plan; None (a drain that goes on): it is planned anew.
        keep: Writes the record and tells of it.

    Threads: public methods from any; they return at once.
    """

    def __init__(
        self, record: DrainRecord, plan: DrainPlan | None, surroundings: DrainSurroundings,
        keep: Callable[[DrainRecord], None],
    ) -> None:  # fmt: skip
        self._with = surroundings
        self._lock = threading.Condition()
        self._book = DrainBook(record, keep, self._lock)
        self._plan = plan
        self._ended: list[StepFinished] = []
        self._under_way: dict[str, _UnderWay] = {}  # by VM
        self._tries: dict[str, int] = {}
        self._incoming = IncomingMoves(surroundings, self._book.say)
        self._unproven: set[str] = set()  # plans of VMs that left for a host which fell silent
        self._silent = SilentDestinations()
        self._is_awake = True
        self._is_closing = False
        self._must_plan = plan is None
        self._planned_at = datetime.now(UTC)  # from facts of that time
        self._moved_at = self._planned_at  # when the last move ended
        self._stops = [
            surroundings.store.subscribe(lambda _snapshot: self._wake()),
            surroundings.store.subscribe_events(self._hear),
        ]
        self._thread = threading.Thread(target=self._work, name=f"hpc-drain-{record.drain_id[:8]}", daemon=True)

    @property
    def record(self) -> DrainRecord:
        """How it stands."""
        return self._book.record

    @property
    def plan(self) -> DrainPlan | None:
        """The plan it follows now."""
        with self._lock:
            return self._plan

    @property
    def under_way(self) -> frozenset[str]:
        """The VMs that are being moved or stopped right now."""
        with self._lock:
            return frozenset(self._under_way)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def pause(self) -> None:
        """Begin nothing new; what runs goes on."""
        self._book.turn(DrainState.PAUSED, "Paused: nothing new begins; moves that run go on.")
        self._wake()

    def resume(self, intent: DrainIntent | None = None) -> None:
        """Go on, or try again what failed; with other decisions if given."""
        with self._lock:
            record = self.record
            if record.state.is_over:
                return
            clean = replace(intent or record.intent, avoided=())
            self._tries.clear()
            self._must_plan = True
            record = self._book.write("Going on.", state=DrainState.RUNNING, intent=clean, stuck=())
        self._book.keep(record)
        self._wake()

    def stop(self, sentence: str = "Stopped. Its hosts stay in “preparing for maintenance”: activate them.") -> None:
        """End it: waiting moves are cancelled, running ones too; VMs stay where they are."""
        self._book.turn(DrainState.STOPPED, sentence)
        self._wake()
        for one in self._moves_under_way():
            self._with.executor.cancel(one.plan_id)

    def close(self, timeout_s: float = 2.0) -> None:
        """Let go of it: the record stays as it is, for the next console."""
        with self._lock:
            self._is_closing = True
        self._wake()
        for stop in self._stops:
            stop()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._lock:
            self._is_awake = True
            self._lock.notify_all()

    def _hear(self, event: object) -> None:
        if isinstance(event, StepFinished):
            with self._lock:
                self._ended.append(event)
            self._wake()

    def _moves_under_way(self) -> list[_UnderWay]:
        with self._lock:
            return [one for one in self._under_way.values() if one.plan_id]

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._is_awake or self._is_closing, self._with.look_s)
                self._is_awake = False
                if self._is_closing:
                    return
            self._take_ends()
            if self.record.state.is_over and not self._under_way:
                return
            if not self.record.state.is_over:
                self._step(self._with.store.snapshot)

    def _step(self, snapshot: ClusterSnapshot) -> None:
        """Look at how things are, and do what is next."""
        self._notice_gone(snapshot)
        if self._incoming.cancel(self.record, snapshot) or self._is_finished(snapshot):
            return
        if self.record.state is not DrainState.RUNNING:
            return
        if self._must_plan or self._is_outdated(snapshot):
            self._plan_again(snapshot)
        self._begin_what_may(snapshot)
        if not self._under_way and not self._must_plan:
            self._wait_or_shut_down(snapshot)

    # what ended

    def _take_ends(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        for event in ended:
            if event.plan_id in self._unproven:
                self._unproven.discard(event.plan_id)
                self._book.say(event.sentence)
            one = self._under_way.get(event.step.vm_uuid)
            if one is not None and one.plan_id == event.plan_id:
                self._under_way.pop(event.step.vm_uuid)
                self._moved_at = datetime.now(UTC)
                self._take_end(event, one.item)

    def _take_end(self, event: StepFinished, item: DrainItem) -> None:
        if event.outcome is StepOutcome.DONE:
            self._book.has_left(item, event.step.destination, event.sentence)
            return
        if event.end_state == EndState.NOWHERE.value:
            self._book.has_left(item, "", event.sentence)  # it ended on the way: nothing of it keeps the host
            return
        if event.outcome in (StepOutcome.CANCELLED, StepOutcome.UNKNOWN) or not self.record.intent.hosts:
            self._book.is_stuck(item, event.sentence)
            return
        tries = self._tries[item.vm_uuid] = self._tries.get(item.vm_uuid, 0) + 1
        if tries >= _MOST_TRIES:
            self._book.is_stuck(item, f"{event.sentence} {tries} hosts were tried; no further one is.")
            return
        self._must_plan = True
        avoided = self.record.intent.avoided
        # A step that was only refused at its turn is planned anew as things are now; a host that failed it is avoided.
        if event.outcome is StepOutcome.FAILED:
            avoided = (*avoided, (item.vm_uuid, event.step.destination))
        intent = replace(self.record.intent, avoided=avoided)
        self._book.say(f"{event.sentence} Planning again.", intent=intent)

    def _notice_gone(self, snapshot: ClusterSnapshot) -> None:
        """VMs that left in another way: shut down as asked, moved or stopped by somebody."""
        for uuid, one in list(self._under_way.items()):
            if one.plan_id or one.asked_at is None:
                continue
            if is_gone(uuid, one.item.source, snapshot, one.asked_at):
                self._under_way.pop(uuid)
                self._book.has_left(one.item, "", f"{one.item.vm_name} was shut down.")
            elif datetime.now(UTC) - one.asked_at > timedelta(seconds=self._with.shut_down_patience_s):
                self._under_way.pop(uuid)
                self._book.is_stuck(
                    one.item,
                    f"{one.item.vm_name} was asked to shut down and still runs on {one.item.source}. Shut it down from "
                    "inside, or choose to switch it off.",
                )
        self._notice_unproven(snapshot)
        for stuck in stuck_that_left(self.record, snapshot):
            left = tuple(one for one in self.record.stuck if one.vm_uuid != stuck.vm_uuid)
            self._book.say(f"{stuck.vm_name} is not on {stuck.host} any more.", stuck=left)

    def _notice_unproven(self, snapshot: ClusterSnapshot) -> None:
        """VMs that are gone from their host while their destination does not answer: not waited for."""
        moves = [
            (uuid, one.item.source, one.item.destination or "") for uuid, one in self._under_way.items() if one.plan_id
        ]
        for uuid, destination in self._silent.left(moves, snapshot, datetime.now(UTC)):
            one = self._under_way.pop(uuid)
            item = one.item
            self._unproven.add(one.plan_id)
            self._book.has_left(
                item,
                destination,
                f"{item.vm_name} left {item.source} for {destination}, which does not answer since: whether it runs "
                f"there is not known. {destination} is asked as soon as it is back; start {item.vm_name} nowhere else "
                "before that.",
            )

    def _is_finished(self, snapshot: ClusterSnapshot) -> bool:
        """Whether every host is empty and was seen so; then they are in maintenance."""
        record = self.record
        if self._under_way or not are_empty(record, snapshot):
            return False
        for name in record.intent.hosts:
            self._set_status(name, HostStatus.MAINTENANCE)
        names = ", ".join(record.intent.hosts)
        self._book.say(f"No VM is left: {names} in maintenance.", state=DrainState.DONE, stuck=())
        return True

    def _set_status(self, host: str, status: HostStatus) -> None:
        try:
            self._with.set_status(host, status, self.record.intent.reason)
        except HpconsoleError as error:
            self._book.say(f"The status of {host} holds for this run only: {error.sentence}")

    # planning

    def _is_outdated(self, snapshot: ClusterSnapshot) -> bool:
        """Whether what is still to be done stands on something that is not true any more."""
        plan = self._plan
        if plan is None:
            return True
        if not self.record.intent.hosts:
            return False  # room is made as confirmed or not at all
        # those on their way are not in a plan that was made meanwhile
        known = (
            {item.vm_uuid for item in plan.items} | {one.vm_uuid for one in self.record.stuck} | set(self._under_way)
        )
        for item in self._waiting(plan):
            host = snapshot.hosts.get(item.destination or "")
            if host is None or not host.is_candidate:
                self._book.say(
                    f"{item.destination} is not available any more. Planning again for what was to go there."
                )
                return True
        return any(vm.uuid not in known and not vm.is_migrating for vm in remaining(self.record, snapshot))

    def _waiting(self, plan: DrainPlan) -> list[DrainItem]:
        """The moves that have not begun yet."""
        left = {one.vm_uuid for one in self.record.done} | {one.vm_uuid for one in self.record.stuck}
        return [item for item in plan.moves if item.vm_uuid not in left and item.vm_uuid not in self._under_way]

    def _plan_again(self, snapshot: ClusterSnapshot) -> None:
        self._must_plan = False
        record = self.record
        if not record.intent.hosts:
            return  # room is made as confirmed or not at all
        # those on their way are held by the executor's promises, those seen where they went by the snapshot
        absent = [*self._under_way, *unseen_departures(record, snapshot)]
        left_out = record.intent.left_out | {one.vm_uuid for one in record.stuck}
        try:
            plan = plan_drain(
                replace(record.intent, left_out=left_out),
                without(snapshot, absent),
                self._with.policy(),
                self._with.executor.reservations(),
                forecaster=self._with.forecaster,
                at_once=at_once(self._with.executor),
            )
        except PlanningError as error:
            self._book.say(error.sentence, state=DrainState.WAITING)
            return
        with self._lock:
            self._plan = plan
        self._planned_at = datetime.now(UTC)
        moves = ", ".join(f"{item.vm_name} to {item.destination}" for item in plan.moves)
        self._book.say(f"Planned again: {moves}." if moves else "Planned again: nothing more can be moved.")

    # doing

    def _begin_what_may(self, snapshot: ClusterSnapshot) -> None:
        plan = self._plan
        if plan is None:
            return
        sources = [one.item.source for one in self._under_way.values()]
        for item in next_moves(plan, self._waiting(plan), self.record, sources, at_once(self._with.executor).outgoing):
            vm = snapshot.vms.get(item.vm_uuid)
            if vm is None or vm.host != item.source or not vm.state.is_active:
                self._book.is_stuck(item, f"{item.vm_name} does not run on {item.source} any more.")
            else:
                self._submit(item, plan)

    def _submit(self, item: DrainItem, plan: DrainPlan) -> None:
        ignores = plan.intent.options.ignores_vm_affinity
        if ignores is None:
            ignores = self._with.store.snapshot.settings.ignores_vm_affinity_for_maintenance
        # another host is chosen by planning again for all, never by the executor alone
        step = replace(step_of(item), is_destination_chosen=True, ignores_vm_affinity=ignores)
        title = f"{plan.title}: {item.vm_name} to {item.destination}"
        small = Plan(title, (step,), plan.based_on, reason=self.record.intent.reason)
        self._under_way[item.vm_uuid] = _UnderWay(item, small.plan_id)
        self._book.say(item.sentence)
        try:
            self._with.executor.submit(small)
        except HpconsoleError as error:
            self._under_way.pop(item.vm_uuid)
            self._book.is_stuck(item, error.sentence)

    def _wait_or_shut_down(self, snapshot: ClusterSnapshot) -> None:
        """Nothing runs and nothing more can be moved: shut down what was chosen, or wait for the administrator."""
        plan = self._plan
        if plan is None or self._waiting(plan) or any(vm.is_migrating for vm in remaining(self.record, snapshot)):
            return
        record = self.record
        if any(item.action is DrainAction.NO_HOST for item in plan.open_items) and self._planned_at <= self._moved_at:
            # who found no place while others were on their way may find one now; a host that failed may be back
            if is_seen_since(self._moved_at, record, snapshot):
                self._plan_again(snapshot)
            return
        open_items = [item for item in plan.open_items if item.vm_uuid not in {one.vm_uuid for one in record.stuck}]
        done = {one.vm_uuid for one in record.done}
        stuck = {one.vm_uuid for one in record.stuck}
        stopping = [i for i in plan.items if i.action in _STOPPING and i.vm_uuid not in done | stuck]
        if stopping and not open_items and not record.stuck:
            for item in stopping:
                self._stop_vm(item)
            return
        if not record.intent.hosts:
            state, sentence = (DrainState.WAITING, "Room could not be made as planned.") if stuck else (
                DrainState.DONE, "Room is made as planned."
            )  # fmt: skip
            self._book.say(sentence, state=state)
            return
        held_up = stuck_now(plan, record, snapshot)
        if held_up is not None:
            vms, sentence = held_up
            self._book.say(sentence, state=DrainState.WAITING, stuck=vms)

    def _stop_vm(self, item: DrainItem) -> None:
        is_forced = item.action is DrainAction.POWER_OFF
        self._under_way[item.vm_uuid] = _UnderWay(item, asked_at=datetime.now(UTC))
        self._book.say(item.sentence)
        try:
            self._with.pool.call(
                item.source,
                lambda host: host.force_off(item.vm_uuid) if is_forced else host.shut_down(item.vm_uuid),
                deadline_s=self._with.call_s,
            )
        except HpconsoleError as error:
            self._under_way.pop(item.vm_uuid)
            self._book.is_stuck(
                item, f"{item.vm_name} could not be stopped: {error.sentence} It runs on {item.source}."
            )
        self._with.refresh(item.source)


_STOPPING = (DrainAction.SHUT_DOWN, DrainAction.POWER_OFF)
