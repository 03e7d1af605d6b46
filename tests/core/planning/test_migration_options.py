"""Options of a migration and policies of one's own: what they come to, what cannot be had, what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.execution.queue_limits import KEY, keep_limits, kept_limits
from hpconsole.core.execution.step_queue import Limits
from hpconsole.core.planning.migration_options import (
    AUTO_CONNECTIONS,
    DEFAULT_OPTIONS,
    MigrationOptions,
    connections,
    effective_policy,
    filled,
    may_post_copy,
    most_at_once,
    options_from_json,
    options_to_json,
)
from hpconsole.core.planning.migration_policy import (
    ABORT,
    BUILT_IN,
    MINIMAL_DOWNTIME,
    POST_COPY,
    POST_COPY_POLICY,
    SUSPEND_IF_NEEDED,
    MigrationPolicy,
    Schedule,
    StallStep,
    downtime,
)
from hpconsole.core.planning.migration_policy_json import from_json, to_json

MINE = MigrationPolicy(
    "mine",
    "Mine",
    Schedule((downtime(50),), (StallStep(2, downtime(80)), StallStep(4, downtime(900))), (POST_COPY, ABORT)),
    max_migrations=3,
    auto_converge=True,
)


class TestOptions:
    def test_without_wishes_the_gentlest_preset_is_followed(self) -> None:
        assert effective_policy(DEFAULT_OPTIONS, BUILT_IN) == MINIMAL_DOWNTIME
        assert effective_policy(MigrationOptions("gone"), BUILT_IN) == MINIMAL_DOWNTIME

    def test_wishes_go_over_the_policy(self) -> None:
        options = MigrationOptions("suspend_workload_if_needed", compressed=False, auto_converge=False)
        found = effective_policy(options, BUILT_IN)
        assert found.schedule == SUSPEND_IF_NEEDED.schedule
        assert (found.compressed, found.auto_converge) == (False, False)

    def test_a_pause_of_the_user_s_leaves_out_the_steps_below_it(self) -> None:
        found = effective_policy(MigrationOptions(downtime_ms=300), BUILT_IN).schedule
        assert found.initial == (downtime(300),)
        assert [step.action.params[0] for step in found.stalling] == [400, 500]
        assert found.last == (ABORT,)

    def test_post_copy_is_for_those_who_want_it_and_never_over_parallel_connections(self) -> None:
        assert not may_post_copy(DEFAULT_OPTIONS, MINIMAL_DOWNTIME)
        assert may_post_copy(DEFAULT_OPTIONS, POST_COPY_POLICY)
        assert may_post_copy(MigrationOptions(post_copy=True), MINIMAL_DOWNTIME)
        parallel = MigrationOptions("post_copy", parallel_connections=4)
        assert not may_post_copy(parallel, POST_COPY_POLICY)
        assert POST_COPY not in effective_policy(parallel, BUILT_IN).schedule.last

    @pytest.mark.parametrize(
        "bad",
        [
            MigrationOptions(parallel_connections=2, post_copy=True),
            MigrationOptions(parallel_connections=2, compressed=True),
            MigrationOptions(parallel_connections=256),
            MigrationOptions(bandwidth_mib_s=0),
            MigrationOptions(downtime_ms=0),
        ],
    )
    def test_what_cannot_be_had_is_said(self, bad: MigrationOptions) -> None:
        assert bad.problem().endswith(".")

    @pytest.mark.parametrize(
        ("wanted", "vcpus", "link", "spare", "expected"),
        [
            (None, 8, 5000.0, None, None),
            (4, 8, None, None, 4),
            (64, 8, None, None, 8),
            (4, 1, None, None, 2),
            (AUTO_CONNECTIONS, 8, 5000.0, None, 4),
            (AUTO_CONNECTIONS, 3, 5000.0, None, 3),
            (AUTO_CONNECTIONS, 8, 5000.0, 3, 3),
            (AUTO_CONNECTIONS, 8, 5000.0, 1, 2),
            (AUTO_CONNECTIONS, 8, 1300.0, None, 2),
            (AUTO_CONNECTIONS, 8, None, None, 2),
        ],
    )
    def test_connections(
        self, wanted: int | None, vcpus: int, link: float | None, spare: int | None, expected: int | None
    ) -> None:
        options = MigrationOptions(parallel_connections=wanted)
        assert connections(options, vcpus=vcpus, link_mib_s=link, spare_cpus=spare) == expected

    def test_parallel_ones_go_one_at_a_time(self) -> None:
        assert most_at_once(DEFAULT_OPTIONS, MINIMAL_DOWNTIME) == 2
        assert most_at_once(DEFAULT_OPTIONS, SUSPEND_IF_NEEDED) == 1
        assert most_at_once(MigrationOptions(parallel_connections=2), MINIMAL_DOWNTIME) == 1

    def test_they_are_kept_and_read_back_and_hostile_ones_are_as_by_default(self) -> None:
        options = MigrationOptions("post_copy", 64, 200, None, False, True, tls=True, post_copy=True, priority=9)
        kept = options_to_json(options)
        assert kept == {
            "policy_id": "post_copy",
            "bandwidth_mib_s": 64,
            "downtime_ms": 200,
            "auto_converge": True,
            "tls": True,
            "post_copy": True,
            "priority": 9,
        }
        assert options_from_json(kept).bandwidth_mib_s == 64
        assert options_from_json({"bandwidth_mib_s": "1", "tls": 1, "policy_id": 7}) == DEFAULT_OPTIONS
        assert options_from_json({"bandwidth_mib_s": -5}) == DEFAULT_OPTIONS


class TestOwnPolicies:
    def test_there_and_back(self) -> None:
        assert from_json(to_json(MINE)) == MINE

    @pytest.mark.parametrize(
        "change",
        [
            {"format": "other"},
            {"id": "post_copy"},
            {"name": ""},
            {"initial_downtime_ms": 0},
            {"initial_downtime_ms": True},
            {"stalling": [{"stalls": 2, "downtime_ms": 1}, {"stalls": 1, "downtime_ms": 2}]},
            {"stalling": "many"},
            {"last": ["explode"]},
            {"max_migrations": 0},
        ],
    )
    def test_documents_that_mean_nothing_are_refused_in_a_sentence(self, change: dict[str, object]) -> None:
        with pytest.raises(InvalidEdit) as refused:
            from_json(to_json(MINE) | change)
        assert refused.value.sentence.endswith(".")

    def test_own_ones_and_the_default_are_kept_in_the_database(self, tmp_path: Path) -> None:
        database = Database.open(tmp_path / "one.sqlite3")
        policies = MigrationPolicies(database)
        policies.save(MINE)
        policies.set_default("mine")
        database.documents.save("migration policy", "broken", {"format": "?"})
        database.close()
        database = Database.open(tmp_path / "one.sqlite3")
        again = MigrationPolicies(database)
        assert again.all()[-1] == MINE
        assert again.effective(DEFAULT_OPTIONS).policy_id == "mine"
        again.remove("mine")
        assert again.default_id == MINIMAL_DOWNTIME.policy_id
        with pytest.raises(InvalidEdit):
            again.set_default("mine")
        database.close()


def test_the_queue_s_limits_are_kept_and_hostile_ones_are_the_reference_s(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "one.sqlite3")
    assert kept_limits(database) == kept_limits(None) == Limits(2, 2, 8)
    keep_limits(database, Limits(4, 3, 20, bandwidth_mib_s=500))
    assert kept_limits(database) == Limits(4, 3, 20, 500)
    database.settings.set(KEY, {"outgoing": "many", "incoming": 0, "total": True, "else": 1})
    assert kept_limits(database) == Limits()
    database.close()


class TestFilled:
    """What a policy says of bandwidth, connections and TLS counts where the user wants nothing else."""

    POLICY = replace(MINIMAL_DOWNTIME, policy_id="own", bandwidth_mib_s=300, parallel_connections=4, tls=True)

    def test_the_policy_fills_what_is_open(self) -> None:
        made = filled(MigrationOptions(policy_id="own"), self.POLICY)
        assert (made.bandwidth_mib_s, made.parallel_connections, made.tls) == (300, 4, True)

    def test_the_user_wins(self) -> None:
        made = filled(MigrationOptions(bandwidth_mib_s=50, parallel_connections=2), self.POLICY)
        assert (made.bandwidth_mib_s, made.parallel_connections, made.tls) == (50, 2, True)

    @pytest.mark.parametrize("wanted", [MigrationOptions(post_copy=True), MigrationOptions(compressed=True)])
    def test_what_excludes_parallel_connections_gets_one(self, wanted: MigrationOptions) -> None:
        made = filled(wanted, self.POLICY)
        assert made.parallel_connections is None
        assert made.problem() == ""

    def test_presets_change_nothing(self) -> None:
        options = MigrationOptions()
        assert all(filled(options, policy) is options for policy in BUILT_IN)

    def test_they_are_kept_and_read(self) -> None:
        assert from_json(to_json(self.POLICY)) == replace(self.POLICY, guest_events=True)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"bandwidth_mib_s": 0},
            {"bandwidth_mib_s": True},
            {"parallel_connections": 256},
            {"parallel_connections": "many"},
            {"parallel_connections": 2, "compressed": True},
            {"parallel_connections": 2, "last": ["post_copy", "abort"]},
        ],
    )
    def test_what_cannot_be_had_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(InvalidEdit):
            from_json({**to_json(self.POLICY), "parallel_connections": None, **wrong})
