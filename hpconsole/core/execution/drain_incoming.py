"""Nothing arrives at hosts that are being emptied: migrations to them are cancelled, whoever began them."""

from __future__ import annotations

from collections.abc import Callable

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.drain_record import DrainRecord
from hpconsole.core.execution.drain_seeing import arriving, just_left
from hpconsole.core.execution.drain_surroundings import DrainSurroundings
from hpconsole.core.model.snapshot import ClusterSnapshot


class IncomingMoves:
    """Those of one drain. Used by the drain's thread only.

    Args:
        say: Writes a line into the drain's record.
    """

    def __init__(self, surroundings: DrainSurroundings, say: Callable[[str], None]) -> None:
        self._with = surroundings
        self._say = say
        self._asked: set[str] = set()  # plans, and VMs that others were moving

    def cancel(self, record: DrainRecord, snapshot: ClusterSnapshot) -> bool:
        """Cancel each once, this console's and anybody's; whether this console has any that still goes on."""
        hosts = set(record.intent.hosts)
        own = [status for status in self._with.executor.running() if status.step.destination in hosts]
        for status in own:
            if self._is_first(status.plan_id):
                self._say(f"{status.step.vm_name} was on its way to {status.step.destination}: cancelled.")
                self._with.executor.cancel(status.plan_id, status.index)
        mine = {status.step.vm_uuid for status in self._with.executor.running()}
        mine.update(just_left(record, snapshot))  # a poll may still show how they left
        for vm in arriving(hosts, snapshot):
            if vm.uuid not in mine and vm.host is not None and self._is_first(vm.uuid):
                self._say(f"{vm.name} was on its way here by somebody else's doing: {vm.host} is asked to cancel it.")
                self._abort(vm.host, vm.uuid)
        return bool(own)

    def _is_first(self, key: str) -> bool:
        is_first = key not in self._asked
        self._asked.add(key)
        return is_first

    def _abort(self, source: str, vm_uuid: str) -> None:
        try:
            self._with.pool.call(source, lambda host: host.abort_job(vm_uuid), deadline_s=self._with.call_s)
        except HpconsoleError as error:
            self._say(f"It could not be cancelled: {error.sentence}")
