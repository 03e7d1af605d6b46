"""Hosts that were given need no database to be shown: loading it before they have answered would only delay them."""

from __future__ import annotations

import threading

from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.store import Store

_FIRST_ANSWER_S = 3.0  # the database waits no longer than this


def wait_for_first_answer(store: Store, *, hosts: int) -> None:
    """Wait until a VM is seen, or each of so many hosts answered or is known not to; a few seconds at most."""
    answered = threading.Event()

    def look(snapshot: ClusterSnapshot) -> None:
        states = [host.link.state for host in snapshot.hosts.values()]
        if snapshot.vms or (len(states) == hosts and LinkState.CONNECTING not in states):
            answered.set()

    stop = store.subscribe(look)
    look(store.snapshot)
    answered.wait(_FIRST_ANSWER_S)
    stop()
