"""Has a VM left although nobody can say how it arrived? A destination may fall silent just as the VM reaches it. Pure.

The host that is emptied needs no more than that the VM is gone from it; how the VM fares is asked by the executor,
which may take until the destination is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from hpconsole.core.execution.drain_seeing import is_gone
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot

_MARGIN = timedelta(seconds=5)  # a link that only hiccups is back by then, and the usual end tells more


class SilentDestinations:
    """Since when the destinations of one drain's moves do not answer."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}  # host

    def left(
        self, moves: Iterable[tuple[str, str, str]], snapshot: ClusterSnapshot, now: datetime
    ) -> list[tuple[str, str]]:
        """Which of these moves (VM, source, destination) left their source for a host that is silent: VM and host."""
        moves = list(moves)
        for host in {destination for _, _, destination in moves}:
            known = snapshot.hosts.get(host)
            if known is not None and known.link.state is LinkState.CONNECTED:
                self._since.pop(host, None)
            else:
                self._since.setdefault(host, now)
        return [
            (vm, destination)
            for vm, source, destination in moves
            if (since := self._since.get(destination)) is not None and is_gone(vm, source, snapshot, since + _MARGIN)
        ]
