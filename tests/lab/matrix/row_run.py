"""One row: a guest is migrated, something breaks at the phase, and everything is asked past the console afterwards."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import StepFinished, StepOutcome
from hpconsole.core.execution.journal import Phase as JournalPhase
from hpconsole.core.model.host import LinkState
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import Plan
from tests.lab.commands import LabError
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.matrix import rows
from tests.lab.matrix.console import Console
from tests.lab.matrix.phases import Moment, Observer, Phase, pause, reach, within
from tests.lab.matrix.rows import Row
from tests.lab.matrix.strikes import Scene, mend, strike
from tests.lab.matrix.witness import Witness, goes_on, places
from tests.lab.proof import is_marked
from tests.lab.topology import HostSpec

ROOT = Path(__file__).resolve().parents[3]
# Two nodes of two cores; a dead peer is noticed after 12 s instead of 30 s: less to wait for, and nothing else changes
HOSTS = tuple(HostSpec(name, nodes_per_socket=2, cores_per_node=2, mib_per_node=512, keepalive_s=2) for name in "abc")
LINK = "48mbit"
_TOLD_WITHIN_S = 120.0
_SETTLED_WITHIN_S = 30.0


@dataclass
class Outcome:
    """What came of a row."""

    key: str
    phase: str
    fault: str
    way: str
    happened: str = ""  # the outcome as the console names it
    ran_on: str = ""  # where it ran afterwards: a host, or "nowhere"
    said: list[str] = field(default_factory=list)
    then: str = ""  # moved on to c afterwards
    problems: list[str] = field(default_factory=list)
    took_s: float = 0.0
    commit: str = ""  # of the code that was played

    @property
    def is_good(self) -> bool:
        """Whether every invariant held."""
        return not self.problems


class RowRun:
    """Runs one row in a lab of hosts a, b and c; `run` once."""

    def __init__(self, lab: Lab, row: Row, data: Path) -> None:
        """`data`: an empty folder for consoles' databases."""
        self._lab = lab
        self._row = row
        self._data = data
        self._console: Console | None = None
        self._other: tuple[Console, Plan] | None = None
        self._victim: subprocess.Popen[str] | None = None
        self._plan: Plan | None = None
        self._closing = ExitStack()
        way = "through the console" if row.through_console else "between the hosts"
        self.outcome = Outcome(row.key, row.phase.value, row.fault.title, way)

    def run(self) -> Outcome:
        """Do it all; problems are in the outcome, never raised."""
        began = time.monotonic()
        try:
            with self._closing:
                self._play()
        except (LabError, OSError) as error:
            self.outcome.problems.append(f"the row could not be played: {error}")
        self.outcome.took_s = round(time.monotonic() - began, 1)
        return self.outcome

    # --- the play -------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        lab, row = self._lab, self._row
        slow = row.fault is rows.SLOW
        guest = lab.guest(
            "a",
            "db-1",
            vcpus=2,
            cells=2,
            memory_mib=64,
            dirty_mib=12,
            dirty_mib_s=0.3 if slow else 3.6,
            pin=True,
            disk=True,
        )
        within(lambda: lab.heartbeat("a", guest) > 20, 30)
        before = lab.heartbeat("a", guest)
        if row.through_console:
            lab.fault.block_management("a", "b")
        lab.fault.shape("b", LINK)
        self._start(guest)
        scene = Scene(lab, guest.uuid, LINK, self._cancel, self._let_the_other_begin, self._kill)
        with Witness(lab, guest.uuid) as witness:
            self._strike(guest, scene)
            self._hear(guest, scene)
            if self._row.phase is Phase.POST_COPY and self._may_be_dead():
                self._start_again_as_told(guest)
            else:
                self._look(guest, before)
        if witness.ran_twice:
            self.outcome.problems.append("the guest ran on two hosts at once")
        self._move_on(guest)

    def _start(self, guest: Guest) -> None:
        """The console (or the one that will be killed) has planned and waits for the word."""
        if self._row.fault is rows.CONSOLE_KILLED:
            self._victim = self._start_victim(guest)
            return
        self._console = self._open(self._data / "one")
        plan = self._console.plan(guest.uuid, "b")
        if self._row.phase is Phase.POST_COPY:
            options = MigrationOptions(post_copy=True)
            plan = dataclasses.replace(
                plan, steps=tuple(dataclasses.replace(step, options=options) for step in plan.steps)
            )
        self._plan = plan
        if self._row.fault is rows.TWO_CONSOLES:
            other = self._open(self._data / "two")
            self._other = other, other.plan(guest.uuid, "c")

    def _open(self, data: Path, *, wait_for_hosts: bool = True) -> Console:
        console = Console(self._lab.uris(), data, wait_for_hosts=wait_for_hosts)
        self._closing.callback(console.close)
        return console

    def _start_victim(self, guest: Guest) -> subprocess.Popen[str]:
        asked = {
            "uris": self._lab.uris(),
            "data": str(self._data / "one"),
            "uuid": guest.uuid,
            "to": "b",
            "post_copy": self._row.phase is Phase.POST_COPY,
        }
        command = [sys.executable, "-m", "tests.lab.matrix.victim", json.dumps(asked)]
        victim = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._closing.enter_context(victim)  # closes its pipes and waits for it
        self._closing.callback(victim.kill)
        assert victim.stdout is not None
        if victim.stdout.readline().strip() != "planned":
            raise LabError("the console that is to be killed did not plan")
        return victim

    def _submit(self) -> None:
        if self._victim is not None:
            assert self._victim.stdin is not None
            self._victim.stdin.write("go\n")
            self._victim.stdin.flush()
        else:
            assert self._console is not None
            assert self._plan is not None
            self._console.app.submit(self._plan)

    def _strike(self, guest: Guest, scene: Scene) -> None:
        lab, row = self._lab, self._row
        if row.phase is Phase.BEFORE:
            if row.fault in (rows.CONSOLE_KILLED, rows.CANCELLED):
                lab.fault.freeze_daemon("a")  # so that it waits for the source's answer
                self._submit()
                pause(1.0)
                strike(row.fault, scene)
                lab.fault.thaw_daemon("a")
            else:
                strike(row.fault, scene)
                self._submit()
            return
        observer = Observer(lab, "a", guest.uuid)
        try:
            self._submit()
            moment = reach(lab, row.phase, guest.uuid, observer, source="a", destination="b")
        finally:
            observer.close()
        strike(row.fault, scene)
        self._release(moment)

    def _release(self, moment: Moment) -> None:
        is_the_fault = self._row.fault is rows.DESTINATION_DAEMON_FROZEN and moment.phase is Phase.FINISH
        if self._row.fault in (rows.CONSOLE_KILLED, rows.CONSOLE_CUT, rows.CANCELLED, rows.TWO_CONSOLES):
            pause(0.5)  # so that the phase lasts beyond it
        if not is_the_fault:
            moment.release()

    # --- what the fault does to the console -----------------------------------------------------------------------

    def _cancel(self) -> None:
        assert self._console is not None
        assert self._plan is not None
        assert self._console.app.executor is not None
        self._console.app.executor.cancel(self._plan.plan_id)

    def _let_the_other_begin(self) -> None:
        assert self._other is not None
        console, plan = self._other
        console.app.submit(plan)

    def _kill(self) -> None:
        assert self._victim is not None
        self._victim.kill()
        self._victim.wait()
        self._console = self._open(self._data / "one", wait_for_hosts=False)

    # --- afterwards -----------------------------------------------------------------------------------------------

    def _hear(self, guest: Guest, scene: Scene) -> None:
        """What the console says, while the fault lasts and once it is over."""
        fault, console = self._row.fault, self._console
        assert console is not None
        if fault is rows.CONSOLE_KILLED:
            within(lambda: not console.open_records(), _TOLD_WITHIN_S)
            self._hear_from_journal(console)
            return
        began = time.monotonic()
        end: StepFinished | None = None
        if fault.until_told:
            end = console.wait_for_end(fault.lasts_s)
        elif fault.lasts_s < rows.RECOVERED.lasts_s:
            pause(max(0.0, fault.lasts_s - (time.monotonic() - began)))
        if fault is rows.RECOVERED and end is not None:
            self._recover(guest, scene, end.migration_id)
        elif end is not None or fault.lasts_s < 1e6:
            mend(fault, scene)
        end = end or console.wait_for_end(_TOLD_WITHIN_S)
        if end is None:
            self.outcome.problems.append("the console said nothing of how it ended")
            return
        self.outcome.said.insert(0, self._anonymous(end.sentence))
        if end.outcome is StepOutcome.UNKNOWN:
            known = console.wait_for_known_end(_TOLD_WITHIN_S / 2)
            if known is None or known.outcome is StepOutcome.UNKNOWN:
                self.outcome.problems.append("the console did not ask again")
            else:
                end = known
                self.outcome.said.append(f"Later: {self._anonymous(known.sentence)}")
        self.outcome.happened = end.outcome.value
        if fault is not rows.RECOVERED:
            mend(fault, scene)
        if self._other is not None:
            theirs = self._other[0].wait_for_end(_TOLD_WITHIN_S)
            self.outcome.said.append(
                "The other console: " + (self._anonymous(theirs.sentence) if theirs else "nothing")
            )

    def _recover(self, guest: Guest, scene: Scene, migration_id: str) -> None:
        """As the user does by the button: too early first, then once the hosts reach each other."""
        console = self._console
        assert console is not None
        assert console.app.executor is not None
        try:
            console.app.repairs.recover(guest.uuid)
            self.outcome.problems.append("recovered though the link is cut")
        except HpconsoleError as error:
            self.outcome.said.append(f"Recover, too early: {self._anonymous(error.sentence)}")
        mend(rows.RECOVERED, scene)
        console.until(lambda snapshot: snapshot.hosts["b"].link.state is LinkState.CONNECTED, "b is not back")
        try:
            situation = console.app.repairs.recover(guest.uuid)
            self.outcome.said.append(f"Recover: {self._anonymous(situation.sentence)}")
        except HpconsoleError as error:
            self.outcome.problems.append(f"it could not be recovered: {error.sentence}")
        console.app.executor.ask_again(migration_id)

    def _hear_from_journal(self, console: Console) -> None:
        assert console.app.database is not None
        records = console.app.database.journal.records()
        if not records:
            self.outcome.happened = StepOutcome.SKIPPED.value
            self.outcome.said.append("(nothing: it was killed before it wrote anything)")
            return
        record = records[0]
        if record.phase is not JournalPhase.FINISHED or record.outcome is None:
            self.outcome.problems.append(f"the journal stays open in phase {record.phase.value}")
            return
        self.outcome.happened = record.outcome.value
        self.outcome.said.append(self._anonymous(record.sentence))

    def _look(self, guest: Guest, before: int) -> None:
        """Every invariant, asked of the hosts and the machine."""
        lab, problems = self._lab, self.outcome.problems
        for host in lab.hosts:
            if not host.is_up or host.daemon_pid() is None:
                problems.append(f"{host.name} is not well again: the row is wrong")
                return
        within(lambda: not self._unsettled(guest), _SETTLED_WITHIN_S)
        problems += self._unsettled(guest)
        runs_on = places(lab, guest.uuid)
        self.outcome.ran_on = runs_on[0] if runs_on else "nowhere"
        if len(runs_on) == 1:
            if not goes_on(lab, runs_on[0], guest.uuid):
                problems.append(f"the guest stands still on {runs_on[0]}")
            elif lab.heartbeat(runs_on[0], guest) < before:
                problems.append("the guest was booted anew")
        self._compare_with_what_was_said(runs_on)

    def _start_again_as_told(self, guest: Guest) -> None:
        """A post-copy whose half was killed is lost: the console says so, and what it says to do helps."""
        lab, outcome = self._lab, self.outcome
        last = outcome.said[-1] if outcome.said else ""
        if not re.search(r"cannot go on: part of its memory was lost|runs neither on a nor on b", last):
            outcome.problems.append("the console did not say that it is lost")
        for host in places(lab, guest.uuid):
            if goes_on(lab, host, guest.uuid):
                outcome.problems.append(f"half of its memory is lost, and it goes on on {host}")
        if not within(lambda: self._start_anew(guest) == "", 60):
            outcome.problems.append(f"it could not be started anew: {self._start_anew(guest)}")
        within(lambda: not self._unsettled(guest), _SETTLED_WITHIN_S)
        outcome.problems += self._unsettled(guest)
        outcome.ran_on = "nowhere; started anew on " + ", ".join(places(lab, guest.uuid))

    def _start_anew(self, guest: Guest) -> str:
        """Why it could not be; empty once it was. A host that has just come back may fall silent once more."""
        assert self._console is not None
        try:
            situation = self._console.app.repairs.recover(guest.uuid, may_start_anew=True)
        except HpconsoleError as error:
            return error.sentence
        self.outcome.said.append(f"Recover: {self._anonymous(situation.sentence)}")
        return ""

    def _unsettled(self, guest: Guest) -> list[str]:
        """What is not as it should be, yet."""
        lab = self._lab
        found: list[str] = []
        runs_on = places(lab, guest.uuid)
        if len(runs_on) > 1:
            found.append(f"QEMU processes on {' and '.join(runs_on)}")
        if not runs_on and not self._may_be_dead():
            found.append("the guest runs nowhere, though the fault did not kill it")
        defined = [h.name for h in lab.hosts if guest.uuid in h.virsh("list", "--all", "--persistent", "--uuid")]
        known = [h.name for h in lab.hosts if guest.uuid in h.virsh("list", "--all", "--uuid")]
        if len(defined) != 1 or (runs_on and defined != list(runs_on)):
            found.append(f"defined on {', '.join(defined) or 'no host'}, runs on {', '.join(runs_on) or 'none'}")
        if set(known) - set(defined) - set(runs_on):
            found.append(f"left on {', '.join(sorted(set(known) - set(defined)))}")
        found += [f"its emulator threads stay pinned on {host}" for host in runs_on if self._is_lent(host, guest)]
        found += [f"a mark of lent CPUs stays on {host}" for host in runs_on if is_marked(lab, host, guest)]
        console = self._console
        assert console is not None
        if console.open_records():
            found.append("the journal has an open entry")
        if console.app.reservations():
            found.append("a place stays reserved")
        return found

    def _is_lent(self, host: str, guest: Guest) -> bool:
        """Whether its emulator threads are still where the migration's were kept: the guest's are not pinned."""
        told = self._lab.host(host).virsh("emulatorpin", guest.uuid, check=False)
        found = re.search(r"\*:\s+(\S+)", told)
        return found is not None and found[1] != "0-3"

    def _may_be_dead(self) -> bool:
        row = self._row
        if row.phase is Phase.POST_COPY:
            return row.fault.kills_source or row.fault.kills_destination
        return row.fault.kills_source

    def _compare_with_what_was_said(self, runs_on: tuple[str, ...]) -> None:
        outcome = self.outcome
        last = outcome.said[-1 if self._other is None else 0] if outcome.said else ""
        if outcome.happened == "done" and runs_on != ("b",) and self._other is None:
            outcome.problems.append(f"said to be done, and runs on {runs_on}")
        if outcome.happened in ("failed", "cancelled", "skipped") and self._other is None and runs_on == ("b",):
            outcome.problems.append("said to have failed, and runs on b")
        if runs_on and self._other is None and not re.search(rf"\bon {runs_on[0]}\b", last):
            outcome.problems.append(f"it runs on {runs_on[0]}, and the console did not say so")
        pre_copy = self._row.phase not in (Phase.POST_COPY, Phase.SWITCH_OVER, Phase.FINISH)
        if pre_copy and outcome.happened != "done" and runs_on == () and not self._row.fault.kills_source:
            outcome.problems.append("a failure before the switch-over did not leave it on the source")

    def _move_on(self, guest: Guest) -> None:
        """The console is usable, and nothing stands in the VM's way: it is moved once more, to c."""
        console, outcome = self._console, self.outcome
        if console is None or outcome.ran_on == "" or outcome.ran_on.startswith("nowhere"):
            return
        lab = self._lab
        lab.fault.heal("b")
        goal = "c" if outcome.ran_on != "c" else "a"
        number = len(console.ends()) + 1
        try:
            console.app.submit(console.plan(guest.uuid, goal))
            end = console.wait_for_end(_TOLD_WITHIN_S, number=number)
        except Exception as error:  # noqa: BLE001 - whatever stands in its way is the finding
            outcome.problems.append(f"afterwards it could not be moved: {error}")
            return
        outcome.then = end.outcome.value if end is not None else "nothing"
        if end is None or end.outcome is not StepOutcome.DONE or places(lab, guest.uuid) != (goal,):
            said = end.sentence if end is not None else "nothing was said"
            outcome.problems.append(f"afterwards it could not be moved to {goal}: {said}")

    def _anonymous(self, sentence: str) -> str:
        """Without this lab's addresses, ports and folders."""
        for host in self._lab.hosts:
            sentence = sentence.replace(host.address, host.name)
        sentence = sentence.replace(str(self._lab.folder), "…")
        return re.sub(r"\b([abc]):\d{5}\b", r"\1", sentence)
