"""Snapshots may be dropped, the newest never; events never; jobs report on the GUI thread."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytestqt.exceptions import capture_exceptions
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import Notice
from hpconsole.core.store import Store
from hpconsole.ui.bridge import Background, EventBridge, StoreBridge
from tests.builders import NOW, a_snapshot


def test_newest_snapshot_wins_and_arrives_on_the_gui_thread(qtbot: QtBot) -> None:
    store = Store()
    bridge = StoreBridge(store)
    seen: list[tuple[int, threading.Thread]] = []
    bridge.snapshot_changed.connect(lambda snapshot: seen.append((snapshot.serial, threading.current_thread())))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda serial: store.publish(a_snapshot(1, serial=serial)), range(1, 500)))
    qtbot.waitUntil(lambda: bool(seen) and seen[-1][0] == 499)
    assert len(seen) == 1  # the GUI thread was busy all the time: one wake-up
    assert {thread for _, thread in seen} == {threading.main_thread()}
    bridge.close()
    store.publish(a_snapshot(1, serial=1000))
    qtbot.waitUntil(lambda: True)
    assert seen[-1][0] == 499


def test_a_later_snapshot_wakes_again(qtbot: QtBot) -> None:
    store = Store()
    bridge = StoreBridge(store)
    for serial in (1, 2, 3):
        with qtbot.waitSignal(bridge.snapshot_changed) as signal:
            store.publish(a_snapshot(1, serial=serial))
        assert signal.args is not None
        assert signal.args[0].serial == serial


def test_no_event_is_lost_or_reordered(qtbot: QtBot) -> None:
    store = Store()
    bridge = EventBridge(store)
    heard: list[str] = []
    bridge.happened.connect(lambda event: heard.append(event.sentence))

    def report(name: str) -> None:
        for number in range(300):
            store.report(Notice(NOW, "info", f"{name}-{number}"))

    threads = [threading.Thread(target=report, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    qtbot.waitUntil(lambda: len(heard) == 1200)
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert [text for text in heard if text.startswith(name)] == [f"{name}-{i}" for i in range(300)]


def test_jobs_run_elsewhere_and_report_here(qtbot: QtBot) -> None:
    background = Background()
    threads: list[threading.Thread] = []

    def job() -> int:
        threads.append(threading.current_thread())
        return 42

    done: list[int] = []

    def on_done(result: int) -> None:
        threads.append(threading.current_thread())
        done.append(result)

    background.run(job, on_done)
    qtbot.waitUntil(lambda: done == [42])
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()
    background.close()


def test_a_failed_job_says_so(qtbot: QtBot) -> None:
    background = Background()
    failed: list[str] = []

    def job() -> None:
        raise HpconsoleError("The host is away.")

    background.run(job, failed=lambda error: failed.append(error.sentence))
    qtbot.waitUntil(lambda: failed == ["The host is away."])
    background.close()


@pytest.mark.qt_no_exception_capture
def test_a_bug_in_a_job_is_not_swallowed(qtbot: QtBot) -> None:
    background = Background()
    failed: list[str] = []
    with capture_exceptions() as caught:
        background.run(lambda: 1 / 0, failed=lambda error: failed.append(error.detail))
        qtbot.waitUntil(lambda: bool(caught))
    assert caught[0][0] is ZeroDivisionError
    assert failed == ["ZeroDivisionError: division by zero"], "the user is told as well"
    background.close()


def test_nothing_is_reported_after_close(qtbot: QtBot) -> None:
    background = Background()
    gate = threading.Event()
    done: list[bool] = []
    background.run(gate.wait, done.append)
    background.close()
    gate.set()
    background.run(lambda: True, done.append)
    probe = Background()
    probed: list[int] = []
    probe.run(lambda: 1, probed.append)
    qtbot.waitUntil(lambda: probed == [1])
    assert done == []
    probe.close()


class _LetGo:
    """Notes the thread on which it is let go of, as a widget would be deleted there."""

    def __init__(self, threads: list[threading.Thread]) -> None:
        self._threads = threads

    def __del__(self) -> None:
        self._threads.append(threading.current_thread())


@pytest.mark.parametrize("how", ["wanted", "closed", "failed", "failed when closed"])
def test_what_a_job_holds_is_let_go_on_the_windows_thread(qtbot: QtBot, how: str) -> None:
    background = Background()
    gate = threading.Event()
    threads: list[threading.Thread] = []
    heard: list[object] = []

    def begin() -> None:
        held = _LetGo(threads)

        def job() -> object:
            gate.wait(20)
            if "failed" in how:
                raise HpconsoleError(f"{held} does not work.")
            return id(held)

        background.run(job, lambda _: heard.append(held), lambda _: heard.append(held))

    begin()
    if "closed" in how:
        background.close()
    gate.set()
    qtbot.waitUntil(lambda: bool(heard) or "closed" in how)
    heard.clear()
    qtbot.waitUntil(lambda: bool(threads))
    assert threads == [threading.main_thread()]
    background.close()


def test_no_failed_job_is_let_go_by_its_worker(qtbot: QtBot) -> None:
    """Threads take turns a million times a second here: a worker that keeps its error for a moment longer shows."""
    threads: list[threading.Thread] = []
    background = Background()

    def begin() -> None:
        held = _LetGo(threads)

        def job() -> object:
            raise HpconsoleError(f"{held} does not work.")

        background.run(job, lambda _: None, lambda _: None)

    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(500):
            begin()
            qtbot.waitUntil(lambda: len(threads) > number)  # noqa: B023 - waited for at once
    finally:
        sys.setswitchinterval(usual_s)
    assert set(threads) == {threading.main_thread()}
    background.close()


def test_snapshots_come_calmly_once_asked_to(qtbot: QtBot) -> None:
    store = Store()
    bridge = StoreBridge(store)
    shown: list[int] = []
    bridge.snapshot_changed.connect(lambda snapshot: shown.append(snapshot.serial))
    store.publish(a_snapshot(serial=1))
    qtbot.waitUntil(lambda: shown == [1])
    store.publish(a_snapshot(serial=2))
    qtbot.waitUntil(lambda: shown == [1, 2])
    bridge.calm_down(200)
    store.publish(a_snapshot(serial=3))
    qtbot.waitUntil(lambda: shown[-1] == 3)
    store.publish(a_snapshot(serial=4))
    store.publish(a_snapshot(serial=5))
    qtbot.wait(20)
    assert shown == [1, 2, 3]
    qtbot.waitUntil(lambda: shown == [1, 2, 3, 5])
    bridge.close()
