"""Every way a migration can end has a name and a sentence that says where the VM is."""

from __future__ import annotations

import itertools

import pytest

from hpconsole.core.execution.end_sentences import describe
from hpconsole.core.execution.end_states import EndState, HostView, judge
from hpconsole.core.hypervisor.port import DomainRecord

RUNNING, PAUSED, OFF = 1, 3, 5
FOR_MIGRATION, BY_USER, POSTCOPY_FAILED, IN_POSTCOPY = 2, 1, 13, 10


def view(host: str, state: int | None = None, reason: int = 0, *, job: bool = False) -> HostView:
    record = None if state is None else DomainRecord("uuid", "db-1", state, reason, True, False)
    return HostView(host, record=record, has_job=job)


def silent(host: str) -> HostView:
    return HostView(host, is_reachable=False, problem="It does not answer.")


CASES = {
    "moved": (view("a"), view("b", RUNNING), EndState.ON_DESTINATION),
    "moved, definition left": (view("a", OFF), view("b", RUNNING), EndState.LEFT_OVER_ON_SOURCE),
    "moved, stopped process left": (view("a", PAUSED, FOR_MIGRATION), view("b", RUNNING), EndState.LEFT_OVER_ON_SOURCE),
    "never left": (view("a", RUNNING), view("b"), EndState.ON_SOURCE),
    "never left, half guest there": (
        view("a", RUNNING),
        view("b", PAUSED, FOR_MIGRATION),
        EndState.LEFT_OVER_ON_DESTINATION,
    ),
    "never left, definition there": (view("a", RUNNING), view("b", OFF), EndState.LEFT_OVER_ON_DESTINATION),
    "never left, destination silent": (view("a", RUNNING), silent("b"), EndState.ON_SOURCE),
    "under way": (view("a", RUNNING, job=True), view("b", PAUSED, FOR_MIGRATION), EndState.STILL_MIGRATING),
    "under way, destination silent": (view("a", RUNNING, job=True), silent("b"), EndState.STILL_MIGRATING),
    "stuck between": (view("a", PAUSED, FOR_MIGRATION), view("b", PAUSED, FOR_MIGRATION), EndState.PAUSED_ON_SOURCE),
    "paused at home": (view("a", PAUSED, BY_USER), view("b"), EndState.PAUSED_ON_SOURCE),
    "broken post-copy": (
        view("a", PAUSED, POSTCOPY_FAILED),
        view("b", PAUSED, POSTCOPY_FAILED),
        EndState.BROKEN_POST_COPY,
    ),
    "broken post-copy, its source gone": (view("a"), view("b", PAUSED, POSTCOPY_FAILED), EndState.LOST_POST_COPY),
    "broken post-copy, its destination gone": (view("a", PAUSED, POSTCOPY_FAILED), view("b"), EndState.LOST_POST_COPY),
    "in post-copy, its source gone unnoticed": (
        view("a", OFF),
        view("b", RUNNING, IN_POSTCOPY),
        EndState.LOST_POST_COPY,
    ),
    "broken post-copy, its source silent": (silent("a"), view("b", PAUSED, POSTCOPY_FAILED), EndState.UNKNOWN),
    "ended meanwhile": (view("a", OFF), view("b"), EndState.NOWHERE),
    "nobody knows it": (view("a"), view("b"), EndState.NOWHERE),
    "twice": (view("a", RUNNING), view("b", RUNNING), EndState.TWICE),
    "both silent": (silent("a"), silent("b"), EndState.UNKNOWN),
    "source silent, there it runs": (silent("a"), view("b", RUNNING), EndState.UNKNOWN),
    "source silent, there is nothing": (silent("a"), view("b"), EndState.UNKNOWN),
    "gone from the source, destination silent": (view("a"), silent("b"), EndState.UNKNOWN),
}


@pytest.mark.parametrize(("source", "destination", "expected"), CASES.values(), ids=CASES)
def test_each_pair_of_views_has_one_name(source: HostView, destination: HostView, expected: EndState) -> None:
    assert judge(source, destination) is expected


def test_a_vm_that_was_paused_before_is_well_when_it_is_paused_after() -> None:
    assert judge(view("a"), view("b", PAUSED, BY_USER), was_paused=True) is EndState.ON_DESTINATION
    assert judge(view("a", PAUSED, BY_USER), view("b"), was_paused=True) is EndState.ON_SOURCE
    assert judge(view("a"), view("b", PAUSED, FOR_MIGRATION), was_paused=True) is EndState.PAUSED_ON_DESTINATION


def test_a_paused_vm_is_never_said_to_run() -> None:
    there, here = view("b", PAUSED, BY_USER), view("a", PAUSED, BY_USER)
    for source, destination in ((view("a"), there), (view("a", OFF), there), (here, view("b")), (here, view("b", OFF))):
        state = judge(source, destination, was_paused=True)
        sentence = describe(state, "db-1", source, destination)
        assert state.is_moved or state.is_as_before
        assert "paused" in sentence
        assert "runs" not in sentence
    under_way = view("a", PAUSED, BY_USER, job=True)
    assert "stays paused" in describe(judge(under_way, view("b")), "db-1", under_way, view("b"))
    handing_over = view("a", PAUSED, FOR_MIGRATION, job=True)
    assert "runs meanwhile" in describe(judge(handing_over, view("b")), "db-1", handing_over, view("b"))


def test_every_pair_has_a_sentence_with_the_vm_and_no_state_claims_what_was_not_seen() -> None:
    sources = [silent("a"), view("a"), *(view("a", s, r) for s, r in ((1, 1), (3, 1), (3, 2), (3, 13), (5, 1)))]
    destinations = [silent("b"), view("b"), *(view("b", s, r) for s, r in ((1, 1), (3, 1), (3, 2), (3, 13), (5, 1)))]
    for source, destination in itertools.product(sources, destinations):
        state = judge(source, destination)
        sentence = describe(state, "db-1", source, destination)
        assert "db-1" in sentence
        assert sentence.endswith(".")
        if state.is_moved:
            assert destination.is_reachable
            assert destination.is_active
            assert f"runs on {destination.host}" in sentence
        if state.is_as_before:
            assert source.is_reachable
            assert source.is_active
            assert f"still runs on {source.host}" in sentence
        if not state.is_final:
            assert not (source.is_reachable and destination.is_reachable) or source.has_job


def test_the_unknown_says_what_is_known() -> None:
    sentence = describe(EndState.UNKNOWN, "db-1", silent("a"), view("b", RUNNING))
    assert "a does not answer" in sentence
    assert "b has a guest process of it" in sentence
