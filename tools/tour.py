"""The scripted tour: plays the main job on the simulated cluster by real mouse and key events, under Xvfb if need be.

`python -m tools.tour` leaves a PNG picture of each step in build/tour/ and ends with 0, or with 1 and the step that
did not do what it should. The events come from the X server (xdotool), so they take the way a user's do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from PySide6.QtCore import QObject, QPoint, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractItemView, QApplication, QLabel, QLineEdit, QPushButton, QRadioButton, QWidget

from hpconsole.cli.options import Options
from hpconsole.cli.session import build_app
from hpconsole.core.model.vm import Vm
from hpconsole.ui.desktop import run
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.tasks.task_book import TaskState

VM = "trade-engine-1"
OUT = Path(__file__).resolve().parent.parent / "build" / "tour"
SIZE = (1366, 768)
STEP_LIMIT_S = 60.0
LOOK_EVERY_MS = 30

_Widget = TypeVar("_Widget", bound=QWidget)
Condition = Callable[[], object]


class TourFailed(Exception):
    """A step did not do what it should."""


class Hand:
    """Mouse and keyboard of the X server."""

    def __init__(self) -> None:
        self._program = shutil.which("xdotool") or ""
        if not self._program:
            raise TourFailed("xdotool is missing: run tools/setup")

    def __call__(self, *words: object) -> None:
        """Run xdotool with these words."""
        subprocess.run([self._program, *map(str, words)], check=True, timeout=20)

    def focus(self, window: QWidget) -> None:
        """Give a window the keyboard: there is no window manager that would."""
        self("windowfocus", int(window.winId()))

    def click(self, widget: QWidget, place: QPoint | None = None) -> None:
        """Left click on a widget."""
        spot = widget.mapToGlobal(place or widget.rect().center())
        self("mousemove", spot.x(), spot.y(), "click", 1)

    def click_row(self, view: QAbstractItemView, row: int) -> None:
        """Left click on the first cell of a row."""
        index = view.model().index(row, 1)
        view.scrollTo(index)
        self.click(view.viewport(), view.visualRect(index).center())


class Tour(QObject):
    """Drives one window. Every `yield` is a condition that is waited for while the program goes on."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window.frame)
        self._window = window
        self._hand = Hand()
        self._pictures = 0
        self.failure = ""
        # There is no window manager here that would frame a dialog.
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.setStyleSheet(application.styleSheet() + "QDialog { border: 2px solid #556173; }")
        self._script = self._main_job()
        self._condition: Condition = lambda: True
        self._deadline = time.monotonic() + STEP_LIMIT_S
        self._timer = QTimer(self, interval=LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        try:
            if self._condition():
                self._condition = next(self._script)
                self._deadline = time.monotonic() + STEP_LIMIT_S
            elif time.monotonic() > self._deadline:
                self.fail("what was waited for did not happen")
        except StopIteration:
            self._leave()
        except (TourFailed, AssertionError, subprocess.SubprocessError) as error:
            self.fail(str(error) or type(error).__name__)

    def fail(self, why: str) -> None:
        """End the tour here."""
        if not self.failure:
            self.failure = f"after picture {self._pictures}: {why}"
            self._picture("failed")
            self._leave()

    def _leave(self) -> None:
        self._timer.stop()
        QApplication.exit(1 if self.failure else 0)

    # The main job

    def _main_job(self) -> Iterator[Condition]:
        window, hand = self._window, self._hand
        yield lambda: window.frame.isVisible() and window.vms.model.rowCount() >= 100
        yield self._seconds(4)  # loads and ages are there
        hand.focus(window.frame)
        yield lambda: QGuiApplication.focusWindow() is not None
        hand.click_row(window.vms.view, 0)
        yield lambda: bool(window.selection.vms)
        self._picture("hosts-and-vms")

        hand("key", "ctrl+f")
        search = self._child(window.frame, QLineEdit, "search")
        yield search.hasFocus
        hand("type", "--delay", 40, VM)
        yield lambda: window.vms.model.rowCount() == 1
        hand("key", "Down")
        yield lambda: [vm.name for vm in window.selection.vms] == [VM]
        self._picture("found-and-selected")
        source = self._vm().host or ""
        yield from self._migrate(source)

    def _migrate(self, source: str) -> Iterator[Condition]:
        window, hand = self._window, self._hand
        hand("key", "ctrl+m")
        yield lambda: window.frame.findChild(QWidget, "migrate_dialog") is not None
        dialog = self._child(window.frame, QWidget, "migrate_dialog")
        yield lambda: "can take" in self._child(dialog, QLabel, "migrate_status").text()
        yield self._child(dialog, QWidget, "picture_there").isVisible
        hand.focus(dialog)
        yield self._seconds(0.5)
        self._picture("all-hosts-judged")

        table = self._child(dialog, QAbstractItemView, "migrate_hosts")
        unsuitable = self._most_refused(table)
        hand.click_row(table, unsuitable)
        yield lambda: bool(dialog.findChildren(QLabel, "refusal_sentence"))
        yield self._seconds(0.5)
        self._picture("why-not-this-host")

        hand.click_row(table, 1)
        yield self._child(dialog, QWidget, "picture_there").isVisible
        hand.click(self._child(dialog, QRadioButton, "choose_host"), QPoint(9, 9))
        accept = self._child(dialog, QPushButton, "migrate_accept")
        second = table.model().index(1, 1).data()
        yield lambda: accept.isEnabled() and accept.text().endswith(second)
        self._picture("a-chosen-host")

        hand.click(self._child(dialog, QRadioButton, "choose_automatically"), QPoint(9, 9))
        hand.click_row(table, 0)
        yield lambda: accept.isEnabled() and accept.text().endswith(table.model().index(0, 1).data())
        yield self._seconds(0.5)
        self._picture("automatically")
        destination = accept.text().split()[-1]
        hand("key", "Return")
        yield lambda: window.frame.findChild(QWidget, "migrate_dialog") is None
        yield from self._watch(source, destination)

    def _watch(self, source: str, destination: str) -> Iterator[Condition]:
        window, hand = self._window, self._hand
        hand.focus(window.frame)
        book = window.docks.tasks.book
        yield lambda: any(task.share >= 0.3 or task.state.is_over for task in book.tasks)
        self._picture("on-its-way")
        yield lambda: bool(book.tasks) and book.tasks[0].state.is_over
        task = book.tasks[0]
        assert task.state is TaskState.DONE, task.sentence
        yield lambda: self._vm().host == destination and not self._vm().is_migrating
        yield self._seconds(1.5)
        self._picture("on-its-new-host")

        hand("key", "ctrl+f")
        yield self._child(window.frame, QLineEdit, "search").hasFocus
        hand("key", "Escape")
        yield lambda: window.vms.model.rowCount() >= 100
        hand.click_row(window.hosts.view, self._position(source))
        yield lambda: window.selection.hosts == (source,)
        hand("keydown", "ctrl")
        hand.click_row(window.hosts.view, self._position(destination))
        hand("keyup", "ctrl")
        yield lambda: set(window.selection.hosts) == {source, destination}
        hand("key", "ctrl+l")
        yield lambda: window.frame.findChild(QWidget, "load_charts") is not None
        yield self._seconds(2)
        self._picture("load-of-both-hosts")

    # Looking

    def _vm(self) -> Vm:
        return next(vm for vm in self._window._snapshot.vms.values() if vm.name == VM)

    def _position(self, host: str) -> int:
        position = self._window.hosts.model.position_of(host)
        if position is None:
            raise TourFailed(f"{host} is not listed")
        return position

    def _most_refused(self, table: QAbstractItemView) -> int:
        model = table.model()
        counts = [model.index(row, 2).data() for row in range(model.rowCount())]
        numbers = [int(text.split()[0]) if "reason" in text else 0 for text in counts]
        return numbers.index(max(numbers))

    def _child(self, parent: QWidget, kind: type[_Widget], name: str) -> _Widget:
        found = parent.findChild(kind, name)
        if found is None:
            raise TourFailed(f"there is no {name}")
        return found

    def _seconds(self, seconds: float) -> Condition:
        until = time.monotonic() + seconds
        return lambda: time.monotonic() >= until

    def _picture(self, name: str) -> None:
        """The whole screen, as a visitor would see it."""
        self._pictures += 1
        screen = QGuiApplication.primaryScreen()
        picture = screen.grabWindow(0)
        path = OUT / f"{self._pictures:02}-{name}.png"
        if not picture.save(str(path)):
            raise TourFailed(f"{path} cannot be written")
        print(f"tour: {path.relative_to(OUT.parent.parent)}", flush=True)


def _start_display() -> subprocess.Popen[bytes] | None:
    """An X server of our own, whatever display there is: a tour must not move anybody's mouse."""
    if shutil.which("Xvfb") is None:
        raise TourFailed("Xvfb is missing: run tools/setup")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    if not number:
        raise TourFailed("Xvfb did not start")
    os.environ.update(DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb")
    os.environ.pop("WAYLAND_DISPLAY", None)
    return server


def _play() -> str:
    """Play the tour; returns what went wrong, or nothing."""
    tours: list[Tour] = []

    def on_window(window: MainWindow) -> None:
        window.frame.setGeometry(0, 0, *SIZE)
        tours.append(Tour(window))

    def on_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        tours[0].fail(f"{kind.__name__}: {error}")

    sys.excepthook = on_bug
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        app = build_app(Options(demo_seed=1))
        run(app, settings=Path(folder) / "window.ini", on_window=on_window)
    return tours[0].failure


def main() -> int:
    """Play the tour; returns the exit code."""
    server = None
    try:
        server = _start_display()
        failure = _play()
    except TourFailed as error:
        failure = str(error)
    finally:
        if server is not None:
            server.terminate()
            server.wait()
    if failure:
        print(f"tour: FAILED: {failure}", file=sys.stderr)
        return 1
    print("tour: done; the pictures show every step.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
