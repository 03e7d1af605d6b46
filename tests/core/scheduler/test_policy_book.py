"""Own policies: copied, edited, kept, chosen, and told where they cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.errors import ScenarioError, StorageError
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.scheduler.policy_editing import with_filter, with_parameter, with_weight
from hpconsole.core.scheduler.policy_files import load_policy, policy_data, save_policy
from hpconsole.core.scheduler.request import Request
from tests.builders import a_snapshot, a_vm

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "policies" / "performance-first.json"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "hpconsole.sqlite3")


def a_book(database: Database) -> PolicyBook:
    book = PolicyBook()
    assert book.keep_in(database) == ()
    return book


def test_an_own_policy_is_copied_edited_chosen_and_remembered(database: Database) -> None:
    book = a_book(database)
    mine = with_weight(book.copy("none", "mine"), "OptimalForCpuEvenDistribution", 7)
    mine = with_parameter(with_filter(mine, "Swap", is_on=False), "HighUtilization", 75)
    book.save(mine)
    book.choose("mine")
    later = a_book(database)
    assert later.chosen == mine
    assert "Swap" not in later.chosen.filters
    assert dict(later.chosen.weights)["OptimalForCpuEvenDistribution"] == 7
    assert [policy.name for policy in later.all()] == [*(policy.name for policy in BUILT_IN), "mine"]
    later.choose("none")
    later.remove("mine")
    assert a_book(database).all() == BUILT_IN


def test_what_another_console_chose_is_heard(database: Database) -> None:
    mine, other = a_book(database), a_book(database)
    other.copy("none", "theirs")
    other.choose("theirs")
    assert mine.chosen == DEFAULT_POLICY
    assert mine.reload() == ()
    assert mine.chosen.name == "theirs"


@pytest.mark.parametrize("body", [{}, {"format": "x"}, {"weights": 3}])
def test_an_unreadable_policy_is_said_and_the_default_counts(database: Database, body: dict[str, object]) -> None:
    database.policies.save("broken", body)
    database.policies.save("good", policy_data(DEFAULT_POLICY.copied("good")))
    database.settings.set("scheduling_policy", "broken")
    book = PolicyBook()
    problems = book.keep_in(database)
    assert book.chosen == DEFAULT_POLICY
    assert book.named("good").name == "good"
    assert len(problems) == 2
    assert "none counts instead" in problems[1]
    with pytest.raises(ScenarioError, match="cannot be used"):
        book.named("broken")
    with pytest.raises(ScenarioError, match="in force"):
        book.remove("broken")
    book.choose("none")
    book.remove("broken")
    assert a_book(database).named("good")


@pytest.mark.parametrize("chosen", [None, 7, ["none"], "gone"])
def test_a_hostile_choice_means_the_default(database: Database, chosen: object) -> None:
    database.settings.set("scheduling_policy", chosen)
    book = PolicyBook()
    assert len(book.keep_in(database)) == (1 if chosen == "gone" else 0)
    assert book.chosen == DEFAULT_POLICY


def test_what_makes_no_sense_is_refused_and_nothing_changes(database: Database) -> None:
    book = a_book(database)
    mine = book.copy("none", "mine")
    with pytest.raises(ScenarioError, match="no weight named Luck"):
        book.save(with_weight(mine, "Luck", 3))
    with pytest.raises(ScenarioError, match="HighUtilization must be from 50 to 99"):
        book.save(with_parameter(mine, "HighUtilization", 5))
    with pytest.raises(ScenarioError, match="mandatory"):
        with_filter(mine, "CPU-Level", is_on=False)
    with pytest.raises(ScenarioError, match="already"):
        book.copy("none", "mine")
    with pytest.raises(ScenarioError, match="built-in"):
        book.save(DEFAULT_POLICY)
    with pytest.raises(ScenarioError, match="stays"):
        book.remove("none")
    for name in ("nobody", ""):
        with pytest.raises(ScenarioError, match="no policy named"):
            book.choose(name)
    database.close()
    with pytest.raises(StorageError):
        book.save(mine)
    assert book.named("mine") == mine
    assert book.chosen == DEFAULT_POLICY


def test_a_policy_of_the_example_file_ranks_by_the_forecast(tmp_path: Path) -> None:
    policy = load_policy(EXAMPLE)
    assert policy.name == "performance first"
    vm = a_vm(host="host-a")
    parts = rank(Request((vm.uuid,)), a_snapshot(3, [vm]), policy).parts("host-b")
    assert {"Fit VM to single host NUMA node"} <= {part.unit for part in parts}
    copy = tmp_path / "copy.json"
    save_policy(policy, copy)
    assert load_policy(copy) == policy


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"format": "hpconsole-policy", "version": true}'])
def test_a_hostile_file_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(content)
    with pytest.raises(ScenarioError):
        load_policy(path)
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_policy(tmp_path)
