"""`hpconsole policy`: copied, edited, put in force, exchanged as a file; and what a ranking makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*words: str) -> tuple[int, str, str]:
        code = run(["policy", *words, "--data-folder", str(tmp_path / "data")])
        out, err = capsys.readouterr()
        return code, out, err

    return ask


def test_from_copy_to_file_and_back(policy: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "mine.json")
    assert policy("copy", "evenly_distributed", "mine")[0] == ExitCode.DONE
    changes = ("--weight", "PreferredHosts=0", "--parameter", "HighUtilization=70", "--filter", "Swap=off")
    assert policy("edit", "mine", *changes, "--description", "Ours")[0] == ExitCode.DONE
    assert policy("use", "mine")[0] == ExitCode.DONE
    code, out, _ = policy("show", "mine", "--json")
    shown = json.loads(out)
    assert (code, shown["format"], shown["in_force"], shown["built_in"]) == (0, "hpconsole-policy/1", True, False)
    assert "Swap" not in shown["filters"]
    assert shown["parameters"]["HighUtilization"] == 70
    assert "PreferredHosts" not in [weight["unit"] for weight in shown["weights"]]
    assert policy("export", "mine", file)[0] == ExitCode.DONE
    assert policy("export", "mine", file)[0] == ExitCode.USAGE
    assert policy("delete", "mine")[0] == ExitCode.USAGE
    assert policy("use", "none")[0] == policy("delete", "mine")[0] == ExitCode.DONE
    assert policy("import", file)[0] == ExitCode.DONE
    assert policy("import", file)[0] == ExitCode.USAGE
    assert "even load (OptimalForEvenDistribution)" in policy("list")[1]
    listed = json.loads(policy("list", "--json")[1])
    assert listed["in_force"] == "none"
    assert [item["name"] for item in listed["policies"]][-1] == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("edit", "none", "--weight", "PreferredHosts=2"), "built in"),
        (("edit", "mine"), "Nothing to change"),
        (("edit", "mine", "--weight", "PreferredHosts"), "NAME=VALUE"),
        (("edit", "mine", "--weight", "PreferredHosts=x"), "whole number"),
        (("edit", "mine", "--weight", "Luck=1"), "no weight named Luck"),
        (("edit", "mine", "--filter", "Swap=maybe"), "on or off"),
        (("edit", "mine", "--filter", "CPU-Level=off"), "mandatory"),
        (("edit", "mine", "--parameter", "HighUtilization=many"), "not a number"),
        (("edit", "mine", "--parameter", "HighUtilization=nan"), "must be from 50 to 99"),
        (("edit", "mine", "--balancer", "Luck"), "no balancing named Luck"),
        (("show", "nobody"), "no policy named nobody"),
        (("copy", "none", "mine"), "already"),
        (("import", "nowhere.json"), "cannot be read"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(policy: Any, words: tuple[str, ...], said: str) -> None:
    policy("copy", "none", "mine")
    code, _, err = policy(*words)
    assert code == ExitCode.USAGE
    assert said in err


def test_the_demo_remembers_no_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "copy", "none", "mine", "--demo"]) == ExitCode.USAGE
    assert "remembers nothing" in capsys.readouterr().err
    assert run(["policy", "list", "--demo"]) == ExitCode.DONE


def test_migration_policies_are_listed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migration-policy", "list", "--demo"]) == ExitCode.DONE
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["DEFAULT", "ID", "NAME", "KIND", "DESCRIPTION"]
    assert [row.split()[:2] for row in rows if row.startswith("*")] == [["*", "minimal_downtime"]]
    kind = head.index("KIND")
    assert {row[kind:].split()[0] for row in rows} == {"preset"}


def test_a_ranking_by_a_policy_file_shows_its_weights(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["schedule", "--scenario", str(ROOT / "docs/scenarios/own-cpus.json"), "--vm", "db-1", "--json"]
    assert run([*words, "--policy", str(ROOT / "docs/policies/performance-first.json")]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["policy"] == "performance first"
    units = {part["unit"] for host in document["hosts"] if host["accepted"] for part in host["weights"]}
    assert "Performance forecast" in units
