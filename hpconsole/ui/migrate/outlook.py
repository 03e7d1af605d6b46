"""What is expected of the migrations that are planned, and what stands against them: forecasts and checks. No Qt.

Questions are answered on worker threads: a check takes as long as the hosts take, a measurement of a guest 7 s. What is
known of a subject stays known while the dialog is open; `recheck` forgets the checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.planning.forecast import Forecast, Verdict
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import Plan
from hpconsole.core.planning.preflight_findings import Finding, Preflight, Severity
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone

AT_ONCE = 4  # checks, and guests that are measured: one after the other, forty VMs would take five minutes
VERDICT_TONES = {
    Verdict.CONVERGES: Tone.GOOD,
    Verdict.MAY_CONVERGE: Tone.WARNING,
    Verdict.POST_COPY: Tone.WARNING,
    Verdict.DOES_NOT_CONVERGE: Tone.BAD,
    Verdict.UNKNOWN: Tone.MUTED,
}


class Advice(Protocol):
    """The part of `MigrationAdvice` this needs. Blocks: worker threads only."""

    def forecast(self, vm_uuid: str, destination: str, options: MigrationOptions, *, shared_by: int = 1) -> Forecast:
        """Measure and foresee."""

    def known_forecast(self, vm_uuid: str, destination: str, options: MigrationOptions) -> Forecast | None:
        """Foresee from what is known."""

    def check(self, vm_uuid: str, destination: str, options: MigrationOptions) -> Preflight:
        """Every finding."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One VM that is to go to one host in one way."""

    vm_uuid: str
    vm_name: str
    destination: str
    options: MigrationOptions


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check brought. `problem`: why it could not be made."""

    subject: Subject
    preflight: Preflight | None
    forecast: Forecast | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement brought."""

    subject: Subject
    forecast: Forecast | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding with the VM it is about."""

    subject: Subject
    finding: Finding

    @property
    def key(self) -> str:
        """What it is about: accepted once, accepted as long as it says the same."""
        return f"{self.subject.vm_uuid} {self.subject.destination} {self.finding.sentence}"


class Outlook:
    """Follows the plan. Without `advice` nothing is asked and nothing stands against anything."""

    def __init__(self, advice: Advice | None) -> None:
        self._advice = advice
        self._subjects: tuple[Subject, ...] = ()
        self._checked: dict[Subject, Checked] = {}
        self._measured: dict[Subject, Measured] = {}
        self._accepted: frozenset[str] = frozenset()
        self._checking: set[Subject] = set()
        self._measuring: set[Subject] = set()

    # What is asked

    def follow(self, plan: Plan | None, options: MigrationOptions) -> None:
        """These steps are planned now, to be made in this way."""
        steps = plan.steps if plan is not None else ()
        options = replace(options, priority=None)  # when it begins changes nothing about what stands against it
        self._subjects = tuple(Subject(s.vm_uuid, s.vm_name, s.destination, options) for s in steps)

    def next_check(self) -> Callable[[], Checked] | None:
        """The next check to make; None while enough are under way or nothing is to be checked."""
        advice = self._advice
        subject = next((s for s in self._subjects if s not in self._checked and s not in self._checking), None)
        if advice is None or subject is None or len(self._checking) >= AT_ONCE:
            return None
        self._checking.add(subject)
        return lambda: _check(advice, subject)

    def take_check(self, checked: Checked) -> None:
        """A check was made."""
        self._checking.discard(checked.subject)
        self._checked[checked.subject] = checked

    def next_measurement(self) -> Callable[[], Measured] | None:
        """The next guest to measure; None while enough are being measured or all are."""
        advice = self._advice
        done = self._measured.keys() | self._measuring
        subject = next((s for s in self._subjects if s in self._checked and s not in done), None)
        if advice is None or subject is None or len(self._measuring) >= AT_ONCE:
            return None
        self._measuring.add(subject)
        shared_by = sum(one.destination == subject.destination for one in self._subjects)
        return lambda: _measure(advice, subject, shared_by)

    def take_measurement(self, measured: Measured) -> None:
        """A guest was measured."""
        self._measuring.discard(measured.subject)
        self._measured[measured.subject] = measured

    def recheck(self) -> None:
        """Forget what was checked, and what was accepted of it."""
        self._checked.clear()
        self._accepted = frozenset()

    def accept_warnings(self, is_accepted: bool) -> None:
        """The user has read the warnings there are now, and wants it all the same."""
        self._accepted = frozenset(line.key for line in self.of(Severity.WARNING)) if is_accepted else frozenset()

    # What is known

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What is planned."""
        return self._subjects

    @property
    def is_checked(self) -> bool:
        """Whether everything that is planned was checked."""
        return self._advice is None or all(subject in self._checked for subject in self._subjects)

    @property
    def is_accepted(self) -> bool:
        """Whether no warning is left that the user has not accepted."""
        return all(line.key in self._accepted for line in self.of(Severity.WARNING))

    def forecast(self, subject: Subject) -> Forecast | None:
        """The best there is: measured, else from what was known."""
        measured, checked = self._measured.get(subject), self._checked.get(subject)
        if measured is not None and measured.forecast is not None:
            return measured.forecast
        return checked.forecast if checked is not None else None

    def is_measured(self, subject: Subject) -> bool:
        """Whether its guest was measured, or could not be."""
        return subject in self._measured

    def of(self, severity: Severity) -> tuple[FindingLine, ...]:
        """The findings of this severity about what is planned now."""
        return tuple(line for line in self.findings() if line.finding.severity is severity)

    def findings(self) -> tuple[FindingLine, ...]:
        """All findings about what is planned now, errors first."""
        lines = []
        for subject in self._subjects:
            checked = self._checked.get(subject)
            if checked is not None and checked.preflight is not None:
                lines += [FindingLine(subject, finding) for finding in checked.preflight.findings]
        order = list(Severity)
        return tuple(sorted(lines, key=lambda line: order.index(line.finding.severity)))

    def problem(self) -> str:
        """Why nothing may be moved yet; a sentence, empty if nothing stands against it."""
        errors = self.of(Severity.ERROR)
        if errors:
            first = errors[0].finding
            more = f" ({fmt.count(len(errors) - 1, 'more error')}, see Checks.)" if len(errors) > 1 else ""
            return f"{first.sentence} {first.remedy}".strip() + more
        return next((c.problem for s in self._subjects if (c := self._checked.get(s)) is not None and c.problem), "")

    def checks_title(self) -> str:
        """The heading of the checks, with how many there are of what."""
        if self._advice is None or not self._subjects:
            return "Checks"
        if not self.is_checked:
            return "Checks (under way…)"
        errors, warnings = len(self.of(Severity.ERROR)), len(self.of(Severity.WARNING))
        parts = [fmt.count(errors, "error")] * bool(errors) + [fmt.count(warnings, "warning")] * bool(warnings)
        return f"Checks ({', '.join(parts) or 'all well'})"


def headline(outlook: Outlook) -> tuple[str, Tone]:
    """What is to be expected, in a line; the worst of several."""
    known = [(s, forecast) for s in outlook.subjects if (forecast := outlook.forecast(s)) is not None]
    if not known:
        return "", Tone.MUTED
    waiting = sum(not outlook.is_measured(subject) for subject in outlook.subjects)
    is_open = len(known) == 1 and known[0][1].verdict is Verdict.UNKNOWN
    measuring = (
        ("  Measuring that…" if is_open else "  Measuring how fast it writes to its memory…")
        if waiting and len(outlook.subjects) == 1
        else (f"  Measuring {fmt.count(waiting, 'VM')}…" if waiting else "")
    )
    if len(outlook.subjects) == 1:
        forecast = known[0][1]
        return f"Forecast: {short(forecast)}{measuring}", VERDICT_TONES[forecast.verdict]
    worst = max((forecast for _, forecast in known), key=lambda one: list(VERDICT_TONES).index(one.verdict))
    together = sum(forecast.total_s for _, forecast in known)
    doubtful = sum(forecast.verdict not in (Verdict.CONVERGES, Verdict.UNKNOWN) for _, forecast in known)
    said = f", {doubtful} of {len(known)} may not end by themselves" if doubtful else ""
    return f"Forecast: about {fmt.seconds(together)} one after the other{said}.{measuring}", VERDICT_TONES[
        worst.verdict
    ]


def short(forecast: Forecast) -> str:
    """One forecast in a few words."""
    if forecast.verdict is Verdict.UNKNOWN:
        total = fmt.seconds(forecast.total_s)
        return f"about {total} if the VM hardly writes to its memory; how fast it does is not known."
    if forecast.verdict is Verdict.DOES_NOT_CONVERGE:
        helps = forecast.remedies[0].sentence if forecast.remedies else ""
        return f"does not end by itself. {helps}".strip()
    return (
        f"{forecast.verdict.value}: about {span(forecast)}, {fmt.count(forecast.passes, 'pass', 'passes')}, "
        f"pause of about {fmt.milliseconds(round(forecast.downtime_ms))}."
    )


def span(forecast: Forecast) -> str:
    """The expected total time with its range."""
    low, high = fmt.seconds(forecast.total_low_s), fmt.seconds(forecast.total_high_s)
    total = fmt.seconds(forecast.total_s)
    if forecast.verdict is Verdict.UNKNOWN:
        return f"{total} or more"  # a range would promise that it ends
    return total if low == high else f"{total} ({low} to {high})"


def remedy_options(kind: str, bandwidth_mib_s: float | None, downtime_limit_ms: int | None) -> dict[str, object]:
    """What a remedy changes of the options; empty where it is nothing that options can say."""
    match kind:
        case "downtime" if downtime_limit_ms is not None:
            return {"downtime_ms": downtime_limit_ms}
        case "bandwidth":
            return {"bandwidth_mib_s": None if bandwidth_mib_s is None else round(bandwidth_mib_s)}
        case "parallel":
            return {"parallel_connections": 0, "post_copy": False, "compressed": False}
        case "auto_converge":
            return {"auto_converge": True}
        case "post_copy":
            return {"post_copy": True, "policy_id": "post_copy", "parallel_connections": None}
        case _:
            return {}


def with_outlook(plan: Plan, outlook: Outlook, options: MigrationOptions) -> Plan:
    """The plan as it is submitted: each step with how it is to be made and what was expected of it."""
    known = {subject.vm_uuid: outlook.forecast(subject) for subject in outlook.subjects}
    steps = tuple(replace(step, options=options, forecast=known.get(step.vm_uuid)) for step in plan.steps)
    return replace(plan, steps=steps)


def _check(advice: Advice, subject: Subject) -> Checked:
    try:
        preflight = advice.check(subject.vm_uuid, subject.destination, subject.options)
        known = advice.known_forecast(subject.vm_uuid, subject.destination, subject.options)
    except HpconsoleError as error:
        return Checked(subject, None, None, error.sentence)
    return Checked(subject, preflight, known)


def _measure(advice: Advice, subject: Subject, shared_by: int) -> Measured:
    try:
        expected = advice.forecast(subject.vm_uuid, subject.destination, subject.options, shared_by=shared_by)
    except HpconsoleError as error:
        return Measured(subject, None, error.sentence)
    return Measured(subject, expected)
