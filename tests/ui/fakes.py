"""A console without anything behind it: remembers what it was asked to do."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.journal import MemoryJournal
from hpconsole.core.execution.step_queue import Limits
from hpconsole.core.planning.plan import Plan
from hpconsole.core.store import Store


class FakeHistory:
    """An hour of waves."""

    def series(self, host: str) -> tuple[Any, Any, Any]:
        seconds = np.arange(-3600.0, 1.0)
        phase = sum(map(ord, host))
        cpu = 35 + 20 * np.sin(seconds / 400 + phase) + 6 * np.sin(seconds / 13 + phase) + 3 * np.sin(seconds * 1.7)
        return seconds, np.clip(cpu, 0, 100), np.clip(50 + 10 * np.sin(seconds / 900 + phase * 2), 0, 100)


class FakeConsole:
    """Does nothing, and says what it was asked."""

    def __init__(self, hosts: Mapping[str, str] | None = None) -> None:
        self.store = Store()
        self.history = FakeHistory()
        self.poller = self
        self.executor = self
        self.pool: Any = None
        self.documents: Any = None
        self.journal = MemoryJournal()
        self.advice: Any = None
        self.maintenance: Any = None
        self.policies: Any = None
        self.rules = ClusterRules()
        self.availability: Any = None
        self.control = self.repairs = self
        self.hosts: dict[str, str] = dict(hosts or {})
        self.calls: list[tuple[Any, ...]] = []
        self.failure: HpconsoleError | None = None  # what adding a host or submitting a plan ends with

    @property
    def policy(self) -> Any:
        from hpconsole.core.scheduler.policies import DEFAULT_POLICY

        return DEFAULT_POLICY

    def start(self) -> None:
        self.calls.append(("start",))

    def wait_ready(self, timeout_s: float) -> bool:
        return ("start",) in self.calls

    def close(self) -> None:
        self.calls.append(("close",))

    def refresh(self, host: str | None = None) -> None:
        self.calls.append(("refresh", host))

    def cancel(self, plan_id: str, index: int | None = None) -> None:
        self.calls.append(("cancel", plan_id, index))

    def ask_again(self, migration_id: str) -> None:
        self.calls.append(("ask_again", migration_id))

    def running(self) -> Sequence[Any]:
        return ()

    def pause(self) -> None:
        self._ask(("pause",))

    def resume(self) -> None:
        self._ask(("resume",))

    def sooner(self, plan_id: str, index: int) -> None:
        self._ask(("sooner", plan_id, index))

    @property
    def limits(self) -> Limits:
        return Limits()

    def set_queue_limits(self, limits: Limits) -> None:
        self._ask(("limits", limits))

    def steer(self, plan_id: str, index: int, change: Any) -> None:
        self._ask(("steer", plan_id, index, change))

    def recover(self, vm_uuid: str, *, may_start_anew: bool = False) -> Any:
        self._ask(("start anew" if may_start_anew else "recover", vm_uuid))
        return SimpleNamespace(sentence="It runs again.")

    def clean_up(self, vm_uuid: str, host: str) -> str:
        self._ask(("clean_up", vm_uuid, host))
        return f"Nothing of it is left on {host}."

    def add_host(self, name: str, uri: str) -> None:
        self._ask(("add_host", name, uri))
        self.hosts[name] = uri

    def remove_host(self, name: str) -> None:
        self.calls.append(("remove_host", name))
        self.hosts.pop(name, None)

    def submit(self, plan: Plan) -> None:
        self._ask(("submit", plan))

    def _ask(self, call: tuple[Any, ...]) -> None:
        assert threading.current_thread() is not threading.main_thread(), "the window would wait for this"
        if self.failure is not None:
            raise self.failure
        self.calls.append(call)

    def start_watching(self) -> Any:
        raise HpconsoleError("There is nothing to watch.")

    def reservations(self) -> Sequence[Any]:
        return ()
