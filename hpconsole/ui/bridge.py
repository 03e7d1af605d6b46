"""How values cross from core's threads to the GUI thread: state as newest-wins, events as none-lost.

The only place where core threads and Qt meet. Callbacks here run on core threads and return at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from traceback import clear_frames
from types import TracebackType
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from shiboken6 import isValid

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import Event
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.store import Store

_Result = TypeVar("_Result")
_BUG = "hpconsole made a mistake here; nothing was changed by it. Please report it with what the log says."


class _Door(QObject):
    """Runs on the GUI thread what other threads hand in. Lives as long as the program.

    A worker that emitted a signal of an object which the GUI thread deletes at that moment would crash the program:
    workers emit this one's signal only.
    """

    _knocked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._knocked.connect(self._let_in, Qt.ConnectionType.QueuedConnection)

    def post(self, action: Callable[[], None]) -> None:
        """Run `action` on the GUI thread, after what was handed in before. Any thread; returns at once."""
        self._knocked.emit(action)

    @Slot(object)
    def _let_in(self, action: Callable[[], None]) -> None:
        action()


@cache
def door() -> _Door:
    """The one door, made on the GUI thread by the first who needs it."""
    return _Door()


class StoreBridge(QObject):
    """Emits `snapshot_changed` on the GUI thread with the newest snapshot; those in between are dropped.

    Args:
        interval_ms: Not more often than this. Nobody reads faster, and what is not drawn costs nothing.
    """

    snapshot_changed = Signal(object)  # ClusterSnapshot

    def __init__(self, store: Store, parent: QObject | None = None, *, interval_ms: int = 0) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._newest: ClusterSnapshot | None = None
        self._pause = QTimer(self, singleShot=True, interval=interval_ms)
        self._pause.timeout.connect(self._deliver)
        self._door = door()
        self._stop = store.subscribe(self._on_published)
        if store.snapshot.serial:  # hosts answered before the window was there
            self._on_published(store.snapshot)

    def calm_down(self, interval_ms: int) -> None:
        """Deliver not more often than this from now on."""
        self._pause.setInterval(interval_ms)

    def close(self) -> None:
        """Take no more snapshots. Idempotent."""
        self._stop()
        self._pause.stop()
        with self._lock:
            self._newest = None

    def _on_published(self, snapshot: ClusterSnapshot) -> None:
        with self._lock:
            is_awake = self._newest is not None
            self._newest = snapshot
        if not is_awake:
            self._door.post(self._deliver)

    def _deliver(self) -> None:
        if not isValid(self) or self._pause.isActive():
            return  # gone; or the end of the pause delivers
        with self._lock:
            snapshot, self._newest = self._newest, None
        if snapshot is not None:
            self.snapshot_changed.emit(snapshot)
            if self._pause.interval():
                self._pause.start()


class EventBridge(QObject):
    """Emits `happened` on the GUI thread once for every event, in the order they were reported."""

    happened = Signal(object)  # Event

    def __init__(self, store: Store, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._waiting: list[Event] = []
        self._door = door()
        self._stop = store.subscribe_events(self._on_reported)

    def close(self) -> None:
        """Take no more events. Idempotent."""
        self._stop()

    def _on_reported(self, event: Event) -> None:
        with self._lock:
            is_awake = bool(self._waiting)
            self._waiting.append(event)
        if not is_awake:
            self._door.post(self._deliver)

    def _deliver(self) -> None:
        if not isValid(self):
            return
        with self._lock:
            events, self._waiting = self._waiting, []
        for event in events:
            self.happened.emit(event)


class Background(QObject):
    """Runs jobs off the GUI thread and hands their outcome back on it. A failed job is never silent.

    Jobs run one after the other, in order, or `at_once` of them beside each other. An `HpconsoleError` goes to
    `failed`; any other exception goes there as a sentence and is raised again on the GUI thread, where the last-resort
    hook of the program sees it.
    """

    def __init__(self, parent: QObject | None = None, *, at_once: int = 1) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="hpc-window")
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether somebody still wants outcomes."""
        return self._is_open and isValid(self)

    def run(
        self,
        job: Callable[[], _Result],
        done: Callable[[_Result], None] | None = None,
        failed: Callable[[HpconsoleError], None] | None = None,
    ) -> None:
        """Run `job` on a worker thread, then `done` or `failed` on this object's thread. Nothing after `close`."""
        if not self._is_open:  # a timer may still come in while its dialog goes
            return
        errand = _Errand(_Orders(self, job, done, failed))
        self._pool.submit(errand.work).add_done_callback(errand.come_back)

    def close(self) -> None:
        """Drop what waits and forget the outcome of what runs. Idempotent; does not wait."""
        self._is_open = False
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Orders(Generic[_Result]):
    """For whom a job is done, and what becomes of its outcome. Holds widgets: only the GUI thread lets go of it."""

    owner: Background
    job: Callable[[], _Result]
    done: Callable[[_Result], None] | None
    failed: Callable[[HpconsoleError], None] | None


class _Outcome(Generic[_Result]):
    """What came of a job: a result in `results`, or `error`.

    Takes the error out of the worker's hands at once: through its traceback it holds the job, and a worker that still
    had it while the GUI thread lets go would be the last to hold it.
    """

    def __init__(self) -> None:
        self.results: list[_Result] = []
        self.error: BaseException | None = None

    def __enter__(self) -> list[_Result]:
        return self.results

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


class _Errand(Generic[_Result]):
    """One job on its way to a worker and back.

    It comes back even when nobody waits any more, and is emptied on the GUI thread: a worker that let go of a widget
    last would delete it on its own thread, and crash the program.
    """

    def __init__(self, orders: _Orders[_Result]) -> None:
        self._orders = [orders]
        self._outcomes = [_Outcome[_Result]()]
        self._door = door()

    def work(self) -> None:
        """Do it. On a worker thread."""
        with self._outcomes[0] as results:
            results.append(self._orders[0].job())

    def come_back(self, _: Future[None]) -> None:
        """It ended, or will never be begun. Any thread."""
        self._door.post(self._deliver)

    def _deliver(self) -> None:
        orders, outcome = self._orders.pop(), self._outcomes.pop()
        error = outcome.error
        if error is not None:
            clear_frames(error.__traceback__)  # they hold what the job held
        if not orders.owner.is_open or (error is None and not outcome.results):
            return  # nobody waits for it, or it was never begun
        if error is None:
            if orders.done is not None:
                orders.done(outcome.results[0])
        elif isinstance(error, HpconsoleError) and orders.failed is not None:
            orders.failed(error)
        else:
            if orders.failed is not None:
                orders.failed(HpconsoleError(_BUG, detail=f"{type(error).__name__}: {error}"))
            raise error
