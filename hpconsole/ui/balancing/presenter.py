"""What *Load Balancing* says: who acts, what should move and what that brings, or why nothing. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hpconsole.core.availability.leadership import Leadership
from hpconsole.core.balancing.mode import Mode
from hpconsole.core.balancing.moves_log import MoveLine
from hpconsole.core.balancing.report import Cause, Recommendation, RoundReport
from hpconsole.core.balancing.worth import FACTOR
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone

MODES: tuple[tuple[Mode, str, str], ...] = (
    (Mode.ACT, "Move VMs by themselves", "At most one VM a minute, only in automatic mode; one console acts"),
    (Mode.RECOMMEND, "Only recommend", "Look every minute and say what should move; you apply it"),
    (Mode.OFF, "Off", "Do not look by itself; hosts that fail are looked after all the same"),
)
NO_BALANCER = "None"  # what a policy says that does not balance
GAIN_HELP = "How many times what the move brings outweighs what it costs; moves for affinity rules are not weighed"
_CAUSES = {Cause.BALANCE: "load", Cause.AFFINITY: "affinity rule"}


@dataclass(frozen=True, slots=True)
class LogRow:
    """One move that was begun."""

    place: int  # 0 = the newest
    line: MoveLine

    @property
    def key(self) -> str:
        """What identifies it."""
        return f"{self.line.at.isoformat()} {self.line.vm_name}"

    @property
    def time(self) -> str:
        """When, as people here read it."""
        return f"{self.line.at.astimezone():%d %b %H:%M:%S}"

    @property
    def move(self) -> str:
        """From where to where."""
        return f"{self.line.source} → {self.line.destination}"

    @property
    def cause(self) -> str:
        """Why, in a word."""
        return _CAUSES[self.line.cause]

    @property
    def pays(self) -> str:
        """What it brings against what it costs."""
        return _times(self.line.gain, self.line.cost)


def log_rows(lines: Sequence[MoveLine]) -> tuple[LogRow, ...]:
    """The table, newest first."""
    return tuple(LogRow(place, line) for place, line in enumerate(lines))


def who_acts(leadership: Leadership, mode: Mode, balancer: str) -> tuple[str, Tone]:
    """Which console moves VMs now, if any."""
    if mode is Mode.OFF:
        return "Nobody moves VMs by itself: balancing is off.", Tone.MUTED
    if mode is Mode.RECOMMEND:
        return "Nobody moves VMs by itself: consoles and “hpconsole watch” only recommend.", Tone.MUTED
    prefix = "For affinity rules only, not for load: " if balancer == NO_BALANCER else ""
    if leadership.is_mine:
        return f"{prefix}{leadership.sentence}", Tone.GOOD
    if balancer == NO_BALANCER and "Nothing in this cluster asks" in leadership.sentence:
        return "Nobody needs to act: the policy in force does not balance, and no rule asks for a move.", Tone.MUTED
    return f"{prefix}{leadership.sentence}", Tone.NORMAL


def mode_help(mode: Mode, balancer: str) -> str:
    """What the chosen mode does, with the policy in force as it is."""
    if balancer != NO_BALANCER:
        return f"{next(tip for known, _, tip in MODES if known is mode)}."
    rules = {
        Mode.ACT: "Only an enforced affinity rule that is broken still moves a VM: at most one a minute.",
        Mode.RECOMMEND: "Only moves for affinity rules are still recommended.",
        Mode.OFF: "For affinity rules nothing is moved either.",
    }
    return f"Nothing is moved for load, whatever is chosen here: the policy in force does not balance. {rules[mode]}"


def headline(report: RoundReport | None) -> tuple[str, Tone]:
    """The newest round in a line."""
    if report is None:
        return "The first round has not been made yet. Look Now makes one.", Tone.MUTED
    found = report.recommendation
    if found is None:
        return "Nothing should move now.", Tone.GOOD
    verb = "is being moved" if report.is_acting else "should move"
    return f"{found.vm_name} {verb} from {found.source} to {found.destination}.", Tone.ACCENT


def reasons(report: RoundReport | None) -> str:
    """Why this move; or why none: a line for each reason."""
    if report is None:
        return ""
    found = report.recommendation
    if found is None:
        return "\n".join(f"• {why}" for why in report.why_nothing)
    return "\n".join(line for line in (found.reason, worth(found)) if line)


def worth(found: Recommendation) -> str:
    """Forecast cost against gain, in words."""
    if found.cause is Cause.AFFINITY:
        return "Rules come before load: it is not weighed against what it costs."
    return (
        f"Gain {fmt.number(round(found.gain))}, cost {fmt.number(round(found.cost))} (percent of a host's CPU x "
        f"seconds): it pays {_times(found.gain, found.cost)}; from {FACTOR:g} times on a move is made."
    )


def looked(report: RoundReport | None, now: datetime) -> str:
    """When the newest round was."""
    if report is None:
        return ""
    return f"Looked {fmt.age_s(report.at, now) or 0:.0f} s ago."


def why_not_apply(report: RoundReport | None, applied: Mapping[str, datetime]) -> str:
    """Why there is nothing to apply; empty where there is.

    Args:
        applied: When a move of a VM was begun here, by its UUID: what was looked at before that is out of date.
    """
    if report is None or report.recommendation is None:
        return "Nothing is recommended now."
    if report.is_acting:
        return "It is being moved already."
    begun_at = applied.get(report.recommendation.vm_uuid)
    is_old = begun_at is not None and report.at <= begun_at
    return "It was applied; the task list shows how it goes." if is_old else ""


def _times(gain: float, cost: float) -> str:
    if cost <= 0:
        return ""
    ratio = gain / cost
    return f"{fmt.number(round(ratio))} times" if ratio >= 10 else f"{ratio:.1f} times"
