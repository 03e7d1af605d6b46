"""The arithmetic of one live migration: passes over memory that the guest goes on writing to.

A pass sends what is left; what the guest wrote meanwhile is left for the next one. When the rest can be sent within
the allowed downtime, the guest is stopped and the rest sent. Knows no clock and no hosts: driven by `next_event_s`,
`run` and `fire`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from hpconsole.core.hypervisor.simulated.loads import MIB, LoadCharacter

PAGE_BYTES = 4096
SETUP_S = 0.3  # the destination's QEMU starts
DEVICE_STATE_S = 0.03  # sent while the guest is stopped
POST_COPY_SWITCH_S = 0.05
DOWNTIME_LIMIT_MS = 300  # QEMU's default
# QEMU's auto-converge: throttle the vCPUs when a pass wrote more than half of what it sent.
THROTTLE_FIRST_PCT, THROTTLE_STEP_PCT, THROTTLE_MOST_PCT = 20, 10, 99


class Phase(Enum):
    """Where a migration is."""

    SETUP = "setup"
    PRE_COPY = "pre-copy"
    STOPPED = "guest stopped, last pages under way"
    POST_COPY = "post-copy"
    DONE = "done"


@dataclass(slots=True)
class Precopy:
    """One migration's memory. Bytes, and seconds of the cluster's clock."""

    memory_bytes: int
    character: LoadCharacter
    auto_converge: bool = False
    downtime_limit_ms: int = DOWNTIME_LIMIT_MS
    is_dirtying: bool = True  # the guest's vCPUs run
    stalls_at_share: float | None = None  # fault: the link goes silent in the first pass
    phase: Phase = Phase.SETUP
    iteration: int = 0
    elapsed_s: float = 0.0
    setup_s: float = 0.0
    downtime_s: float = 0.0
    sent_bytes: float = 0.0  # on the wire, all passes
    throttle_pct: int = 0
    is_stalled: bool = False
    page_requests: float = 0.0
    last_rate: float = 0.0
    _timer_s: float = SETUP_S
    _pass_wire: float = 0.0  # bytes this pass puts on the wire
    _pass_sent: float = 0.0
    _pass_memory: float = 0.0  # bytes of memory it covers: pages of zeros cost next to nothing
    _dirtied: float = field(default=0.0)

    @property
    def remaining_bytes(self) -> float:
        """What QEMU reports as remaining: falls during a pass, rises when the next one begins."""
        if self.phase is Phase.SETUP:
            return float(self.memory_bytes)
        if self.phase is Phase.DONE or not self._pass_wire:
            return 0.0
        return self._pass_memory * max(0.0, 1 - self._pass_sent / self._pass_wire)

    @property
    def dirty_bytes_s(self) -> float:
        """How fast the guest writes to pages, throttling included."""
        if not self.is_dirtying or self.phase is not Phase.PRE_COPY:
            return 0.0
        return self.character.dirty_mib_s * MIB * (1 - self.throttle_pct / 100)

    @property
    def expected_downtime_ms(self) -> int:
        """How long the guest would stop if it were stopped now."""
        if not self.last_rate:
            return self.downtime_limit_ms
        return int(1000 * (self._dirtied / self.last_rate + DEVICE_STATE_S))

    @property
    def is_sending(self) -> bool:
        """Whether it uses the link."""
        return self.phase in (Phase.PRE_COPY, Phase.STOPPED, Phase.POST_COPY) and not self.is_stalled

    def next_event_s(self, rate: float) -> float:
        """Seconds until `fire` is due if nothing changes; infinite while nothing moves."""
        if self.phase is Phase.DONE:
            return math.inf
        if self.phase in (Phase.SETUP, Phase.STOPPED):
            return max(0.0, self._timer_s)
        if rate <= 0 or self.is_stalled:
            return math.inf
        return max(0.0, (self._goal() - self._pass_sent) / rate)

    def run(self, seconds: float, rate: float) -> None:
        """Let time pass; never beyond the next event."""
        self.elapsed_s += seconds
        if self.phase is Phase.SETUP:
            self.setup_s += seconds
            self._timer_s -= seconds
            return
        if self.phase is Phase.STOPPED:
            self.downtime_s += seconds
            self._timer_s -= seconds
            return
        if self.is_sending:
            self.last_rate = rate
            amount = min(rate * seconds, max(0.0, self._pass_wire - self._pass_sent))
            self._pass_sent += amount
            self.sent_bytes += amount
        if self.phase is Phase.POST_COPY:
            self.page_requests += seconds * 900
        elif self.dirty_bytes_s:
            self._dirty(seconds)

    def fire(self) -> None:
        """Let the event happen that is due: the next phase or pass begins."""
        if self.phase is Phase.SETUP:
            self._begin_pass(self.memory_bytes, wire=self.memory_bytes * self.character.resident_share)
        elif self.phase is Phase.PRE_COPY:
            if self.stalls_at_share is not None and self.iteration == 1:
                self.is_stalled = True
                return
            self._end_pass()
        elif self.phase in (Phase.STOPPED, Phase.POST_COPY):
            self.phase = Phase.DONE

    def start_post_copy(self) -> None:
        """Run the guest on the destination at once; what is left follows without ever being written again here."""
        rest = self.remaining_bytes + self._dirtied
        self._begin_pass(rest, wire=rest)
        self.phase = Phase.POST_COPY
        self.downtime_s = POST_COPY_SWITCH_S

    def _goal(self) -> float:
        if self.stalls_at_share is not None and self.iteration == 1:
            return self._pass_wire * self.stalls_at_share
        return self._pass_wire

    def _dirty(self, seconds: float) -> None:
        """Writes hit pages of the working set at random, so ever fewer are newly dirty."""
        working_set = max(1.0, self.memory_bytes * self.character.working_set_share)
        clean = max(0.0, working_set - self._dirtied)
        self._dirtied = working_set - clean * math.exp(-self.dirty_bytes_s * seconds / working_set)

    def _begin_pass(self, memory: float, *, wire: float) -> None:
        self.phase = Phase.PRE_COPY
        self.iteration += 1
        self._pass_memory, self._pass_wire, self._pass_sent = memory, max(1.0, wire), 0.0
        self._dirtied = 0.0

    def _end_pass(self) -> None:
        rest = float(int(self._dirtied) // PAGE_BYTES * PAGE_BYTES)
        seconds = rest / max(1.0, self.last_rate) + DEVICE_STATE_S
        if 1000 * seconds <= self.downtime_limit_ms or not rest:
            self.phase = Phase.STOPPED
            self.iteration += 1  # as QEMU counts: the last pass is one, too
            self.sent_bytes += rest
            self._timer_s = seconds
            self._pass_memory, self._pass_wire, self._pass_sent, self._dirtied = rest, max(1.0, rest), 0.0, 0.0
            return
        if self.auto_converge and self.iteration >= 2 and rest > self._pass_sent / 2:
            first = self.throttle_pct == 0
            step = THROTTLE_FIRST_PCT if first else THROTTLE_STEP_PCT
            self.throttle_pct = min(THROTTLE_MOST_PCT, self.throttle_pct + step)
        self._begin_pass(rest, wire=rest)
