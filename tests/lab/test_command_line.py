"""`hpconsole migrate` as a user types it, over real hosts and each transport; what it says is checked with virsh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.events import StepOutcome
from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.proof import check_goes_on, check_is_on, check_is_pinned, memory_nodes, vcpu_pins
from tests.lab.typed import going_on, kill_while_sending, say

WAIT_S = 90.0
CELL_OF_VCPU = {0: 0, 1: 0, 2: 1, 3: 1}
URI_OF = {"tcp": "uri", "ssh": "uri_ssh", "tls": "uri_tls"}


@pytest.fixture
def pinned(lab: Lab) -> Guest:
    """4 vCPUs, 2 virtual nodes strictly on a's two nodes, memory being dirtied."""
    return lab.guest("a", "db-1", vcpus=4, cells=2, memory_mib=192, pin=True, dirty_mib=64, dirty_mib_s=20)


@pytest.mark.parametrize("transport", ["tcp", "ssh", "tls"])
def test_migrates_automatically_over_each_transport(lab: Lab, pinned: Guest, tmp_path: Path, transport: str) -> None:
    ticks = lab.heartbeat("a", pinned)
    uris = {host.name: getattr(host, URI_OF[transport]) for host in lab.hosts}

    document = say(lab, tmp_path, "migrate", pinned.name, "--auto", uris=uris)

    assert (document["format"], document["dry_run"]) == ("hpconsole-migrate/1", False)
    (result,) = document["results"]
    assert (result["outcome"], result["source"], result["destination"]) == ("done", "a", "b")
    assert "this console carried" not in result["sentence"], "the hosts did it by themselves"
    check_is_on(lab, "b", pinned, not_on="a")
    check_is_pinned(lab, "b", pinned, cells=CELL_OF_VCPU)
    check_goes_on(lab, "b", pinned, since=ticks)
    said = {int(vcpu): cpus for vcpu, cpus in result["placement"]["vcpus"].items()}
    assert said == vcpu_pins(lab, "b", pinned, "--live")


def test_a_dry_run_tells_every_host_s_verdict_in_numbers_and_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "db-2", vcpus=4, cells=2, memory_mib=192, pin=True, dirty_mib=0, huge_pages=2048)
    before = lab.virsh("a", "dumpxml", guest.uuid), lab.virsh("a", "dumpxml", guest.uuid, "--inactive")

    document = say(lab, tmp_path, "migrate", guest.name, "--auto", "--dry-run")

    (vm,) = document["vms"]
    hosts = {host["host"]: host for host in vm["hosts"]}
    assert next(iter(hosts)) == "b", "best first"
    assert {name: host["accepted"] for name, host in hosts.items()} == {"b": True, "a": False, "c": False}
    shortages = [s for refusal in hosts["c"]["refusals"] for s in refusal["shortages"]]
    assert {"NUMA", "HugePages"} <= {refusal["unit"] for refusal in hosts["c"]["refusals"]}
    assert (96, 0, 96) in {(s["needed"], s["available"], s["missing"]) for s in shortages}
    assert all(refusal["sentence"].endswith(".") for refusal in hosts["c"]["refusals"])
    assert hosts["b"]["placements"][guest.uuid] == document["plan"]["steps"][0]["placement"]
    assert (lab.virsh("a", "dumpxml", guest.uuid), lab.virsh("a", "dumpxml", guest.uuid, "--inactive")) == before
    assert lab.qemu_processes() == {guest.uuid: ("a",)}
    assert lab.virsh("b", "list", "--all", "--name") == ""


def test_a_refused_destination_changes_nothing(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    before = vcpu_pins(lab, "a", pinned, "--live"), memory_nodes(lab, "a", pinned, inactive=False)

    document = say(lab, tmp_path, "migrate", pinned.name, "--to", "c", code=3)

    assert document["format"] == "hpconsole-error/1"
    assert "c" in document["error"]
    assert re.search(r"\bneeds 2 \S+", document["error"]), document["error"]
    check_is_on(lab, "a", pinned, not_on="c")
    assert (vcpu_pins(lab, "a", pinned, "--live"), memory_nodes(lab, "a", pinned, inactive=False)) == before
    assert not _journal(tmp_path), "nothing was begun"


def test_a_killed_command_is_told_truly_by_the_next_one(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    """test_migration.py has the same with the window's program as the next start."""
    lab.fault.shape("b", "100mbit")
    ticks = lab.heartbeat("a", pinned)
    kill_while_sending(lab, pinned, tmp_path, "migrate", pinned.name, "--auto")
    assert [outcome for outcome, _ in _journal(tmp_path)] == [None], "its end is not known yet"
    lab.fault.heal("b")
    wait_until(
        lambda: lab.qemu_processes()[pinned.uuid] == ("b",), within_s=WAIT_S, complaint="the hosts did not finish it"
    )

    (vm,) = (vm for vm in say(lab, tmp_path, "vms")["vms"] if vm["uuid"] == pinned.uuid)

    assert (vm["host"], vm["state"]) == ("b", "running")
    # a command that is over before both hosts were asked leaves it to the next one: this one stays
    with going_on(lab, tmp_path, "watch", "--dry-run"):
        wait_until(lambda: _journal(tmp_path)[0][0] is not None, within_s=WAIT_S, complaint="the journal stayed open")
    ((outcome, sentence),) = _journal(tmp_path)
    assert outcome is StepOutcome.DONE, sentence
    assert "db-1 runs on b" in sentence
    check_is_on(lab, "b", pinned, not_on="a")
    check_is_pinned(lab, "b", pinned, cells=CELL_OF_VCPU)
    check_goes_on(lab, "b", pinned, since=ticks)


def _journal(data: Path) -> list[tuple[StepOutcome | None, str]]:
    """Outcome and sentence of every migration in the database of this folder."""
    database = Database.open(data / "hpconsole.sqlite3")
    try:
        return [(record.outcome, record.sentence) for record in database.journal.records()]
    finally:
        database.close()
