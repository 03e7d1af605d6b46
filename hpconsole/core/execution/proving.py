"""What came of a migration? Both hosts are asked until they agree on something final; what is missing is carried over.

Libvirt's answer is never believed: the sentence at the end says what both hosts were seen to have.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from hpconsole.core.errors import ConnectionLost, HostUnreachable, HpconsoleError, HypervisorError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.attempt import Listener, Result, Surroundings
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.carrying_over import carry_over, give_back_cpus, left_file, resume_at_home, tidy
from hpconsole.core.execution.convergence import GivenUp
from hpconsole.core.execution.end_sentences import describe, why_it_failed
from hpconsole.core.execution.end_states import EndState, HostView, judge
from hpconsole.core.execution.journal import RAN_THERE, Phase
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.measured import path_figures
from hpconsole.core.execution.verification import asked_back, differences, look, outcome_detail
from hpconsole.core.execution.watching import JobHelp, JobReader
from hpconsole.core.hypervisor.port import JobStats
from hpconsole.core.planning.plan import Step

_log = logging.getLogger(__name__)
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to be proven. `error`: what libvirt's call said; `is_resumed`: an earlier run of the console called."""

    step: Step
    known: KnownBefore
    error: HypervisorError | None = None
    note: str = ""
    given_up: GivenUp | None = None
    is_resumed: bool = False


class Prover:
    """Proves one attempt. `prove` is called once, on the attempt's thread."""

    def __init__(
        self,
        surroundings: Surroundings,
        migration_id: str,
        token: CancelToken,
        listener: Listener,
        reader: JobReader,
        *,
        helper: JobHelp | None = None,
    ) -> None:
        self._with = surroundings
        self._id = migration_id
        self._token = token
        self._listener = listener
        self._reader = reader
        self._helper = helper  # of a job that goes on without our call: it gets its schedule all the same

    def prove(self, expected: Expectation) -> Result | None:
        """How it ended, as both hosts show it. None: the console closes."""
        lost_sight = expected.is_resumed or isinstance(expected.error, ConnectionLost | HostUnreachable)
        phase = Phase.WATCHING if lost_sight else Phase.VERIFYING
        self._with.journal.advance(self._id, phase, "Asking both hosts where the VM is.")
        if lost_sight:
            self._listener.on_lost_sight(
                f"The console lost sight of {expected.step.vm_name}; the hosts go on by themselves. Asking them."
            )
        found = self._until_known(expected)
        if found is None:
            return None
        state, source, destination = found
        if state is EndState.PAUSED_ON_SOURCE:
            state, source = self._resumed(expected, source, destination)
        step, given_up = expected.step, expected.given_up
        statistics: dict[str, Any] = {}
        is_as_planned = True
        where = self._elsewhere(step) if state is EndState.NOWHERE and expected.is_resumed else None
        if where is not None:
            return self._moved_on(expected, where, (source, destination))
        sentences = [self._beginning(state, expected)]
        has_moved, missing = state.is_moved, list[str]()
        if has_moved:  # before anything else is asked: a later attempt at proving must not forget it
            words = f"{step.vm_name} was seen to run on {step.destination}."
            self._with.journal.advance(self._id, Phase.VERIFYING, words, {RAN_THERE: True})
        if has_moved or (state is EndState.PAUSED_ON_DESTINATION and not source.is_active):
            state, destination, missing = carry_over(
                self._with.pool, step, expected.known, (source, destination), self._with.timings.call_s
            )
            has_moved = has_moved or state.is_moved  # somebody let it go on meanwhile
        if has_moved:
            statistics |= self._completed(step)
            wrong, proof = self._compared(expected, destination)
            is_as_planned = not wrong and not missing and state is EndState.ON_DESTINATION
            statistics |= {"is_as_planned": is_as_planned} | ({"proof": proof} if proof else {})
            sentences += [describe(state, step.vm_name, source, destination), *_pinning(step, wrong)]
            sentences += [*missing, left_file(self._with.pool, step, expected.known, self._with.timings.call_s)]
            sentences.append(expected.note)
        else:
            state, destination, problem = self._tidied(state, expected, source, destination)
            left = give_back_cpus(self._with.pool, step, expected.known, source, self._with.timings.call_s)
            sentences += [describe(state, step.vm_name, source, destination), problem, left, *missing]
            if given_up is not None and not self._token.is_cancelled:
                sentences.append(given_up.advice)
        statistics["end_state"] = state.value  # only now: what was left over may be gone
        self._with.journal.measure(self._id, statistics)
        sentence = " ".join(part for part in sentences if part)
        is_stalled = given_up is not None and not given_up.is_link_silent and not state.is_moved
        outcome = self._outcome(state, expected.error)
        detail = outcome_detail(state, (source, destination), expected.error) + _in_words(statistics)
        unchecked = expected.known if state.is_as_before and not destination.is_reachable else None
        return Result(outcome, state, sentence, detail, step, state.is_as_before, is_stalled, is_as_planned, unchecked)

    def _until_known(self, expected: Expectation) -> tuple[EndState, HostView, HostView] | None:
        """Ask until both hosts agree on something final, or patience ends. None: the console closes."""
        timings, step, pool = self._with.timings, expected.step, self._with.pool
        wanted = (EndState.ON_DESTINATION,) if expected.error is None else (EndState.ON_DESTINATION, EndState.ON_SOURCE)
        began = time.monotonic()
        while not self._token.is_left:
            source = look(pool, step.source, step.vm_uuid, deadline_s=timings.call_s)
            destination = look(pool, step.destination, step.vm_uuid, deadline_s=timings.call_s)
            state = judge(source, destination, was_paused=expected.known.was_paused)
            waited_s = time.monotonic() - began
            if state in wanted or (state.is_final and waited_s >= timings.settle_s):
                return state, source, destination
            if state is EndState.UNKNOWN and waited_s >= timings.patience_s:
                return state, source, destination
            if state is EndState.STILL_MIGRATING:
                is_ours = not _is_somebody_elses(expected.error)
                if not is_ours and waited_s >= timings.settle_s:
                    return state, source, destination
                if self._token.is_cancelled and is_ours:
                    self._reader.abort()
                words = describe(state, step.vm_name, source, destination)
                if self._helper is not None and is_ours:
                    self._helper.look(words)
                else:
                    self._reader.read(words)
            self._token.wait(timings.poll_s if state is not EndState.UNKNOWN else min(5.0, timings.poll_s * 4))
        return None

    # --- what is found --------------------------------------------------------------------------------------------

    def _compared(self, expected: Expectation, destination: HostView) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Each difference from the plan, a sentence; and what was asked back, for the journal."""
        step = expected.step
        there = self._with.store.snapshot.hosts.get(step.destination)
        host_cpus = there.topology.all_cpus if there is not None else None
        wrong = differences(destination, step.placement, expected.known, host_cpus=host_cpus)
        return wrong, asked_back(destination, step.placement, host_cpus=host_cpus)

    def _resumed(self, expected: Expectation, source: HostView, destination: HostView) -> tuple[EndState, HostView]:
        pool, known = self._with.pool, expected.known
        source = resume_at_home(pool, expected.step, known, (source, destination), self._with.timings.call_s)
        return judge(source, destination, was_paused=known.was_paused), source

    def _tidied(
        self, state: EndState, expected: Expectation, source: HostView, destination: HostView
    ) -> tuple[EndState, HostView, str]:
        if state is not EndState.LEFT_OVER_ON_DESTINATION:
            return state, destination, ""
        known = expected.known
        views = source, destination
        destination, problem = tidy(self._with.pool, expected.step, known, views, self._with.timings.call_s)
        return judge(source, destination, was_paused=known.was_paused), destination, problem

    def _elsewhere(self, step: Step) -> HostView | None:
        """The third host that runs the VM by now: somebody moved it on since the console ended."""
        for name in self._with.pool.names():
            if name not in (step.source, step.destination):
                view = look(self._with.pool, name, step.vm_uuid, deadline_s=self._with.timings.call_s)
                if view.is_active and not view.is_half:
                    return view
        return None

    def _moved_on(self, expected: Expectation, third: HostView, views: tuple[HostView, HostView]) -> Result:
        step, state = expected.step, EndState.ELSEWHERE
        sentence = (
            f"{step.vm_name} runs on {third.host}: it was moved there since. How its migration from {step.source} to "
            f"{step.destination} ended is not known any more; neither of the two runs it now."
        )
        self._with.journal.measure(self._id, {"end_state": state.value})
        detail = outcome_detail(state, (*views, third), expected.error)
        return Result(StepOutcome.SKIPPED, state, sentence, detail, step)

    def _beginning(self, state: EndState, expected: Expectation) -> str:
        step, error, given_up = expected.step, expected.error, expected.given_up
        if state.is_moved:
            return "It was too late to cancel." if self._token.is_cancelled else ""
        if self._token.is_cancelled and state.is_as_before:
            return f"The migration of {step.vm_name} to {step.destination} was cancelled."
        if state is EndState.STILL_MIGRATING:
            return f"This console could not move {step.vm_name}: somebody else is migrating it."
        if given_up is not None:
            return f"{step.vm_name} could not be moved to {step.destination}: {given_up.reason}"
        if expected.is_resumed and state.is_as_before:
            return (
                f"The migration of {step.vm_name} to {step.destination} ended without moving it, or somebody moved it "
                "back since."
            )
        if error is None:
            return ""
        why = why_it_failed(error, step.source, step.destination)
        return f"{step.vm_name} could not be moved to {step.destination}: {why}"

    def _outcome(self, state: EndState, error: HypervisorError | None) -> StepOutcome:
        if state in (EndState.UNKNOWN, EndState.BROKEN_POST_COPY):
            return StepOutcome.UNKNOWN  # stays open: it can still end either way
        if state.is_moved:
            return StepOutcome.DONE
        if self._token.is_cancelled and state.is_as_before:
            return StepOutcome.CANCELLED
        _log.warning("migration %s: %s", self._id, error.detail or error.sentence if error else state)
        return StepOutcome.FAILED

    def _completed(self, step: Step) -> dict[str, object]:
        """What libvirt measured, which the destination keeps; nothing where it does not tell."""
        try:
            stats: JobStats = self._with.pool.call(
                step.destination,
                lambda host: host.job_stats(step.vm_uuid, completed=True),
                deadline_s=self._with.timings.call_s,
            )
        except HpconsoleError:
            return {}
        figures = path_figures(stats, step.options) | {
            "total_s": None if stats.elapsed_ms is None else stats.elapsed_ms / 1000,
            "downtime_ms": stats.downtime_ms,
            "setup_ms": stats.setup_ms,
            "passes": stats.iteration,
            "memory_mib": _mib(stats.memory_total_bytes),
            "sent_mib": _mib(stats.memory_processed_bytes),
        }
        return {name: value for name, value in figures.items() if value is not None}


def _pinning(step: Step, wrong: tuple[str, ...]) -> list[str]:
    if wrong:
        return ["But not all is as planned:", *wrong]
    return [] if step.placement.is_free else ["Its pinning there is as planned."]


def _mib(size: int | None) -> float | None:
    return None if size is None else round(size / _MIB, 2)


def _in_words(statistics: dict[str, Any]) -> str:
    """For the details pane: time, downtime, passes and data."""
    parts = [
        f"total {statistics['total_s']:.1f} s" if "total_s" in statistics else "",
        f"downtime {statistics['downtime_ms']} ms" if "downtime_ms" in statistics else "",
        f"{statistics['passes']} passes" if statistics.get("passes") else "",
        f"{statistics['sent_mib']:.0f} MiB sent" if "sent_mib" in statistics else "",
    ]
    text = ", ".join(part for part in parts if part)
    return f"\n{text}" if text else ""


def _is_somebody_elses(error: HypervisorError | None) -> bool:
    """Our call was refused and yet a job runs: another console's, or a tool's."""
    return error is not None and not isinstance(error, ConnectionLost | HostUnreachable)
