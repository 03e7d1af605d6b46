"""Whose job is it? Only a job that was begun here is changed or cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hpconsole.core.errors import HypervisorError
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.convergence import ScheduleFollower
from hpconsole.core.execution.steering import JobChange, Steering
from hpconsole.core.execution.watching import JobHelp, JobReader, Target
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB
from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import Console, a_cluster, a_guest, uuid_of

WEB = uuid_of("web-1")
SLOW = LoadCharacter(0.5, 0.1, 5, 0.5, resident_share=1.0)


@pytest.fixture
def somebody_else(console: ConsoleMaker) -> Iterator[Console]:
    """A cluster where somebody else moves web-1 from a to b, slowly."""
    one = console(a_cluster(a_guest(memory_kib=8 * GIB, character=SLOW), link_mib_s=20))
    one.ready()
    theirs = one.cluster.open("sim://a/system")
    request = MigrationRequest("sim://b/system")
    mover = threading.Thread(target=lambda: _quietly(theirs, request), daemon=True)
    mover.start()
    one.wait_for(lambda _: one.pool.call("a", lambda host: host.job_stats(WEB), deadline_s=5).job_type != 0)
    yield one
    with suppress(HypervisorError):  # a test may have ended it
        one.pool.call("a", lambda host: host.abort_job(WEB), deadline_s=5)
    mover.join(5)
    theirs.close()


def _quietly(theirs: Hypervisor, request: MigrationRequest) -> None:
    with suppress(HypervisorError):  # the fixture aborts it
        theirs.migrate(WEB, request, None)


def help_with(
    one: Console, destination: str, *, began_s: float | None, token: CancelToken
) -> tuple[JobHelp, list[str]]:
    told: list[str] = []
    reader = JobReader(one.pool, Target(WEB, "web-1", "a", destination), lambda _progress: None, deadline_s=5)
    follower = ScheduleFollower(MINIMAL_DOWNTIME.schedule, "web-1", silence_s=100)
    steering = Steering()
    steering.ask(JobChange(bandwidth_mib_s=7))
    helper = JobHelp(
        reader, token, follower, steering, began_s=began_s, on_change=lambda _kind, sentence: told.append(sentence)
    )
    return helper, told


def is_under_way(one: Console) -> bool:
    return one.pool.call("a", lambda host: host.job_stats(WEB), deadline_s=5).job_type == 2


def test_a_job_to_another_host_is_left_alone(somebody_else: Console) -> None:
    token = CancelToken()
    helper, told = help_with(somebody_else, "c", began_s=time.monotonic() - 60, token=token)
    helper.look()
    assert told == []
    token.cancel()
    helper.look()
    assert is_under_way(somebody_else)


def test_a_job_older_than_our_call_is_left_alone(somebody_else: Console) -> None:
    # the cluster's time runs ten times as fast: half a second is five there
    somebody_else.wait_for(
        lambda _: (somebody_else.pool.call("a", lambda host: host.job_stats(WEB), deadline_s=5).elapsed_ms or 0) > 4000
    )
    token = CancelToken()
    token.cancel()
    helper, told = help_with(somebody_else, "b", began_s=time.monotonic(), token=token)
    helper.look()
    assert told == []
    assert is_under_way(somebody_else)


def test_our_own_is_steered_and_cancelled(somebody_else: Console) -> None:
    token = CancelToken()
    helper, told = help_with(somebody_else, "b", began_s=None, token=token)
    helper.look()
    assert told == ["web-1 may be moved with up to 7 MiB/s from now on."]
    token.cancel()
    helper.look()
    somebody_else.wait_for(lambda _: not is_under_way(somebody_else))
