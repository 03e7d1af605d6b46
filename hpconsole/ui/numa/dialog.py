"""NUMA Topology: virtual nodes at the left, the host at the right, a strip of hosts above. Decides nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFont, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QMenu,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import NumaMode
from hpconsole.ui.numa.host_strip import HostStrip
from hpconsole.ui.numa.node_editor import NodeEditor
from hpconsole.ui.numa.picture import NumaPicture, style
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.numa.survey import Changed, Written, assigned, several
from hpconsole.ui.numa.view import Key, NumaView
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.editing_dialog import EditingDialog
from hpconsole.ui.vm_editor.survey import compared, xml_difference
from hpconsole.ui.vm_editor.view import ChangeLine
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel


class NumaDialog(EditingDialog):
    """Emits `drafts_accepted(changed)`, pairs of (before, now), when the user is done.

    Args:
        write: Writes them to the hosts, on a worker thread; None: whoever listens keeps them. Several VMs are written
            in one step, after one question.
    """

    drafts_accepted = Signal(object)

    def __init__(
        self,
        presenter: NumaPresenter,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        write: Callable[[Changed], Written] | None = None,
    ) -> None:
        super().__init__(presenter, theme, parent)
        self.setObjectName("numa_dialog")
        self.setWindowTitle("NUMA Topology")
        self.resize(1320, 708)
        self._presenter = presenter
        self._write = write
        self._build()
        self._connect()
        self.set_theme(theme)
        self._ask()

    # Building

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        self._title = TextLabel(name="numa_title")
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=2)
        self._host_text = ElidedLabel(name="numa_host_text", tone=Tone.MUTED)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._title)
        head.addWidget(self._host_text, 1)
        layout.addLayout(head)
        self._strip = HostStrip()
        layout.addWidget(self._strip)
        self._reasons = TextLabel(name="numa_reasons", wraps=True)
        self._reasons.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self._reasons)
        middle = QHBoxLayout()
        middle.setSpacing(10)
        self._picture = NumaPicture()
        middle.addWidget(self._scrolled(self._picture.loose, "numa_loose", self.fontMetrics().averageCharWidth() * 36))
        middle.addWidget(self._scrolled(self._picture, "numa_host"), 1)
        self._node = NodeEditor()
        middle.addWidget(self._node)
        layout.addLayout(middle, 1)
        layout.addLayout(self._build_bottom())

    def _scrolled(self, inner: QWidget, name: str, width: int = 0) -> QScrollArea:
        scroll = QScrollArea(widgetResizable=True)
        scroll.setObjectName(name)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inner)
        if width:
            scroll.setFixedWidth(width)
            scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        return scroll

    def _build_bottom(self) -> QHBoxLayout:
        self._remark = TextLabel(name="numa_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        self._single = QCheckBox("Pin on the shown &host only")
        self._single.setObjectName("numa_single_host")
        self._single.setToolTip("What is drawn holds on this host only; the others keep theirs")
        self._auto = push_button(
            "numa_auto", "&Auto-assign…", "The best legal assignment on this host, shown before it is taken"
        )
        self._undo = push_button("numa_undo", "&Undo", "Take the last change back (Ctrl+Z)")
        self._redo = push_button("numa_redo", "&Redo", "Make the change again (Ctrl+Shift+Z)")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._ok = buttons.addButton("OK", QDialogButtonBox.ButtonRole.AcceptRole)
        self._ok.setObjectName("numa_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._remark, 1)
        for widget in (self._single, self._auto, self._undo, self._redo):
            row.addWidget(widget)
        row.addSpacing(12)
        row.addWidget(buttons)
        return row

    def _connect(self) -> None:
        presenter, picture = self._presenter, self._picture
        self._strip.chosen.connect(lambda host: self._gesture(lambda: presenter.show_host(host)))
        picture.chosen.connect(lambda key: self._gesture(lambda: presenter.select(key)))
        picture.carried.connect(self._on_carried)
        picture.dropped.connect(self._on_dropped)
        picture.stepped.connect(lambda key, by: self._gesture(lambda: presenter.step(key, by)))
        picture.numbered.connect(self._on_numbered)
        picture.unpinned.connect(lambda key: self._gesture(lambda: presenter.unpin(key)))
        picture.menu_wanted.connect(self._open_menu)
        self._node.mode_chosen.connect(lambda key, mode: self._gesture(lambda: presenter.set_mode(key, mode)))
        self._node.memory_given.connect(lambda key, kib: self._gesture(lambda: presenter.set_memory(key, kib)))
        self._node.vcpus_typed.connect(self._on_vcpus)
        self._node.split_wanted.connect(lambda key: self._gesture(lambda: presenter.split(key)))
        self._node.merge_wanted.connect(lambda key, other: self._gesture(lambda: presenter.merge(key, other)))
        self._single.clicked.connect(lambda on: self._gesture(lambda: presenter.draw_for_one_host(on)))
        self._auto.clicked.connect(self._on_auto)
        self._undo.clicked.connect(lambda: self._gesture(presenter.undo))
        self._redo.clicked.connect(lambda: self._gesture(presenter.redo))
        QShortcut(QKeySequence("Ctrl+Z"), self).activated.connect(lambda: self._gesture(presenter.undo))
        QShortcut(QKeySequence("Ctrl+Shift+Z"), self).activated.connect(lambda: self._gesture(presenter.redo))

    # From outside

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed."""
        self._presenter.refresh(snapshot)
        if not self._is_in_hand:
            self._show()
        self._ask()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self._picture.set_theme(theme)
        self._strip.set_theme(theme)
        self.setStyleSheet(form_style(theme) + style(theme))
        self._show()

    @property
    def _is_in_hand(self) -> bool:
        return self._picture.is_carrying

    def accept(self) -> None:
        """Hand over what changed, or write it."""
        changed = self._presenter.changed
        if not self._presenter.view().can_save or self._is_writing:
            return
        if self._write is None:
            self._finish(changed)
        elif len(changed) == 1:
            self._write_now(changed)
        else:
            self._writing.run(lambda: several(changed), lambda told: self._confirm(changed, told), self._on_failure)

    def _confirm(self, changed: Changed, told: tuple[tuple[ChangeLine, ...], str]) -> None:
        """One question about everything that will be written."""
        lines, difference = told
        title = f"{len(changed)} VMs will be changed in one step:"
        dialog = self._confirm_changes(title, lines, difference, "&Save All", lambda: self._write_now(changed))
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.open()

    def _write_now(self, changed: Changed) -> None:
        write = self._write
        if write is None or self._is_writing or changed != self._presenter.changed:
            return
        self._begin_writing()
        self._writing.run(lambda: write(changed), lambda written: self._on_written(changed, written), self._on_failure)

    def _on_written(self, changed: Changed, written: Written) -> None:
        self._is_writing = False
        if not written.problem:
            self._finish(changed)
            return
        self._presenter.take_written(written.drafts)
        self._failure = written.problem
        self._show()
        self._ask()

    def _finish(self, changed: Changed) -> None:
        self.drafts_accepted.emit(changed)
        super().accept()

    # Gestures

    def _on_carried(self, key: Key, place: QPoint) -> None:
        node_id = self._picture.node_at(place)
        fit = self._presenter.fit(key, node_id) if node_id is not None else None
        self._picture.show_carrying(node_id, fit)
        self._remark.setText(fit.sentence if fit is not None else "")
        self._remark.set_tone(Tone.BAD if fit is not None and fit.is_impossible else Tone.WARNING)

    def _on_dropped(self, key: Key, place: QPoint) -> None:
        node_id = self._picture.node_at(place)
        self._picture.show_carrying(None, None)
        if node_id is not None:
            self._gesture(lambda: self._presenter.pin(key, (node_id,)))
        elif self._picture.is_loose_at(place):
            self._gesture(lambda: self._presenter.unpin(key))
        else:
            self._show()

    def _on_numbered(self, key: Key, number: int, is_spanning: bool) -> None:
        if number in self._presenter.view().node_ids:
            change = self._presenter.toggle if is_spanning else lambda k, n: self._presenter.pin(k, (n,))
            self._gesture(lambda: change(key, number))

    def _on_vcpus(self, key: Key, text: str) -> None:
        problem = self._presenter.set_vcpus(key, text)
        self._node.say(problem)
        if not problem:
            self._gesture(lambda: None)

    def _open_menu(self, key: Key, place: QPoint) -> None:
        self._gesture(lambda: self._presenter.select(key))
        view = self._presenter.view()
        detail = view.selected
        if detail is None:
            return
        menu = QMenu(self)
        menu.setObjectName("numa_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        presenter = self._presenter
        for node_id in view.node_ids:
            fit = presenter.fit(key, node_id)
            action = menu.addAction(f"Pin to node &{node_id}")
            action.setObjectName(f"pin_to_{node_id}")
            action.setEnabled(not fit.is_impossible)
            action.setToolTip(fit.sentence or f"Its memory on node {node_id}")
            action.triggered.connect(partial(self._gesture, partial(presenter.pin, key, (node_id,))))
        span = menu.addMenu("&Span over")
        for node_id in view.node_ids:
            action = span.addAction(f"Node &{node_id}")
            action.setCheckable(True)
            action.setChecked(node_id in detail.chip.host_nodes)
            action.triggered.connect(partial(self._gesture, partial(presenter.toggle, key, node_id)))
        unpin = menu.addAction("&Unpin")
        unpin.setEnabled(bool(detail.chip.host_nodes))
        unpin.triggered.connect(partial(self._gesture, partial(presenter.unpin, key)))
        menu.addSeparator()
        split = menu.addAction("Spl&it in Two")
        split.setEnabled(detail.can_split)
        split.triggered.connect(partial(self._gesture, partial(presenter.split, key)))
        for other in detail.mergeable:
            merge = menu.addAction(f"&Merge with {other}")
            merge.triggered.connect(partial(self._gesture, partial(presenter.merge, key, other)))
        modes = menu.addMenu("Tune m&ode")
        for mode in NumaMode:
            action = modes.addAction(mode.value)
            action.setCheckable(True)
            action.setChecked(mode is detail.chip.mode)
            action.triggered.connect(partial(self._gesture, partial(presenter.set_mode, key, mode)))
        menu.popup(place)

    def _on_auto(self) -> None:
        presenter = self._presenter
        selected = presenter.view().selected
        draft = presenter.draft_of(selected.chip.key if selected is not None else None)
        if draft is None:
            return
        snapshot, host = presenter.snapshot, presenter.host

        def compute() -> tuple[VmDraft | str, tuple[ChangeLine, ...], str]:
            found = assigned(draft, snapshot, presenter.policy(), presenter.reservations(), host)
            if isinstance(found, str):
                return found, (), ""
            return found, compared(draft, found, None), xml_difference(draft, found)

        self._background.run(compute, self._offer, self._on_failure)

    def _offer(self, offer: tuple[VmDraft | str, tuple[ChangeLine, ...], str]) -> None:
        found, lines, difference = offer
        if isinstance(found, str):
            self._presenter.say(found)
            self._show()
            return
        name = found.name or "the new VM"
        title = f"The best assignment of {name} on {self._presenter.host}:"
        take = partial(self._gesture, partial(self._presenter.take_assignment, found))
        self._confirm_changes(title, lines, difference, "&Take It", take).open()

    # Showing

    def _show(self) -> None:
        view = self._presenter.view()
        self._title.setText(view.title)
        self._host_text.setText(f"{view.host}: {view.host_text}" if view.host else view.host_text)
        self._strip.show_marks(view.hosts)
        self._reasons.setText("\n".join(view.reasons[:3]))
        self._reasons.setVisible(bool(view.reasons))
        self._picture.show_view(view)
        self._node.show_detail(view.selected)
        self._say(view)
        with QSignalBlocker(self._single):
            self._single.setChecked(view.is_single_host)
        self._single.setEnabled(len(view.hosts) > 1)
        self._auto.setEnabled(view.selected is not None)
        self._undo.setEnabled(view.can_undo)
        self._redo.setEnabled(view.can_redo)
        self._ok.setText("Saving…" if self._is_writing else view.accept_text)
        self._ok.setEnabled(view.can_save and not self._is_writing)
        self._ok.setToolTip("" if view.can_save else view.problem or "Nothing is changed yet.")

    def _say(self, view: NumaView) -> None:
        problem = self._failure or view.problem
        self._remark.setText(problem or view.summary)
        self._remark.set_tone(Tone.BAD if problem else Tone.MUTED)
