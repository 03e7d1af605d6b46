"""Maintenance of a real host from the command line: 8 guests, 4 pinned, one that may not move; drains that are hurt.

The full course with every command is long; `pytest -m long tests/lab/test_maintenance.py` plays it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.events import StepOutcome
from tests.lab.commands import wait_until
from tests.lab.lab import Lab
from tests.lab.maintenance_scenario import a_full_host, check_untouched
from tests.lab.proof import vcpu_pins
from tests.lab.typed import ROOT, say, typed


def journal(data: Path) -> list[tuple[str, str, StepOutcome | None, str]]:
    database = Database.open(data / "hpconsole.sqlite3")
    try:
        return [(r.vm_name, r.destination, r.outcome, r.sentence) for r in reversed(database.journal.records())]
    finally:
        database.close()


def test_a_host_is_emptied_after_the_choice_about_the_one_that_cannot_move(lab: Lab, tmp_path: Path) -> None:
    """A small host by default: one pinned and one plain guest beside the one that may not be migrated."""
    full = a_full_host(lab, plain=1, pinned=1)

    document = say(lab, tmp_path, "maintenance", "a", "--yes", "--power-off", "stuck", "--reason", "new disks")

    result = document["result"]
    assert (result["state"], result["hosts"]) == ("done", {"a": "maintenance"})
    places = check_untouched(lab, full)
    assert {one["vm"]: one["destination"] for one in result["done"] if one["destination"]} == places
    assert full.stuck.uuid not in lab.qemu_processes(), "switched off, as chosen"
    (db,) = full.pinned
    planned = next(item for item in document["plan"]["vms"] if item["vm"] == db.name)
    assert {int(k): v for k, v in planned["placement"]["vcpus"].items()} == vcpu_pins(
        lab, places[db.name], db, "--live"
    )


@pytest.mark.long
def test_the_whole_course_with_eight_guests(lab: Lab, tmp_path: Path) -> None:
    full = a_full_host(lab)
    before = lab.qemu_processes()

    plan = say(lab, tmp_path, "maintenance", "a", "--plan", code=3)
    assert {warning["vm"] for warning in plan["warnings"]} == {"db-1", "db-2", "db-3", "stuck"}
    (blocked,) = (item for item in plan["vms"] if item["action"] == "blocked")
    assert blocked["vm"] == "stuck"
    refused = say(lab, tmp_path, "maintenance", "a", "--yes", code=3)
    assert "stuck" in refused["error"]
    assert lab.qemu_processes() == before, "nothing was changed"

    left = say(lab, tmp_path, "maintenance", "a", "--yes", "--leave", "stuck", code=1)["result"]
    assert (left["state"], left["hosts"]) == ("waiting", {"a": "preparing for maintenance"})
    assert [one["vm"] for one in left["stuck"]] == ["stuck"]
    places = check_untouched(lab, full)
    assert lab.qemu_processes()[full.stuck.uuid] == ("a",)
    (host,) = (host for host in say(lab, tmp_path, "hosts")["hosts"] if host["name"] == "a")
    assert host["status"] == "preparing for maintenance"

    done = say(lab, tmp_path, "maintenance", "a", "--yes", "--power-off", "stuck")["result"]
    assert (done["state"], done["hosts"]) == ("done", {"a": "maintenance"})
    assert check_untouched(lab, full) == places, "nobody was moved again"
    assert {outcome for _, _, outcome, _ in journal(tmp_path)} == {StepOutcome.DONE}
    assert len(journal(tmp_path)) == 7
    say(lab, tmp_path, "activate", "a")
    (host,) = (host for host in say(lab, tmp_path, "hosts")["hosts"] if host["name"] == "a")
    assert host["status"] == "up"


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", ["cut", "crash", "crash on arrival"])
def test_a_running_drain_is_planned_around_a_lost_destination(lab: Lab, tmp_path: Path, fault: str) -> None:
    """In the middle of the drain the first destination is cut off, or crashes; all that can leave does, elsewhere.

    On arrival: it crashes as a VM has just left for it, so that nobody can say any more how that one fares.
    """
    full = a_full_host(lab, plain=2, pinned=2, dirty_mib_s=1)
    lab.fault.shape("a", "60mbit")
    words = typed(lab.uris(), tmp_path, "maintenance", "a", "--yes", "--leave", "stuck")
    console = subprocess.Popen(
        words, cwd=ROOT, env=os.environ | lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: bool(_under_way(lab)), within_s=60, complaint="no migration began")
        lost = _under_way(lab)[0]
        if fault == "crash on arrival":
            wait_until(lambda: _has_arrived(lab, lost), within_s=60, complaint=f"nobody arrived on {lost}")
        (lab.fault.cut if fault == "cut" else lab.fault.crash)(lost)
        lab.fault.heal("a")
        out, err = console.communicate(timeout=300)
    finally:
        console.kill()
        console.wait()
    document = json.loads(out)
    assert console.returncode == 1, (out, err)
    result = document["result"]
    assert result["state"] == "waiting", "only the one that was left out is left"
    assert {one["vm"] for one in result["stuck"]} == {"stuck"}, (result["stuck"], result["log"])
    said = " ".join(line["sentence"] for line in result["log"])
    told = ("lanning again", "does not answer since") if fault == "crash on arrival" else ("lanning again",)
    assert any(words in said for words in told), said
    assert f"{lost}" in said
    processes = lab.qemu_processes()
    arrived_on_lost = {one["uuid"] for one in result["done"] if one["destination"] == lost}
    for guest in full.movable:
        if fault != "cut" and guest.uuid in arrived_on_lost:
            continue  # it was there when the host crashed
        hosts = processes[guest.uuid]
        assert len(hosts) == 1, f"{guest.name} runs on {hosts}"
        assert hosts != ("a",)
    outcomes = {outcome for _, _, outcome, _ in journal(tmp_path)}
    unknown = {None} if fault == "crash on arrival" else set()
    assert outcomes & ({StepOutcome.FAILED, StepOutcome.SKIPPED} | unknown), "the journal tells of it"


def _under_way(lab: Lab) -> list[str]:
    """The hosts some guest of a is arriving at."""
    return [
        host
        for hosts in lab.qemu_processes().values()
        if len(hosts) > 1 and "a" in hosts
        for host in hosts
        if host != "a"
    ]


def _has_arrived(lab: Lab, host: str) -> bool:
    """Whether some guest runs on this host, and on no other any more."""
    return (host,) in lab.qemu_processes().values()


@pytest.mark.long
def test_a_killed_console_s_drain_goes_on(lab: Lab, tmp_path: Path) -> None:
    """Killed in the middle (SIGKILL); the same command again finishes it, and nobody is moved twice."""
    full = a_full_host(lab, plain=2, pinned=2, dirty_mib_s=1)
    lab.fault.shape("a", "60mbit")
    words = typed(lab.uris(), tmp_path, "maintenance", "a", "--yes", "--power-off", "stuck", "--reason", "new disks")
    console = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: bool(_under_way(lab)), within_s=60, complaint="no migration began")
    finally:
        console.kill()
        console.wait()
    lab.fault.heal("a")
    (host,) = (host for host in say(lab, tmp_path, "hosts")["hosts"] if host["name"] == "a")
    assert host["status"] == "preparing for maintenance"
    assert full.stuck.uuid in lab.qemu_processes(), "not before the others have left"

    result = say(lab, tmp_path, "maintenance", "a", "--yes", "--power-off", "stuck")["result"]

    assert (result["state"], result["hosts"]) == ("done", {"a": "maintenance"})
    check_untouched(lab, full)
    moved = [name for name, _, outcome, _ in journal(tmp_path) if outcome is StepOutcome.DONE]
    assert sorted(moved) == sorted(guest.name for guest in full.movable), "each exactly once"
