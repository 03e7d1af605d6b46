"""`hpconsole history`, `recover`, `cleanup`, `return-home` over the simulated cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run
from hpconsole.core.database.database import Database
from hpconsole.core.execution.queue_limits import kept_limits


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """One journal for the commands of a test."""
    return ["--demo", "--data-folder", str(tmp_path)]


def a_name(capsys: pytest.CaptureFixture[str], data: list[str]) -> str:
    """A running VM that may move."""
    assert run(["vms", "--json", *data]) == ExitCode.DONE
    vms = json.loads(capsys.readouterr().out)["vms"]
    return str(next(vm["name"] for vm in vms if vm["state"] == "running" and vm["migration_mode"] == "automatic"))


def test_what_was_moved_is_history_with_its_figures(capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    name = a_name(capsys, data)
    assert run(["migrate", name, "--auto", "--json", *data]) == ExitCode.DONE
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert run(["history", name, "--json", *data]) == ExitCode.DONE
    (entry,) = json.loads(capsys.readouterr().out)["migrations"]
    assert (entry["outcome"], entry["destination"]) == ("done", result["destination"])
    assert entry["end_state"] == "running on the destination"
    assert entry["actions"] == []
    assert entry["statistics"]["total_s"] > 0
    assert [line["phase"] for line in entry["lines"]] == [
        "planned",
        "starting",
        "migrating",
        "verifying",
        "verifying",
        "finished",
    ]
    assert run(["history", *data]) == ExitCode.DONE
    assert name in capsys.readouterr().out
    # the simulated cluster is new in each run, so the VM is where it was: nothing has to go back
    assert run(["return-home", "--dry-run", "--json", *data]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["plan"]["steps"] == []
    assert run(["recover", name, *data]) == ExitCode.FAILED
    assert "nothing to recover" in capsys.readouterr().err


def test_a_live_vm_is_not_cleaned_up(capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    name = a_name(capsys, data)
    assert run(["vms", "--json", *data]) == ExitCode.DONE
    vms = json.loads(capsys.readouterr().out)["vms"]
    host = next(vm["host"] for vm in vms if vm["name"] == name)
    assert run(["cleanup", name, "--host", host, *data]) == ExitCode.FAILED
    assert f"{name} runs on {host}: that is no left-over" in capsys.readouterr().err


def test_wrong_words_are_said(capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    assert run(["return-home", "nowhere", *data]) == ExitCode.USAGE
    assert "no host named nowhere" in capsys.readouterr().err
    assert run(["recover", "nobody", *data]) == ExitCode.USAGE
    assert "no VM named nobody" in capsys.readouterr().err
    assert run(["cleanup", a_name(capsys, data), "--host", "nowhere", *data]) == ExitCode.USAGE
    assert "no host named nowhere" in capsys.readouterr().err


def test_an_empty_history_says_so(capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    assert run(["history", *data]) == ExitCode.DONE
    assert capsys.readouterr().out == "No migration is recorded.\n"
    assert run(["history", "web-01", "--demo"]) == ExitCode.DONE
    told = capsys.readouterr().out
    assert told.startswith("No migration of web-01 is recorded.")
    assert "--data-folder" in told


def test_limits_of_the_queue_are_kept_and_followed(capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    assert run(["migration-limits", "--outgoing", "1", "--bandwidth", "500", *data]) == ExitCode.DONE
    assert "leave a host: 1; reach a host: 2" in capsys.readouterr().out
    assert run(["migration-limits", "--json", *data]) == ExitCode.DONE
    kept = json.loads(capsys.readouterr().out)
    assert (kept["outgoing"], kept["incoming"], kept["total"], kept["bandwidth_mib_s"]) == (1, 2, 8, 500)
    database = Database.open(Path(data[-1]) / "hpconsole.sqlite3")
    try:
        assert kept_limits(database).outgoing == 1, "what every console begins with"
    finally:
        database.close()
    assert run(["migration-limits", "--total", "0", *data]) == ExitCode.USAGE
    assert "0 is no limit" in capsys.readouterr().err
    assert run(["migration-limits", "--no-bandwidth", "--json", *data]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["bandwidth_mib_s"] is None
