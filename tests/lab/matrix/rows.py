"""Which rows the matrix has: every fault at every phase, and why some pairs mean nothing. Knows no lab."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.matrix.phases import Phase

_TO_THE_END = 1e9


@dataclass(frozen=True, slots=True)
class Fault:
    """What breaks. `lasts_s`: for how long at most; `until_told`: it ends once the console has said its sentence.

    `kills_source`: the guest's memory on the source is gone; `kills_destination`: that on the destination.
    """

    key: str
    title: str
    lasts_s: float = _TO_THE_END
    until_told: bool = False
    kills_source: bool = False
    kills_destination: bool = False


SOURCE_DAEMON_KILLED = Fault("source-libvirtd-killed", "source libvirtd killed, started again after 2 s", 2)
DESTINATION_DAEMON_KILLED = Fault("destination-libvirtd-killed", "destination libvirtd killed, started after 2 s", 2)
DESTINATION_DAEMON_FROZEN = Fault("destination-libvirtd-frozen", "destination libvirtd frozen", 50, until_told=True)
DESTINATION_QEMU_KILLED = Fault("destination-qemu-killed", "destination QEMU killed", kills_destination=True)
SOURCE_QEMU_KILLED = Fault("source-qemu-killed", "source QEMU killed", kills_source=True)
CUT_5_S = Fault("link-cut-5s", "link cut for 5 s", 5)
CUT = Fault("link-cut", "link cut for good", 50, until_told=True)
SLOW = Fault("link-5mbit", "link at 5 Mbit/s")
NO_MEMORY = Fault("destination-out-of-memory", "destination out of memory", 50, until_told=True, kills_destination=True)
NO_DISK = Fault("destination-disk-full", "destination's disk full", 50, until_told=True)
OTHER_CPU = Fault("cpu-incompatible", "destination's CPU incompatible")
DESTINATION_CRASHED = Fault(
    "destination-crashed", "destination host crashed", 50, until_told=True, kills_destination=True
)
SOURCE_CRASHED = Fault("source-crashed", "source host crashed", 50, until_told=True, kills_source=True)
CONSOLE_KILLED = Fault("console-killed", "console killed (SIGKILL), started again")
CONSOLE_CUT = Fault("console-cut", "the console's own connection lost for 30 s", 30)
CANCELLED = Fault("cancelled", "the user cancels")
TWO_CONSOLES = Fault("two-consoles", "another console migrates the same VM")
RECOVERED = Fault(
    "recovered", "no packet between the two hosts until the guest stands still, then Recover", 50, until_told=True
)

ALL = (
    SOURCE_DAEMON_KILLED,
    DESTINATION_DAEMON_KILLED,
    DESTINATION_DAEMON_FROZEN,
    DESTINATION_QEMU_KILLED,
    SOURCE_QEMU_KILLED,
    CUT_5_S,
    CUT,
    SLOW,
    NO_MEMORY,
    NO_DISK,
    OTHER_CPU,
    DESTINATION_CRASHED,
    SOURCE_CRASHED,
    CONSOLE_KILLED,
    CONSOLE_CUT,
    CANCELLED,
    TWO_CONSOLES,
)
_PRE_COPY = (
    Phase.BEFORE,
    Phase.PREPARING,
    Phase.FIRST_PASS,
    Phase.LATER_PASS,
    Phase.SWITCH_OVER,
    Phase.FINISH,
)
_IN_POST_COPY = (
    *(fault for fault in ALL if fault not in (OTHER_CPU, NO_DISK, TWO_CONSOLES, SLOW, NO_MEMORY)),
    RECOVERED,
)
_THROUGH_CONSOLE = (CONSOLE_KILLED, CONSOLE_CUT, CANCELLED, CUT_5_S, DESTINATION_DAEMON_KILLED)


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the matrix. `through_console`: the hosts cannot reach each other's libvirtd."""

    phase: Phase
    fault: Fault
    through_console: bool = False
    meaningless: str = ""

    @property
    def key(self) -> str:
        """What names it on the command line."""
        way = "console-managed/" if self.through_console else ""
        return f"{way}{self.phase.value.replace(' ', '-')}/{self.fault.key}"


def _meaning(phase: Phase, fault: Fault) -> str:
    """Why this pair means nothing; empty where it does mean something."""
    if phase is Phase.BEFORE and fault is DESTINATION_QEMU_KILLED:
        return "the destination has no QEMU of this guest yet"
    if fault is OTHER_CPU and phase is not Phase.BEFORE:
        return "the CPU is compared when the destination's QEMU is started; it does not change afterwards"
    return ""


def all_rows() -> tuple[Row, ...]:
    """Every row, those that mean nothing too, in the order of the table."""
    rows = [Row(phase, fault, meaningless=_meaning(phase, fault)) for phase in _PRE_COPY for fault in ALL]
    rows += [Row(Phase.POST_COPY, fault) for fault in _IN_POST_COPY]
    rows += [
        Row(phase, fault, through_console=True)
        for phase in (Phase.PREPARING, Phase.FIRST_PASS, Phase.SWITCH_OVER)
        for fault in _THROUGH_CONSOLE
    ]
    return tuple(rows)


def chosen(patterns: tuple[str, ...]) -> tuple[Row, ...]:
    """The real rows with one of these keys, or whose key contains one of these texts; all where there is none."""
    rows = [row for row in all_rows() if not row.meaningless]
    keys = {row.key for row in rows}

    def is_meant(row: Row, pattern: str) -> bool:
        return row.key == pattern if pattern in keys else pattern in row.key

    return tuple(row for row in rows if not patterns or any(is_meant(row, pattern) for pattern in patterns))


# What every run of the tests plays: one of each kind of end, none that waits for long.
QUICK = (
    "first-pass/destination-qemu-killed",
    "preparing/destination-libvirtd-killed",
    "switch-over/cancelled",
    "finish/source-libvirtd-killed",
    "first-pass/console-killed",
    "post-copy/destination-libvirtd-killed",
)
