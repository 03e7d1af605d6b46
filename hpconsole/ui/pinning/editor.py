"""Pinning as one widget: text fields, table of threads and picture, three views of one value.

Shows what the presenter says and hands gestures to it; emits `changed` when the texts are other than before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from hpconsole.ui.migrate.placement_view import Legend
from hpconsole.ui.pinning.board_view import BoardView
from hpconsole.ui.pinning.presenter import PinningPresenter, PinningView
from hpconsole.ui.pinning.thread_list import ThreadList
from hpconsole.ui.pinning.threads import Thread, as_mapping
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_HOW = "Drag threads onto a CPU, or select CPUs and press Enter. Delete unpins."


class PinningEditor(QWidget):
    """Edits the map of a `PinningPresenter`."""

    changed = Signal()

    def __init__(self, presenter: PinningPresenter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("pinning_editor")
        self._presenter = presenter
        self._shown = presenter.view()
        self._rendered: PinningView | None = None
        self._build()
        self._connect()
        self.show_state()

    # Building

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._build_texts())
        middle = QHBoxLayout()
        middle.setSpacing(10)
        middle.addLayout(self._build_threads())
        middle.addLayout(self._build_picture(), 1)
        layout.addLayout(middle, 1)

    def _build_texts(self) -> QGridLayout:
        self._vcpus = _field("pinning_text", "0#2_1#18", "CPUs of each vCPU: vCPU#CPUs, joined by “_”")
        self._emulator = _field("emulator_text", "any CPU", "CPUs of the emulator's threads, such as 0-1,16")
        self._iothreads = _field("iothread_text", "any CPU", "CPUs of each IO thread: thread#CPUs, joined by “_”")
        self._vcpu_problem = TextLabel(name="pinning_problem", tone=Tone.BAD, wraps=True)
        self._helper_problem = TextLabel(name="helper_problem", tone=Tone.BAD, wraps=True)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        for column, (text, field) in enumerate(
            (("vCPU pi&nning", self._vcpus), ("E&mulator", self._emulator), ("IO th&reads", self._iothreads))
        ):
            label = QLabel(text)
            label.setBuddy(field)
            grid.addWidget(label, 0, 2 * column)
            grid.addWidget(field, 0, 2 * column + 1)
        grid.setColumnStretch(1, 5)
        grid.setColumnStretch(3, 2)
        grid.setColumnStretch(5, 2)
        grid.addWidget(self._vcpu_problem, 1, 1)
        grid.addWidget(self._helper_problem, 1, 2, 1, 4)
        return grid

    def _build_threads(self) -> QVBoxLayout:
        self._threads = ThreadList("pinning_threads")
        self._each = push_button(
            "pin_each", "Pin &One by One", "The first selected thread on the first selected CPU, ..."
        )
        self._all = push_button("pin_all", "Pin All To&gether", "Each selected thread on all selected CPUs")
        self._unpin = push_button("pin_none", "&Unpin", "Let the selected threads run on any CPU")
        self._clear = push_button("pin_clear", "Clea&r", "Unpin everything")
        self._undo = push_button("pin_undo", "Undo", "Take the last change of the pinning back (Ctrl+Z)")
        self._redo = push_button("pin_redo", "Redo", "Make the change again (Ctrl+Shift+Z)")
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for place, button in enumerate((self._each, self._all, self._unpin, self._clear, self._undo, self._redo)):
            buttons.addWidget(button, place // 2, place % 2)
        column = QVBoxLayout()
        column.setSpacing(6)
        self._threads.setMinimumWidth(self.fontMetrics().averageCharWidth() * 30)
        self._threads.setMaximumWidth(self.fontMetrics().averageCharWidth() * 40)
        column.addWidget(framed(self._threads), 1)
        column.addLayout(buttons)
        return column

    def _build_picture(self) -> QVBoxLayout:
        self._hosts = QComboBox()
        self._hosts.setObjectName("pinning_host")
        self._hosts.setAccessibleName("Host that is shown")
        self._own = QCheckBox("Own map on t&his host")
        self._own.setObjectName("pinning_own")
        self._own.setToolTip("Pin the vCPUs to other CPUs on this host than on the others")
        self._how = ElidedLabel(name="pinning_how", tone=Tone.MUTED)
        self._view = BoardView("pinning_board")
        self._scroll = QScrollArea()
        self._scroll.setObjectName("pinning_scroll")
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setWidget(self._view)
        self._scroll.viewport().installEventFilter(self)
        self._legend = Legend()
        self._remarks = TextLabel(name="pinning_remarks", tone=Tone.WARNING, wraps=True)
        self._remarks.setMinimumHeight(self.fontMetrics().lineSpacing())
        row = QHBoxLayout()
        row.setSpacing(10)
        label = QLabel("Ho&st")
        label.setBuddy(self._hosts)
        row.addWidget(label)
        row.addWidget(self._hosts)
        row.addWidget(self._own)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(5)
        column.addLayout(row)
        column.addWidget(self._how)
        column.addWidget(self._scroll, 1)
        column.addWidget(self._legend)
        column.addWidget(self._remarks)
        return column

    def _connect(self) -> None:
        presenter = self._presenter
        self._vcpus.textEdited.connect(lambda text: self._gesture(lambda: presenter.type_vcpus(text)))
        self._emulator.textEdited.connect(lambda text: self._gesture(lambda: presenter.type_emulator(text)))
        self._iothreads.textEdited.connect(lambda text: self._gesture(lambda: presenter.type_iothreads(text)))
        self._hosts.activated.connect(
            lambda _: self._gesture(lambda: presenter.show_host(self._hosts.currentData() or ""))
        )
        self._own.clicked.connect(lambda on: self._gesture(lambda: presenter.give_own_map(on)))
        self._each.clicked.connect(lambda: self._pin(is_together=False))
        self._all.clicked.connect(lambda: self._pin(is_together=True))
        self._unpin.clicked.connect(self._unpin_selected)
        self._clear.clicked.connect(lambda: self._gesture(presenter.clear))
        self._undo.clicked.connect(lambda: self._gesture(presenter.undo))
        self._redo.clicked.connect(lambda: self._gesture(presenter.redo))
        for keys, act in (("Ctrl+Z", presenter.undo), ("Ctrl+Shift+Z", presenter.redo)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda act=act: self._gesture(act))
        self._threads.carried_over.connect(lambda place: self._view.set_drop(self._in_view(place)))
        self._threads.dropped.connect(self._on_dropped)
        self._threads.pin_wanted.connect(lambda together: self._pin(is_together=together))
        self._threads.unpin_wanted.connect(self._unpin_selected)
        self._threads.itemSelectionChanged.connect(self._render_buttons)
        self._view.selection_changed.connect(self._on_cpus_selected)
        self._view.pin_wanted.connect(lambda together: self._pin(is_together=together))
        self._view.unpin_wanted.connect(self._on_cpus_unpinned)
        self._view.carried.connect(self._on_carried)

    @property
    def has_problem(self) -> bool:
        """Whether a text is wrong by itself, which is said at its field."""
        view = self._shown
        return bool(view.vcpu_problem or view.emulator_problem or view.iothread_problem)

    # Gestures

    def _gesture(self, tell: Callable[[], None]) -> None:
        before = self._presenter.texts
        tell()
        self.show_state()
        if self._presenter.texts != before:
            self.changed.emit()

    def _pin(self, *, is_together: bool) -> None:
        threads, cpus = self._threads.selected, self._view.selected
        if not threads or not cpus:
            return
        if is_together or (len(threads) == 1 and len(cpus) > 1):
            self._gesture(lambda: self._presenter.pin_together(threads, cpus))
        else:
            self._gesture(lambda: self._presenter.pin_one_by_one(threads, cpus))
        self._threads.select_after(threads)

    def _unpin_selected(self) -> None:
        threads = self._threads.selected
        self._gesture(lambda: self._presenter.unpin(threads))

    def _on_dropped(self, place: QPoint) -> None:
        cpu = self._view.set_drop(self._in_view(place))
        self._view.set_drop(None)
        threads = self._threads.selected
        if cpu is not None and self._presenter.is_editable:
            self._gesture(lambda: self._presenter.pin_from(threads, cpu))

    def _on_carried(self, source: int, target: int) -> None:
        threads = self._threads_on((source,))
        self._gesture(lambda: self._presenter.pin_together(threads, (target,)))

    def _on_cpus_unpinned(self, cpus: Sequence[int]) -> None:
        threads = self._threads_on(cpus)
        self._gesture(lambda: self._presenter.unpin(threads))

    def _on_cpus_selected(self) -> None:
        self._render_buttons()

    def _threads_on(self, cpus: Sequence[int]) -> tuple[Thread, ...]:
        pinned = as_mapping(self._presenter.pinning)
        return tuple(thread for thread, own in pinned.items() if any(cpu in own for cpu in cpus))

    def _in_view(self, place: QPoint) -> QPointF | None:
        inside = self._scroll.viewport().rect().contains(self._scroll.viewport().mapFromGlobal(place))
        return QPointF(self._view.mapFromGlobal(place)) if inside else None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Resize:
            self._view.set_room(self._scroll.viewport().size())
        return super().eventFilter(watched, event)

    # Showing

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._view.set_theme(theme)
        self._legend.set_theme(theme)

    def show_state(self) -> None:
        """Show what the presenter says."""
        view = self._presenter.view()
        if view is self._rendered:
            self._render_buttons()
            return
        self._shown = self._rendered = view
        for field, text in (
            (self._vcpus, view.vcpu_text),
            (self._emulator, view.texts.emulator),
            (self._iothreads, self._presenter.iothread_text),
        ):
            if field.text() != text:
                field.setText(text)
            field.setReadOnly(not view.is_editable)
            field.setEnabled(view.is_editable)
        _say(self._vcpu_problem, view.vcpu_problem)
        _say(self._helper_problem, view.emulator_problem or view.iothread_problem)
        with QSignalBlocker(self._threads):
            self._threads.set_lines(view.lines)
        self._render_hosts(view)
        self._view.set_board(view.board)
        self._how.setText(view.why_not or _HOW)
        self._remarks.setText("  ".join(view.remarks[:3]))
        self._render_buttons()

    def _render_hosts(self, view: PinningView) -> None:
        names = [self._hosts.itemData(i) for i in range(self._hosts.count())]
        if tuple(names) != view.hosts:
            self._hosts.clear()
            for name in view.hosts:
                self._hosts.addItem(name, name)
        self._hosts.setCurrentIndex(max(0, self._hosts.findData(view.host)))
        self._own.setChecked(view.has_own_map)
        self._own.setEnabled(view.is_editable and bool(view.host) and (len(view.hosts) > 1 or view.has_own_map))

    def _render_buttons(self) -> None:
        view = self._shown
        can_pin = view.is_editable and bool(self._threads.selected) and bool(self._view.selected)
        self._each.setEnabled(can_pin)
        self._all.setEnabled(can_pin)
        self._unpin.setEnabled(view.is_editable and bool(self._threads.selected))
        self._clear.setEnabled(view.is_editable)
        self._undo.setEnabled(view.can_undo)
        self._redo.setEnabled(view.can_redo)


def _field(name: str, placeholder: str, tip: str) -> QLineEdit:
    field = QLineEdit()
    field.setObjectName(name)
    field.setPlaceholderText(placeholder)
    field.setToolTip(tip)
    field.setMaxLength(1_000_000)
    return field


def _say(label: TextLabel, sentence: str) -> None:
    label.setText(sentence)
    label.setVisible(bool(sentence))
