"""A watch over the demo: it takes the lease only where something asks for it, and gives it back."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hpconsole.app import App
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Pace
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts
from hpconsole.core.model.affinity import AffinityGroup

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


def test_nothing_is_written_on_the_hosts_until_something_asks_for_it() -> None:
    cluster = SimulatedCluster(hosts=some_hosts(3), guests={"host-01": [GUEST]})
    app = App(cluster.uris(), opener=cluster.open, interval_s=0.05)
    changed = threading.Condition()

    def wake(_: object = None) -> None:
        with changed:
            changed.notify_all()

    def until(is_wanted: Callable[[], bool]) -> None:
        with changed:
            assert changed.wait_for(is_wanted, 20)

    app.store.subscribe(wake)
    app.store.subscribe_events(wake)
    app.start()
    try:
        assert app.wait_ready(20)
        until(lambda: len(app.store.snapshot.vms) == 1)
        rounds: list[RoundReport] = []
        watch = app.start_watching(pace=Pace(round_s=0.1, look_s=0.05), life_s=0.6, on_round=rounds.append)
        until(lambda: len(rounds) >= 5)
        assert holders(cluster) == []
        assert "Nothing in this cluster asks" in watch.leadership.sentence

        app.rules.save_group(AffinityGroup("team", vms=(GUEST.uuid,)))
        until(lambda: watch.leadership.is_mine)
        assert len(holders(cluster)) == 3

        app.rules.remove_group("team")
        until(lambda: not holders(cluster))
        app.rules.save_group(AffinityGroup("team", vms=(GUEST.uuid,)))
        until(lambda: watch.leadership.is_mine)
    finally:
        app.close()
    assert holders(cluster) == [], "given back at the end"
    cluster.close()
