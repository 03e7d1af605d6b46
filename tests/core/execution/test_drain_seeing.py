"""What a drain takes from snapshots: who may begin, who left for a silent host, whether all was seen again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hpconsole.core.execution.console_identity import this_console
from hpconsole.core.execution.drain_record import DoneVm, DrainRecord, new_record
from hpconsole.core.execution.drain_seeing import is_seen_since, just_left, next_moves
from hpconsole.core.execution.drain_silence import SilentDestinations
from hpconsole.core.model.host import Host, HostLink, HostUsage, LinkState
from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.core.planning.drain import DrainAction, DrainIntent, DrainItem, DrainPlan

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_snapshot(at: datetime, *, lost: str = "") -> ClusterSnapshot:
    """Hosts a, b and c without VMs, polled at this moment; one of them may be lost."""

    def host(name: str) -> Host:
        state = LinkState.DISCONNECTED if name == lost else LinkState.CONNECTED
        link = HostLink(state, since=at, answered_at=at)
        return Host(name, f"test://{name}", link=link, usage=HostUsage(at=at))

    return replace(EMPTY_SNAPSHOT, hosts={name: host(name) for name in "abc"})


def a_record() -> DrainRecord:
    return new_record("d", "Maintenance of a", DrainIntent(("a",)), this_console(), 3)


def an_item(name: str, *, source: str = "a", wave: int = 1, is_other: bool = False) -> DrainItem:
    return DrainItem(name, name, source, DrainAction.MOVE, "b", wave=wave, is_other=is_other)


class TestWhoMayBegin:
    def test_no_more_than_may_leave_a_host_at_a_time(self) -> None:
        items = tuple(an_item(name) for name in ("u", "v", "w"))
        plan = DrainPlan(DrainIntent(("a",)), items, 1)
        assert [i.vm_uuid for i in next_moves(plan, items, a_record(), (), 2)] == ["u", "v"]
        assert [i.vm_uuid for i in next_moves(plan, items[1:], a_record(), ("a",), 2)] == ["v"]
        assert next_moves(plan, items, a_record(), ("a", "a"), 2) == []

    def test_nobody_goes_before_those_that_make_room_have_left(self) -> None:
        aside, waits = an_item("aside", source="b", is_other=True), an_item("waits", wave=2)
        plan = DrainPlan(DrainIntent(("a",)), (aside, waits), 1)
        assert next_moves(plan, (aside, waits), a_record(), (), 2) == [aside]
        done = replace(a_record(), done=(DoneVm("aside", "aside", "b", "c", NOW),))
        assert next_moves(plan, (waits,), done, (), 2) == [waits]


class TestALostDestination:
    moves = (("vm", "a", "b"),)

    def test_a_vm_that_left_is_not_waited_for_once_the_link_was_silent_for_a_while(self) -> None:
        silent = SilentDestinations()
        assert silent.left(self.moves, a_snapshot(NOW, lost="b"), NOW) == [], "it may be a hiccup"
        later = NOW + 6 * SECOND
        assert silent.left(self.moves, a_snapshot(later, lost="b"), later) == [("vm", "b")]

    def test_a_link_that_came_back_starts_anew(self) -> None:
        silent = SilentDestinations()
        silent.left(self.moves, a_snapshot(NOW, lost="b"), NOW)
        silent.left(self.moves, a_snapshot(NOW + SECOND), NOW + SECOND)
        later = NOW + 6 * SECOND
        assert silent.left(self.moves, a_snapshot(later, lost="b"), later) == []

    def test_a_destination_that_answers_is_proven_in_the_usual_way(self) -> None:
        later = NOW + 60 * SECOND
        assert SilentDestinations().left(self.moves, a_snapshot(later), later) == []

    def test_a_silent_source_tells_nothing(self) -> None:
        silent, moves = SilentDestinations(), (("vm", "b", "b"),)
        silent.left(moves, a_snapshot(NOW, lost="b"), NOW)
        later = NOW + 60 * SECOND
        assert silent.left(moves, a_snapshot(later, lost="b"), later) == []


def test_a_vm_has_just_left_until_a_poll_well_after_that() -> None:
    record = replace(a_record(), done=(DoneVm("vm", "vm", "a", "b", NOW),))
    assert just_left(record, a_snapshot(NOW + SECOND)) == ["vm"]
    assert just_left(record, a_snapshot(NOW + 4 * SECOND)) == []


def test_all_was_seen_again_once_every_host_that_answers_was_polled() -> None:
    assert not is_seen_since(NOW, a_record(), a_snapshot(NOW))
    assert is_seen_since(NOW, a_record(), a_snapshot(NOW + SECOND))
    stale = a_snapshot(NOW, lost="b").hosts["b"]
    mixed = a_snapshot(NOW + SECOND)
    assert is_seen_since(NOW, a_record(), replace(mixed, hosts={**mixed.hosts, "b": stale})), "b is not waited for"
