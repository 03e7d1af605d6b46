"""New VM / Edit VM: shows what the presenter says, hands gestures to it, saves through `Machines`. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFont, QIcon, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.machines.draft import OptimizedFor, VmDraft
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui import icons
from hpconsole.ui.pinning.presenter import PinTexts
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.changes_dialog import ChangesDialog
from hpconsole.ui.vm_editor.devices_page import DevicesPage
from hpconsole.ui.vm_editor.editing_dialog import EditingDialog
from hpconsole.ui.vm_editor.fields import TYPES, Tab
from hpconsole.ui.vm_editor.host_page import HostPage
from hpconsole.ui.vm_editor.machines import Machines
from hpconsole.ui.vm_editor.numa_page import NumaPage
from hpconsole.ui.vm_editor.pages import BootPage, FormPage, GeneralPage, PlainPage, SystemPage
from hpconsole.ui.vm_editor.performance_panel import PerformancePanel
from hpconsole.ui.vm_editor.pinning_values import with_texts
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from hpconsole.ui.vm_editor.survey import compared, xml_difference
from hpconsole.ui.vm_editor.view import ChangeLine, EditorView
from hpconsole.ui.vm_editor.xml_page import XmlPage
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_SIZE = QSize(1340, 712)


class VmEditorDialog(EditingDialog):
    """Emits `saved(Saved, name)` when the VM is made or written. Not modal: the window goes on beside it."""

    saved = Signal(object, str)

    def __init__(
        self, presenter: VmEditorPresenter, machines: Machines, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(presenter, theme, parent)
        self.setObjectName("vm_editor_dialog")
        self.setWindowTitle("New VM" if presenter.is_new else "Edit VM")
        self.resize(_SIZE)
        self._presenter = presenter
        self._machines = machines
        self._build()
        self._connect()
        self.set_theme(theme)
        self._panel.setVisible(presenter.draft.optimized_for is OptimizedFor.HIGH_PERFORMANCE)
        self._show()
        (self._forms[Tab.GENERAL].rows["name"].widget if presenter.is_new else self._tabs).setFocus()
        self._ask()
        self._load_storage()

    # Building

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addLayout(self._build_head())
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self._build_tabs())
        middle.addWidget(self._build_pages(), 1)
        self._panel = PerformancePanel()
        middle.addWidget(self._panel)
        layout.addLayout(middle, 1)
        layout.addLayout(self._build_bottom())
        self._save.setDefault(True)

    def _build_head(self) -> QHBoxLayout:
        self._title = ElidedLabel(name="editor_title")
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=2)
        self._type = QComboBox()
        self._type.setObjectName("field_optimized_for")
        self._type.setToolTip("High Performance sets everything that makes a VM fast; other types restore it")
        for kind, text in TYPES:
            self._type.addItem(text, kind.value)
        label = QLabel("&Optimized for")
        label.setBuddy(self._type)
        self._show_panel = QCheckBox("&Performance advice")
        self._show_panel.setObjectName("show_performance")
        self._show_panel.setToolTip("What makes this VM fast, done or missing")
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self._title, 1)
        row.addWidget(label)
        row.addWidget(self._type)
        row.addSpacing(12)
        row.addWidget(self._show_panel)
        return row

    def _build_tabs(self) -> QListWidget:
        self._tabs = QListWidget()
        self._tabs.setObjectName("editor_tabs")
        self._tabs.setAccessibleName("Tabs")
        for tab in Tab:
            item = QListWidgetItem(tab.value)
            item.setSizeHint(QSize(0, self.fontMetrics().height() + 14))
            self._tabs.addItem(item)
        self._tabs.setIconSize(QSize(14, 14))
        nothing = QPixmap(14, 14)
        nothing.fill(Qt.GlobalColor.transparent)
        self._no_icon = QIcon(nothing)  # so that the names stand below each other
        self._tabs.setFixedWidth(self.fontMetrics().horizontalAdvance(Tab.RESOURCES.value) + 58)
        self._tabs.setCurrentRow(0)
        return self._tabs

    def _build_pages(self) -> QStackedWidget:
        self._general, self._system, self._boot = GeneralPage(), SystemPage(), BootPage()
        self._host, self._numa, self._devices, self._xml = HostPage(), NumaPage(), DevicesPage(), XmlPage()
        self._forms: dict[Tab, FormPage] = {
            Tab.GENERAL: self._general,
            Tab.SYSTEM: self._system,
            Tab.AVAILABILITY: PlainPage(Tab.AVAILABILITY),
            Tab.RESOURCES: PlainPage(Tab.RESOURCES),
            Tab.DEVICES: self._devices,
            Tab.BOOT: self._boot,
        }
        special: dict[Tab, QWidget] = {Tab.HOST: self._host, Tab.PINNING: self._numa, Tab.XML: self._xml}
        self._pages = QStackedWidget()
        self._pages.setObjectName("editor_pages")
        for tab in Tab:
            self._pages.addWidget(self._forms.get(tab) or special[tab])
        return self._pages

    def _build_bottom(self) -> QHBoxLayout:
        self._remark = TextLabel(name="editor_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        self._changes = push_button(
            "editor_changes", "Show C&hanges…", "What saving would change, as a list and as XML"
        )
        self._start = QCheckBox("Start i&t")
        self._start.setObjectName("editor_start")
        self._start.setToolTip("Boot the VM when it has been made")
        self._start.setVisible(self._presenter.is_new)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._save = buttons.addButton("Save", QDialogButtonBox.ButtonRole.AcceptRole)
        self._save.setObjectName("editor_save")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self._remark, 1)
        row.addWidget(self._start)
        row.addWidget(self._changes)
        row.addWidget(buttons)
        return row

    def _connect(self) -> None:
        presenter = self._presenter
        for form in self._forms.values():
            form.edited.connect(self._on_edited)
            form.typed.connect(lambda *what: self._gesture(lambda: presenter.set_typed(*what)))
        self._host.edited.connect(self._on_edited)
        self._host.mode_chosen.connect(lambda mode: self._gesture(lambda: presenter.choose_mode(mode)))
        self._host.mode_suggested.connect(lambda: self._gesture(presenter.suggest_mode))
        self._host.host_wanted.connect(self._on_host_wanted)
        self._numa.edited.connect(self._on_edited)
        self._numa.texts_changed.connect(self._on_texts)
        self._numa.topology_wanted.connect(self.open_numa)
        self._devices.volumes_wanted.connect(self._load_volumes)
        self._xml.typed.connect(lambda text: self._gesture(lambda: presenter.type_xml(text)))
        self._xml.forgotten.connect(lambda: self._gesture(presenter.forget_typed_xml))
        self._type.activated.connect(self._on_type)
        self._show_panel.clicked.connect(self._on_panel_wanted)
        self._panel.fill_wanted.connect(self._on_fill)
        self._changes.clicked.connect(self._on_changes)
        self._tabs.currentRowChanged.connect(self._on_tab)
        for keys, act in (
            ("Ctrl+Z", lambda: self._gesture(presenter.undo)),
            ("Ctrl+Shift+Z", lambda: self._gesture(presenter.redo)),
            ("Ctrl+PgDown", lambda: self._step_tab(1)),
            ("Ctrl+PgUp", lambda: self._step_tab(-1)),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    # From outside

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed."""
        self._presenter.refresh(snapshot)
        self._ask()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.setStyleSheet(form_style(theme))
        for part in (self._host, self._numa, self._panel):
            part.set_theme(theme)

    def show_tab(self, tab: Tab) -> None:
        """Go to this tab."""
        self._tabs.setCurrentRow(list(Tab).index(tab))

    # Gestures

    def _on_edited(self, field: str, value: Any) -> None:
        self._gesture(lambda: self._presenter.set_value(field, value))

    def _on_texts(self, texts: PinTexts) -> None:
        self._gesture(lambda: self._presenter.change(with_texts(self._presenter.draft, texts), field="pinning"))

    def _on_type(self, place: int) -> None:
        kind = OptimizedFor(self._type.itemData(place))
        self._gesture(lambda: self._presenter.set_value("optimized_for", kind))
        if kind is OptimizedFor.HIGH_PERFORMANCE:
            self._panel.setVisible(True)
            self._show_panel.setChecked(True)

    def _on_panel_wanted(self, is_wanted: bool) -> None:
        self._panel.setVisible(is_wanted)

    def _on_host_wanted(self, host: str) -> None:
        self._gesture(lambda: self._presenter.set_host(host))
        self._load_storage()

    def _on_tab(self, row: int) -> None:
        self._xml.settle()
        self._pages.setCurrentIndex(row)
        self._show()

    def _step_tab(self, step: int) -> None:
        self._tabs.setCurrentRow((self._tabs.currentRow() + step) % len(Tab))

    def open_numa(self) -> None:
        """NUMA Topology of this VM, unsaved: the first of its specific hosts is shown first."""
        from hpconsole.ui.numa.dialog import NumaDialog
        from hpconsole.ui.numa.presenter import NumaPresenter

        presenter = self._presenter
        draft, snapshot = presenter.draft, presenter.snapshot
        rest = sorted((name for name in snapshot.hosts if name != presenter.host), key=fmt.natural)
        hosts = draft.allowed_hosts or (presenter.host, *rest)
        numa = NumaPresenter((draft,), snapshot, presenter.policy, presenter.reservations, hosts=hosts)
        dialog = NumaDialog(numa, self._theme, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.drafts_accepted.connect(self._on_numa)
        dialog.show()

    def _on_numa(self, changed: Sequence[tuple[VmDraft, VmDraft]]) -> None:
        for _, after in changed:
            self._gesture(partial(self._presenter.change, after))

    def _on_fill(self, key: str) -> None:
        presenter = self._presenter

        def compute() -> tuple[VmDraft, tuple[ChangeLine, ...], str] | None:
            filled = presenter.filled(key)
            if filled is None:
                return None
            return filled, compared(presenter.draft, filled, presenter.vm), xml_difference(presenter.draft, filled)

        self._background.run(compute, self._offer_filled, self._on_failure)

    def _offer_filled(self, offer: tuple[VmDraft, tuple[ChangeLine, ...], str] | None) -> None:
        if offer is None:
            return
        filled, lines, difference = offer
        take = partial(self._gesture, partial(self._presenter.change, filled))
        self._confirm_changes("Filling this in would change:", lines, difference, "&Fill In", take).open()

    def _on_changes(self) -> None:
        self._xml.settle()
        presenter = self._presenter
        before, draft, view = presenter.before, presenter.draft, presenter.view()

        def show(difference: str) -> None:
            title = f"{view.title}: {view.summary}"
            dialog = ChangesDialog(title, view.changes, difference, self._theme, parent=self)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()

        self._background.run(lambda: xml_difference(before, draft), show, self._on_failure)

    # Storage of the host

    def _load_storage(self) -> None:
        host = self._presenter.host
        there = self._presenter.snapshot.hosts.get(host)
        sources = sorted((*there.devices.networks, *there.devices.bridges)) if there is not None else []
        known = sorted(there.devices.storage_pools) if there is not None else []
        self._devices.set_storage(known, sources)
        if host:
            self._writing.run(
                lambda: self._machines.pools(host),
                lambda pools: self._devices.set_storage(pools, sources),
                lambda _: None,  # the names that were known stay offered
            )

    def _load_volumes(self, pool: str) -> None:
        host = self._presenter.host
        there = self._presenter.snapshot.hosts.get(host)
        if there is not None and pool in there.devices.storage_pools:
            self._writing.run(
                lambda: self._machines.volumes(host, pool),
                self._devices.set_volumes,
                lambda _: None,  # any name can be typed
            )

    # Saving

    def accept(self) -> None:
        """Make or write the VM, if nothing is wrong; the dialog closes when it is done."""
        self._xml.settle()
        view = self._presenter.view()
        if not view.can_save or self._is_writing:
            return
        presenter = self._presenter
        draft, before, host, vm = presenter.draft, presenter.before, presenter.host, presenter.vm
        is_started = self._start.isChecked()
        self._begin_writing()

        def save() -> object:
            if vm is None:
                return self._machines.create(host, draft, start=is_started)
            return self._machines.save(host, before, draft)

        self._writing.run(save, lambda done: self._on_saved(done, draft.name), self._on_failure)

    def _on_saved(self, saved: object, name: str) -> None:
        self._is_writing = False
        self.saved.emit(saved, name)
        super().accept()

    # Showing

    def _show(self) -> None:
        view = self._presenter.view()
        self._title.setText(view.title)
        with QSignalBlocker(self._type):
            self._type.setCurrentIndex(self._type.findData(view.draft.optimized_for.value))
        self._show_panel.setChecked(self._panel.isVisibleTo(self))
        self._show_page(view)
        self._show_tabs(view)
        self._panel.show_advice(view.advice)
        self._say(view)
        self._save.setText("Saving…" if self._is_writing else view.save_text)
        self._save.setEnabled(view.can_save and not self._is_writing)
        self._changes.setEnabled(view.draft != self._presenter.before or view.is_new)

    def _show_page(self, view: EditorView) -> None:
        """Only the page in sight: the others when they come into it."""
        tab = list(Tab)[self._tabs.currentRow()]
        if tab in self._forms:
            self._forms[tab].show_view(view)
        elif tab is Tab.HOST:
            self._host.show_view(view)
        elif tab is Tab.PINNING:
            self._numa.show_view(view, self._presenter)
        else:
            self._xml.show_view(view, self._presenter.xml)

    def _show_tabs(self, view: EditorView) -> None:
        for row, tab in enumerate(Tab):
            item = self._tabs.item(row)
            problem = view.bad_tabs.get(tab.value, "")
            item.setIcon(icons.icon("bad", self._theme.bad) if problem else self._no_icon)
            item.setToolTip(problem)

    def _say(self, view: EditorView) -> None:
        text = self._failure or view.problem or view.summary
        self._remark.setText(text)
        self._remark.set_tone(Tone.BAD if self._failure or view.problem else Tone.MUTED)
