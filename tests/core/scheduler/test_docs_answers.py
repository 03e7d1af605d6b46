"""The answers in docs/scheduler.md are what the scheduler says of the scenarios in docs/scenarios."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.scenario import load
from tests.core.scheduler.docs_scenarios import FOLDER, SCENARIOS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "scheduler.md"
BLOCKS = [
    dict(re.findall(r"^([^:\n]+): (.+)$", block, re.MULTILINE))
    for block in re.findall(r"```answer\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
]


def answers(block: dict[str, str]) -> dict[str, str]:
    """Every line of a block, answered anew."""
    snapshot = load(FOLDER / f"{block['scenario']}.json")
    vm = next(snapshot.vm_named(block["vm"]))
    ranking = rank(Request((vm.uuid,)), snapshot)
    found: dict[str, str] = {}
    for line, given in block.items():
        match line.split():
            case ["scenario" | "vm"]:
                found[line] = given
            case ["order"]:
                found[line] = ", ".join(ranking.accepted)
            case ["why", better, "not", other]:
                found[line] = ranking.why(better.rstrip(","), other)
            case ["help", host]:
                found[line] = ranking.would_help(host)
            case ["forecast", host]:
                forecast = ranking.forecast(host, vm.uuid)
                found[line] = forecast.sentence if forecast is not None else ""
            case _:
                raise AssertionError(f"unknown line {line!r}")
    return found


@pytest.mark.parametrize("block", BLOCKS, ids=[block["scenario"] for block in BLOCKS])
def test_the_document_tells_the_truth(block: dict[str, str]) -> None:
    assert answers(block) == block


def test_there_are_five() -> None:
    assert sorted(block["scenario"] for block in BLOCKS) == sorted(SCENARIOS)
    assert sum(1 for block in BLOCKS for line in block if line.startswith(("why", "help"))) >= 10


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_files_are_those_clusters(name: str) -> None:
    assert load(FOLDER / f"{name}.json") == SCENARIOS[name]()
