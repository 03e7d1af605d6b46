"""Measures the running guest and puts the forecast of its migration together.

Blocks for some seconds while a guest is measured: never call it on the thread of a window.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpconsole.core.errors import HpconsoleError, PlanOutOfDate
from hpconsole.core.execution.journal import Journal
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DirtyRate
from hpconsole.core.model.vm import Vm, VmState
from hpconsole.core.planning.dirtying import IDLE, PERIODS_S, DirtySample, WriteCurve, fit, periods_for
from hpconsole.core.planning.forecast import Forecast, GuestWork
from hpconsole.core.planning.forecast_reckoning import forecast
from hpconsole.core.planning.migration_path import PastMigration, path_between, read_past, to_move_mib
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.core.store import Store

_log = logging.getLogger(__name__)

_FRESH_S = 300.0  # how long a measurement of a guest is used again
_LOOK_S = 0.2
_SLACK_S = 3.0  # beyond its period, before a measurement is given up
_BUSY_PCT = 90.0  # of the host's CPUs: guests that share them wait for each other


@dataclass(frozen=True, slots=True)
class Question:
    """One forecast that is asked for. `limit_mib_s`: what the migration may use at most."""

    vm_uuid: str
    destination: str
    policy: MigrationPolicy
    limit_mib_s: float | None = None
    may_post_copy: bool = False
    shared_by: int = 1


@dataclass(frozen=True, slots=True)
class _Measured:
    at_s: float
    curve: WriteCurve | None
    words: str


class Forecaster:
    """Forecasts over the connected hosts.

    Threads: any; two that ask for the same guest at once measure it once.
    """

    def __init__(self, pool: ConnectionPool, store: Store, journal: Journal, *, call_s: float = 10.0) -> None:
        self._pool = pool
        self._store = store
        self._journal = journal
        self._call_s = call_s
        self._lock = threading.Lock()
        self._of_vm: dict[str, threading.Lock] = {}
        self._measured: dict[str, _Measured] = {}
        self._cards: dict[str, float | None] = {}
        self._closing = threading.Event()

    def ask(self, question: Question) -> Forecast:
        """Measure the guest (unless that was done just now) and say what to expect.

        Takes the sum of the periods the first time: 7 s, small guests 11 s. A guest that cannot be measured has the
        verdict *unknown* and the reason in `basis`.

        Raises:
            PlanOutOfDate: the VM is gone or does not run.
        """
        vm = self._running(question.vm_uuid)
        return self._put_together(question, vm, self._measure(vm))

    def known(self, question: Question) -> Forecast | None:
        """The forecast from what is known already, at once: with no fresh measurement the verdict is *unknown*."""
        vm = self._store.snapshot.vms.get(question.vm_uuid)
        if vm is None or vm.host is None or not vm.state.is_active:
            return None
        return self._put_together(question, vm, self._fresh(vm.uuid) or _Measured(0.0, None, ""), is_quick=True)

    def close(self) -> None:
        """Let measurements under way end at once."""
        self._closing.set()

    def _running(self, vm_uuid: str) -> Vm:
        vm = self._store.snapshot.vms.get(vm_uuid)
        if vm is None or vm.host is None or not vm.state.is_active:
            name = vm.name if vm is not None else vm_uuid
            raise PlanOutOfDate(f"{name} does not run, so there is nothing to foresee.", subject=name)
        return vm

    def _put_together(self, question: Question, vm: Vm, measured: _Measured, *, is_quick: bool = False) -> Forecast:
        past = self._past()
        source = vm.host or ""
        memory_mib = vm.memory_kib / 1024
        load = self._store.snapshot.loads.get(vm.uuid)
        rss_kib = load.memory_rss_kib if load is not None else None
        amount, words = to_move_mib(
            vm.uuid,
            memory_mib,
            None if rss_kib is None else rss_kib / 1024,
            past,
            is_locked=vm.huge_page_kib is not None or bool(vm.devices.assigned),
        )
        curve = measured.curve
        if curve is not None:
            amount = min(memory_mib, max(amount, curve.written_mib(max(PERIODS_S))))
            # pages that were never touched are rarely written to from now on: what is in use bounds what is written
            curve = replace(curve, working_set_mib=min(curve.working_set_mib, amount))
        path = path_between(
            source,
            question.destination,
            past,
            limit_mib_s=question.limit_mib_s,
            source_card_mib_s=self._card(source, is_quick=is_quick),
            destination_card_mib_s=self._card(question.destination, is_quick=is_quick),
            shared_by=question.shared_by,
        )
        basis = "; ".join(part for part in (f"{amount:.0f} MiB: {words}", measured.words) if part)
        work = GuestWork(vm.name, memory_mib, amount, curve, basis)
        return forecast(work, path, question.policy, may_post_copy=question.may_post_copy)

    # --- the guest ------------------------------------------------------------------------------------------------

    def _measure(self, vm: Vm) -> _Measured:
        if vm.state is VmState.PAUSED:
            return _Measured(time.monotonic(), IDLE, "it is paused")
        with self._lock:
            one_at_a_time = self._of_vm.setdefault(vm.uuid, threading.Lock())
        with one_at_a_time:
            found = self._fresh(vm.uuid)
            if found is None:
                found = self._sample(vm, periods_for(vm.memory_kib / 1024))
                with self._lock:
                    self._measured[vm.uuid] = found
            return found

    def _fresh(self, vm_uuid: str) -> _Measured | None:
        with self._lock:
            found = self._measured.get(vm_uuid)
        return found if found is not None and time.monotonic() - found.at_s < _FRESH_S else None

    def _sample(self, vm: Vm, periods_s: Sequence[int]) -> _Measured:
        samples: list[DirtySample] = []
        problem = ""
        is_held_back = False
        for period_s in periods_s:
            try:
                rate = self._one_period(vm, period_s)
            except HpconsoleError as error:
                _log.info("dirty rate of %s: %s", vm.name, error.detail or error.sentence)
                problem = error.sentence
                break
            if rate is None:
                problem = "the measurement did not end in time"
                break
            # QEMU rounds down to whole MiB/s: on the average half of one is missing
            mib_s = rate.mib_s + 0.5 if rate.mib_s else 0.0
            samples.append(DirtySample(rate.period_s, mib_s * rate.period_s))
            is_held_back = is_held_back or self._is_short_of_cpu(vm)
        curve = fit(tuple(samples), memory_mib=vm.memory_kib / 1024)
        words = f"writes sampled for {sum(int(sample.period_s) for sample in samples)} s" if samples else ""
        if curve is None:
            words = f"its writes could not be measured: {problem}"
        elif is_held_back:
            curve = replace(curve, is_held_back=True)
            words += f" while {vm.host} had no CPU to spare: it may write faster where it has more"
        return _Measured(time.monotonic(), curve, words)

    def _is_short_of_cpu(self, vm: Vm) -> bool:
        """Whether it shares its CPUs with others, and they are all busy."""
        host = self._store.snapshot.hosts.get(vm.host or "")
        load = host.usage.cpu_pct if host is not None else None
        return load is not None and load >= _BUSY_PCT and not vm.intent.cpu_pinning_policy.is_exclusive

    def _one_period(self, vm: Vm, period_s: int) -> DirtyRate | None:
        host, deadline_s = vm.host or "", self._call_s
        self._pool.call(host, lambda source: source.start_dirty_rate(vm.uuid, period_s), deadline_s=deadline_s)
        until_s = time.monotonic() + period_s + _SLACK_S
        while not self._closing.wait(_LOOK_S) and time.monotonic() < until_s:
            found = self._pool.call(host, lambda source: source.dirty_rate(vm.uuid), deadline_s=deadline_s)
            if found.is_measured:
                return found
        return None

    # --- the path -------------------------------------------------------------------------------------------------

    def _past(self) -> list[PastMigration]:
        try:
            records = self._journal.records()
        except HpconsoleError as error:
            _log.info("no earlier migrations: %s", error.sentence)
            return []
        read = (read_past(one.source, one.destination, one.vm_uuid, one.statistics) for one in records)
        return [one for one in read if one is not None]

    def _card(self, host: str, *, is_quick: bool) -> float | None:
        """The speed of a host's network card; asked once, and never where there is no time to ask."""
        if is_quick:
            return self._cards.get(host)
        if host not in self._cards:
            try:
                self._cards[host] = self._pool.call(
                    host, lambda hypervisor: hypervisor.card_speed_mib_s(), deadline_s=self._call_s
                )
            except HpconsoleError as error:
                _log.info("network card of %s: %s", host, error.sentence)
                return None
        return self._cards[host]
