"""Can the source reach the destination, as a migration would? Asked of the source's own libvirt, with a real attempt.

What cannot be asked is said: QEMU opens the port that the memory goes to only when a migration begins.
"""

from __future__ import annotations

import logging
import threading
import time

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.routes import Route
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.planning.preflight_findings import Finding, Severity

_log = logging.getLogger(__name__)

# Ssh ended without a complaint of its own. Mostly it had connected, and libvirt lost the answer as it hung up again
# (see `libvirt_inquiries.why_no_way`); but it says the same where ssh was let in and ended at once.
_SILENT_END = "End of file while reading data: :"
_MOST_ATTEMPTS = 6  # of those that end so, on a machine with twice as much to do as it can, four in ten are answered
_KNOWN_FOR_S = 60.0  # what was reached just now is not tried again for each VM


class ReachProbe:
    """Tries ways between hosts. Threads: any; `finding` blocks for `wait_s` at most."""

    def __init__(self, pool: ConnectionPool, *, wait_s: float = 10.0) -> None:
        self._pool = pool
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._reached: dict[tuple[str, str], float] = {}

    def finding(self, vm_uuid: str, source: str, destination: str, route: Route) -> Finding:
        """Whether the source's libvirt reaches the destination's by this way, for moving this VM."""
        answer = self._ask(vm_uuid, source, route)
        if answer is None:
            words = (
                f"{source} has not reached the libvirt of {destination} at {route.destination_uri} within "
                f"{self._wait_s:.0f} s and still tries, for two minutes at most; until then the VM cannot be moved."
            )
            return Finding("address", Severity.WARNING, words, f"Check the network from {source} to {destination}.")
        if isinstance(answer, HpconsoleError):
            words = f"Whether {source} reaches {destination} could not be asked: {answer.sentence}"
            return Finding("address", Severity.NOTE, words, "Check again.")
        if _SILENT_END in answer:
            words = (
                f"The connection from {source} to {destination} at {route.destination_uri} ended without an answer "
                "each time it was tried, as it may on busy hosts. Whether the hosts do it by themselves shows when the "
                "migration begins; else this console carries it."
            )
            return Finding("address", Severity.NOTE, words, "Check again.")
        if answer:
            words = (
                f"{source} cannot reach the libvirt of {destination} at {route.destination_uri} ({answer}), so this "
                "console carries the migration: it ends if the console does."
            )
            remedy = (
                f"Let root of {source} in on {destination} (key or certificate), or add {destination} with an address "
                f"that {source} knows."
            )
            return Finding("address", Severity.WARNING, words, remedy)
        to = route.migrate_uri or "the address that its libvirt names"
        words = (
            f"{source} reached the libvirt of {destination} at {route.destination_uri} just now, and will send the "
            f"memory to {to}, a port from 49152 on. Not checked: whether a firewall lets that through; QEMU opens the "
            "port only when a migration begins."
        )
        return Finding("address", Severity.NOTE, words)

    def _ask(self, vm_uuid: str, source: str, route: Route) -> str | HpconsoleError | None:
        """Why not; "" if it does; None: it still tries."""
        key = source, route.destination_uri
        with self._lock:
            known = self._reached.get(key)
        if known is not None and time.monotonic() - known < _KNOWN_FOR_S:
            return ""
        answers: list[str | HpconsoleError] = []
        is_over = threading.Event()

        def ask() -> None:
            try:
                answers.append(self._answer(vm_uuid, source, route))
            except HpconsoleError as error:
                answers.append(error)
            finally:
                is_over.set()

        # Not in the host's lane: an attempt that packets vanish from would hold up everything else
        threading.Thread(target=ask, name=f"hpc-reach-{source}", daemon=True).start()
        is_over.wait(self._wait_s)
        if not answers:
            return None
        if answers[0] == "":
            with self._lock:
                self._reached[key] = time.monotonic()
        else:
            _log.info("%s to %s: %s", source, route.destination_uri, answers[0])
        return answers[0]

    def _answer(self, vm_uuid: str, source: str, route: Route) -> str:
        """What the source says in the end; asked again where a connection ended silently, which proves nothing."""
        began, answer = time.monotonic(), _SILENT_END
        for attempt in range(_MOST_ATTEMPTS):
            if attempt and time.monotonic() - began > 0.7 * self._wait_s:
                break
            answer = self._pool.hypervisor(source).why_no_way(vm_uuid, route.destination_uri)
            if _SILENT_END not in answer:
                break
        return answer
