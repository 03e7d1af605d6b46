"""The arithmetic of pre-copy: passes shrink when the link is faster than the guest writes, and do not otherwise."""

from __future__ import annotations

import math

import pytest

from hpconsole.core.hypervisor.simulated.loads import DATABASE, FURIOUS, IDLE, MIB, LoadCharacter
from hpconsole.core.hypervisor.simulated.precopy import DOWNTIME_LIMIT_MS, SETUP_S, Phase, Precopy

RATE = 1000.0 * MIB
GIB = 1024 * MIB


def to_the_next_event(memory: Precopy, rate: float = RATE) -> None:
    memory.run(memory.next_event_s(rate), rate)
    memory.fire()


def to_the_end(memory: Precopy, rate: float = RATE, most: int = 200) -> None:
    for _ in range(most):
        if memory.phase is Phase.DONE:
            return
        to_the_next_event(memory, rate)


def test_idle_guest_takes_one_pass_and_a_short_stop() -> None:
    memory = Precopy(4 * GIB, IDLE)
    to_the_end(memory)
    assert memory.phase is Phase.DONE
    assert memory.iteration == 2
    assert 0 < memory.downtime_s * 1000 <= DOWNTIME_LIMIT_MS
    # Half of its memory is zeros, and those cost nothing.
    assert memory.elapsed_s == pytest.approx(SETUP_S + 2.048 + memory.downtime_s, abs=0.01)


def test_passes_shrink_and_remaining_rises_at_each_new_pass() -> None:
    memory = Precopy(16 * GIB, DATABASE)
    to_the_next_event(memory)
    lengths, ends, starts = [], [], []
    while memory.phase is Phase.PRE_COPY:
        seconds = memory.next_event_s(RATE)
        lengths.append(seconds)
        memory.run(seconds * 0.99, RATE)
        ends.append(memory.remaining_bytes)
        to_the_next_event(memory)
        starts.append(memory.remaining_bytes)
    assert len(lengths) >= 2
    assert lengths == sorted(lengths, reverse=True)
    assert all(start > end for start, end in zip(starts[:-1], ends[:-1], strict=True))


def test_steps_do_not_matter() -> None:
    whole, pieces = Precopy(8 * GIB, DATABASE), Precopy(8 * GIB, DATABASE)
    to_the_end(whole)
    while pieces.phase is not Phase.DONE:
        wait = pieces.next_event_s(RATE)
        if wait > 0.013:
            pieces.run(0.013, RATE)
        else:
            pieces.run(wait, RATE)
            pieces.fire()
    assert pieces.elapsed_s == pytest.approx(whole.elapsed_s, rel=1e-4)
    assert pieces.iteration == whole.iteration


def test_furious_guest_never_converges_by_itself() -> None:
    memory = Precopy(16 * GIB, FURIOUS)
    to_the_end(memory, most=40)
    assert memory.phase is Phase.PRE_COPY
    assert memory.iteration > 30


def test_auto_converge_throttles_until_it_does() -> None:
    memory = Precopy(16 * GIB, FURIOUS, auto_converge=True)
    to_the_end(memory)
    assert memory.phase is Phase.DONE
    assert memory.throttle_pct >= 50


def test_more_allowed_downtime_ends_it_sooner() -> None:
    strict, lax = Precopy(16 * GIB, DATABASE), Precopy(16 * GIB, DATABASE, downtime_limit_ms=5000)
    to_the_end(strict)
    to_the_end(lax)
    assert lax.iteration < strict.iteration
    assert lax.downtime_s > strict.downtime_s


def test_paused_guest_writes_nothing() -> None:
    memory = Precopy(16 * GIB, FURIOUS, is_dirtying=False)
    to_the_end(memory)
    assert memory.phase is Phase.DONE
    assert memory.iteration == 2  # the pass, and the last one that has nothing to send


def test_post_copy_sends_the_rest_once() -> None:
    memory = Precopy(16 * GIB, FURIOUS)
    to_the_next_event(memory)
    memory.run(1.0, RATE)
    left = memory.remaining_bytes
    memory.start_post_copy()
    assert memory.remaining_bytes >= left
    to_the_next_event(memory)
    assert memory.phase is Phase.DONE
    assert memory.page_requests > 0


def test_stall_moves_nothing_any_more() -> None:
    memory = Precopy(16 * GIB, IDLE, stalls_at_share=0.4)
    to_the_next_event(memory)
    to_the_next_event(memory)
    left = memory.remaining_bytes
    assert memory.next_event_s(RATE) == math.inf
    memory.run(100, RATE)
    assert memory.remaining_bytes == left
    assert left == pytest.approx(0.6 * 16 * GIB, rel=1e-6)


@pytest.mark.parametrize("character", [IDLE, DATABASE, LoadCharacter(0.5, 0.5, 0, 0.5)])
def test_remaining_is_never_negative_nor_more_than_all(character: LoadCharacter) -> None:
    memory = Precopy(4 * GIB, character)
    while memory.phase is not Phase.DONE:
        memory.run(memory.next_event_s(RATE) / 3, RATE)
        assert 0 <= memory.remaining_bytes <= memory.memory_bytes
        to_the_next_event(memory)
