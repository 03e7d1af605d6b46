"""A watch over the demo: it takes the lease only where something asks for it, and gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hpconsole.app import App
from hpconsole.core.balancing.mode import Mode, read_mode
from hpconsole.core.balancing.moves_log import BY_HAND, BY_ITSELF, read_log
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Pace
from hpconsole.core.events import Notice
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts
from hpconsole.core.memory_documents import MemoryDocuments
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.scheduler.policy_editing import with_parameter
from tests.changes import Changes

GUEST = GuestModel("web", "00000000-0000-4000-8000-000000000001", 2, 2 * 1024 * 1024, networks=(), cpu_model="qemu64")


def holders(cluster: SimulatedCluster) -> list[str]:
    """What the hosts themselves say about their leases."""
    found = []
    for uri in cluster.uris().values():
        connection = cluster.open(uri)
        lease = connection.lease()
        connection.close()
        found += [lease.text] if lease is not None else []
    return found


@contextmanager
def an_app(cluster: SimulatedCluster) -> Iterator[tuple[App, Changes]]:
    """A started app, and what its store says. Closes the cluster, too."""
    app = App(cluster.uris(), opener=cluster.open, interval_s=0.05)
    changes = Changes(app.store)
    app.start()
    try:
        assert app.wait_ready(20)
        yield app, changes
    finally:
        app.close()
        given_back = not holders(cluster)
        cluster.close()
    assert given_back, "a console that ends gives its lease back"


def test_nothing_is_written_on_the_hosts_until_something_asks_for_it() -> None:
    cluster = SimulatedCluster(hosts=some_hosts(3), guests={"host-01": [GUEST]})
    with an_app(cluster) as (app, changes):
        changes.until(lambda: len(app.store.snapshot.vms) == 1)
        rounds: list[RoundReport] = []
        watch = app.start_watching(pace=Pace(round_s=0.1, look_s=0.05), life_s=0.6, on_round=rounds.append)
        changes.until(lambda: len(rounds) >= 5)
        assert holders(cluster) == []
        assert "Nothing in this cluster asks" in watch.leadership.sentence

        app.rules.save_group(AffinityGroup("team", vms=(GUEST.uuid,)))
        changes.until(lambda: watch.leadership.is_mine)
        assert len(holders(cluster)) == 3

        app.rules.remove_group("team")
        changes.until(lambda: not holders(cluster))
        app.rules.save_group(AffinityGroup("team", vms=(GUEST.uuid,)))
        changes.until(lambda: watch.leadership.is_mine)


def one_host_too_full(app: App) -> None:
    """A policy for which more than one VM on a host are too many, two more than elsewhere worth a move."""
    spread = app.policies.copy("vm_evenly_distributed", "spread")
    app.policies.save(with_parameter(with_parameter(spread, "HighVmCount", 1), "MigrationThreshold", 2))
    app.policies.choose("spread")


def test_the_mode_says_whether_a_round_moves_recommends_or_does_not_look() -> None:
    guests = [
        replace(GUEST, name=f"web-{n}", uuid=f"00000000-0000-4000-8000-00000000000{n}", memory_kib=256 * 1024)
        for n in range(1, 5)
    ]
    with an_app(SimulatedCluster(hosts=some_hosts(2), guests={"host-01": guests})) as (app, changes):
        changes.until(lambda: len(app.store.snapshot.vms) == 4)
        one_host_too_full(app)
        watch = app.start_watching(pace=Pace(round_s=3600, look_s=0.05), life_s=0.6)
        changes.until(lambda: watch.leadership.is_mine)

        watch.set_mode(Mode.OFF)
        assert "switched off" in watch.run_now().why_nothing[0]
        looked = watch.run_now(acts=False)
        assert looked.recommendation is not None, "who asks gets an answer"
        assert not looked.is_acting

        watch.set_mode(Mode.RECOMMEND)
        recommended = watch.run_now()
        assert recommended.recommendation is not None
        assert not recommended.is_acting
        changes.until(lambda: not watch.leadership.is_mine)
        assert not app.reservations()
        assert read_log(app.documents) == ()

        watch.apply(recommended)
        changes.until(lambda: len(app.store.snapshot.vms_on("host-02")) == 1 and not app.reservations())
        (line,) = read_log(app.documents)
        assert (line.by, line.vm_name, line.destination) == (BY_HAND, recommended.recommendation.vm_name, "host-02")
        assert line.gain > line.cost > 0

        watch.set_mode(Mode.ACT)
        changes.until(lambda: watch.leadership.is_mine)
        app.policies.save(with_parameter(app.policy, "MigrationThreshold", 2))
        report = watch.run_now()
        assert report.is_acting
        changes.until(lambda: len(app.store.snapshot.vms_on("host-02")) == 2)
        assert [one.by for one in read_log(app.documents)] == [BY_ITSELF, BY_HAND], "the newest first"
        notices = [event.sentence for event in changes.events if isinstance(event, Notice)]
        assert any("by itself" in sentence and "Moving" in sentence for sentence in notices)


def test_a_log_that_cannot_be_read_is_left_out() -> None:
    documents = MemoryDocuments()
    documents.save("balancer", "log", {"lines": [{"at": "soon"}, 7, {"at": "2026-01-01T00:00:00+00:00"}]})
    documents.save("balancer", "mode", {"mode": "sometimes"})
    assert read_log(documents) == ()
    assert read_mode(documents) is Mode.ACT
