"""`maintenance`, `activate` and `make-room` over the simulated cluster: plans, choices, exit codes, JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Exit code, parsed standard output, standard error."""
    code = run([*words, "--demo", "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_a_plan_tells_everything_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, plan, _ = answer(capsys, "maintenance", "host-01", "--plan", "--reason", "new disks")
    assert code == ExitCode.DONE
    assert (plan["format"], plan["complete"], plan["reason"]) == ("hpconsole-maintenance-plan/1", True, "new disks")
    moves = [vm for vm in plan["vms"] if vm["action"] == "move"]
    assert all(vm["source"] == "host-01" and vm["destination"] != "host-01" for vm in moves)
    assert all(vm["why"] and vm["performance"]["outlook"] and vm["loads"] and vm["wave"] for vm in moves)
    assert {warning["vm"] for warning in plan["warnings"]} == {vm["vm"] for vm in plan["vms"] if vm["high_performance"]}
    assert plan["gap_pct"] is not None
    last = plan["vms"][-1]["loads"][0]
    assert (last["after"]["host"], last["after"]["vms"]) == ("host-01", 0)


def test_a_chosen_destination_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    _, plan, _ = answer(capsys, "maintenance", "host-01", "--plan", "--to", "ldap-2=host-07")
    (vm,) = (vm for vm in plan["vms"] if vm["vm"] == "ldap-2")
    assert (vm["destination"], vm["why"]) == ("host-07", "Chosen by the administrator.")


def test_people_read_the_plan_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["maintenance", "host-01", "--plan", "--demo"]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert out.startswith("Maintenance of host-01")
    assert "High-performance or pinned VMs are affected" in out
    assert "Move db-pg-01 from host-01 to " in out
    assert "Planned by the " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["maintenance", "nowhere", "--plan"], "no host named nowhere"),
        (["maintenance", "host-01", "--plan", "--leave", "nobody"], "no VM named nobody"),
        (["maintenance", "host-01", "--plan", "--to", "ldap-2"], "not of the form VM=HOST"),
        (["maintenance", "host-01"], "--yes"),
        (["activate", "nowhere"], "no host named nowhere"),
    ],
)
def test_what_names_nothing_is_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    code, document, _ = answer(capsys, *words)
    assert code == ExitCode.USAGE
    assert said in document["error"]


def test_a_host_can_be_activated(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = answer(capsys, "activate", "host-02")
    assert (code, document["hosts"]) == (ExitCode.DONE, ["host-02"])


def test_room_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    code, plan, _ = answer(capsys, "make-room", "ldap-2", "--plan")
    assert code == ExitCode.DONE
    assert plan["title"] == "Make room for ldap-2"
    assert "without any move" in plan["notes"][0]
