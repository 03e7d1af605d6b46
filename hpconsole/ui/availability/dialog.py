"""*High Availability*: per host what its loss would mean now, its fence device, and what the cluster does by itself.

Proofs, databases and fence agents are asked on worker threads. Not modal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.availability.fencing import Power, PowerReport, installed_agents
from hpconsole.core.availability.offs import OffProof
from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.availability import presenter
from hpconsole.ui.availability.confirm import ConfirmDialog
from hpconsole.ui.availability.device_page import DevicePage
from hpconsole.ui.availability.presenter import HostLine, View
from hpconsole.ui.availability.settings_page import SettingsPage
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.scrolled import scrolled, show_lines
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

if TYPE_CHECKING:
    from hpconsole.core.availability.availability import Availability
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

_LOOK_MS = 3000  # the proof is made anew not more often than this

COLUMNS: tuple[Column[HostLine], ...] = (
    Column("Host", lambda r: fmt.natural(r.host), lambda r: r.host, width=90),
    Column("Health", lambda r: r.state[0], lambda r: r.state[0], tone=lambda r: r.state[1], width=112,
           tooltip=lambda r: r.health.sentence, is_toned_when_selected=True),
    Column("If it failed now", lambda r: (r.loss[1].value, r.loss[0]), lambda r: r.loss[0], tone=lambda r: r.loss[1],
           width=310, tooltip=lambda r: r.loss[0], is_toned_when_selected=True),
    Column("Fence device", lambda r: r.fencing[0], lambda r: r.fencing[0], tone=lambda r: r.fencing[1], width=110),
)  # fmt: skip


class AvailabilityDialog(QDialog):
    """The high-availability view.

    Args:
        availability: The core's part of it; called on worker threads.
        snapshot: The newest snapshot.
        host: Which host to show first; empty: the first that is in danger.
    """

    def __init__(
        self,
        availability: Availability,
        snapshot: Callable[[], ClusterSnapshot],
        theme: Theme,
        *,
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]],
        host: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("availability_dialog")
        self.setWindowTitle("High Availability")
        self.resize(1160, 660)
        self._availability = availability
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = reservations
        self._first = host
        self._theme = theme
        self._background = Background(self)
        self._agents = Background(self)  # of its own: an agent may take a minute
        self._view: View | None = None
        self._lines: dict[str, HostLine] = {}
        self._shown: tuple[tuple[str, Tone], ...] | None = None
        self._is_looking = False
        self._pause = QTimer(self, singleShot=True, interval=_LOOK_MS)
        self._pause.timeout.connect(self.look)
        self._build()
        self.set_theme(theme)
        self._show_detail()
        self._agents.run(installed_agents, self._device.offer_agents)
        self.look()

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.setStyleSheet(form_style(theme))
        set_view_theme(self._table, theme)
        self._model.set_theme(theme)

    def refresh(self, _snapshot: object = None) -> None:
        """A new snapshot: looked at after a pause."""
        if not self._pause.isActive() and not self._is_looking:
            self._pause.start()

    def select(self, host: str) -> None:
        """Show this host."""
        self._first = host
        if host in self._lines:
            self._selection.select([host])

    def look(self) -> None:
        """Judge and prove anew, on a worker thread."""
        self._is_looking = True
        self._background.run(
            lambda: presenter.look(self._availability, self._snapshot(), self._policy, self._reservations),
            self._show,
            self._on_failure,
        )

    def done(self, result: int) -> None:
        self._background.close()
        self._agents.close()
        super().done(result)

    # Building

    def _build(self) -> None:
        self._summary = TextLabel("Looking at every host…", name="ha_summary", is_bold=True, wraps=True)
        self._model: TableModel[HostLine] = TableModel(COLUMNS, lambda line: line.host)
        self._model.setParent(self)
        self._table = table_view(self._model, "ha_table", "Hosts, and what their loss would mean")
        self._table.setSelectionMode(self._table.SelectionMode.SingleSelection)
        self._selection = KeyedSelection(self._table, self._model)
        self._selection.changed.connect(self._show_detail)
        self._device = DevicePage()
        self._device.saved.connect(self._on_device_saved)
        self._device.forgotten.connect(self._on_device_forgotten)
        self._device.tested.connect(self._on_device_tested)
        self._pages = QTabWidget()
        self._pages.setObjectName("ha_pages")
        self._pages.setDocumentMode(True)
        self._pages.addTab(self._build_detail(), "If It &Failed Now")
        self._pages.addTab(self._device, "Fence &Device")
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(9)
        splitter.addWidget(framed(self._table))
        splitter.addWidget(self._pages)
        splitter.setSizes([640, 490])
        hosts = QWidget()
        inside = QVBoxLayout(hosts)
        inside.setContentsMargins(0, 8, 0, 0)
        inside.setSpacing(8)
        inside.addWidget(self._summary)
        inside.addWidget(splitter, 1)
        inside.addLayout(self._build_host_buttons())
        self._settings = SettingsPage()
        self._settings.saved.connect(self._on_settings_saved)
        self._tabs = QTabWidget()
        self._tabs.setObjectName("ha_tabs")
        self._tabs.setDocumentMode(True)
        self._tabs.addTab(hosts, "&Hosts")
        self._tabs.addTab(self._settings, "&What Is Done by Itself")
        self._remark = TextLabel(name="ha_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        close = push_button("ha_close", "Close", "Close this dialog")
        close.clicked.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self._remark, 1)
        bottom.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(self._tabs, 1)
        layout.addLayout(bottom)

    def _build_detail(self) -> QWidget:
        self._details = QVBoxLayout()
        self._details.setContentsMargins(12, 10, 12, 10)
        return scrolled(self._details, "ha_detail", "What the loss of the selected host would mean")

    def _build_host_buttons(self) -> QHBoxLayout:
        again = push_button("ha_again", "Prove &Again", "Judge and prove every host as things are now")
        again.clicked.connect(self.look)
        self._fence = push_button("ha_fence", "F&ence…", "")
        self._fence.clicked.connect(self._on_fence)
        self._confirm = push_button("ha_confirm", "&Confirm Host Is Off…", "")
        self._confirm.clicked.connect(self._on_confirm)
        row = QHBoxLayout()
        self._why_greyed = TextLabel(name="ha_why_greyed", tone=Tone.MUTED, wraps=True)
        self._why_greyed.setMinimumHeight(2 * self._why_greyed.fontMetrics().lineSpacing())
        self._why_greyed.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(again)
        row.addWidget(self._why_greyed, 1)
        row.addWidget(self._fence)
        row.addWidget(self._confirm)
        return row

    # Gestures

    def _line(self) -> HostLine | None:
        return self._lines.get(self._selection.keys[0]) if self._selection.keys else None

    def _on_fence(self) -> None:
        line, view = self._line(), self._view
        if line is None or view is None or presenter.why_not_fence(line):
            return
        host = line.host
        dialog = ConfirmDialog(
            f"Switch {host} off?",
            presenter.fence_consequences(line, self._snapshot()),
            tick=f"I &want {host} to lose its power now",
            action=f"&Fence {host}",
            on_yes=lambda: self._begin_fencing(host),
            theme=self._theme,
            parent=self,
        )
        dialog.open()

    def _begin_fencing(self, host: str) -> None:
        self._say(f"The fence agent is asked to switch {host} off…", Tone.MUTED)
        self._agents.run(lambda: self._availability.fence(host), self._on_off, self._on_failure)

    def _on_confirm(self) -> None:
        line = self._line()
        if line is None or presenter.why_not_confirm(line, self._snapshot()):
            return
        host = line.host
        dialog = ConfirmDialog(
            f"Is {host} off?",
            presenter.confirm_consequences(line),
            tick=f"I have &made sure that {host} has no power",
            action=f"{host} &Is Off",
            on_yes=lambda: self._agents.run(
                lambda: self._availability.confirm_off(host), self._on_off, self._on_failure
            ),
            theme=self._theme,
            parent=self,
        )
        dialog.open()

    def _on_off(self, proof: OffProof) -> None:
        self._say(
            f"{proof.sentence} Its highly available VMs are restarted elsewhere by the console that acts.", Tone.NORMAL
        )
        self.look()

    def _on_device_saved(self, device: FenceDevice) -> None:
        """Keep it, and ask it once: a device that does not answer is better known now."""

        def saved(_: None) -> None:
            self.look()
            self._on_device_tested(device.host)

        self._background.run(lambda: self._availability.save_fence_device(device), saved, self._on_device_failure)

    def _on_device_forgotten(self, host: str) -> None:
        def done(_: None) -> None:
            self._say(f"{host} has no fence device any more.")
            self.look()

        self._background.run(lambda: self._availability.remove_fence_device(host), done, self._on_device_failure)

    def _on_device_tested(self, host: str) -> None:
        def done(report: PowerReport) -> None:
            tone = {Power.ON: Tone.GOOD, Power.OFF: Tone.WARNING}.get(report.power, Tone.BAD)
            self._device.say(report.sentence, tone)

        self._device.say(f"The agent of {host} is asked…", Tone.MUTED)
        self._agents.run(lambda: self._availability.power(host), done, self._on_device_failure)

    def _on_device_failure(self, error: HpconsoleError) -> None:
        self._device.say(error.sentence, Tone.BAD)

    def _on_settings_saved(self, settings: AvailabilitySettings) -> None:
        def done(_: None) -> None:
            self._settings.say("These settings count from now on.")
            self.look()

        def failed(error: HpconsoleError) -> None:
            self._settings.say(error.sentence, Tone.BAD)

        self._background.run(lambda: self._availability.save_settings(settings), done, failed)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._is_looking = False
        self._say(error.sentence, Tone.BAD)

    # Showing

    def _show(self, view: View) -> None:
        self._is_looking = False
        self._view = view
        lines = presenter.rows(view)
        self._lines = {line.host: line for line in lines}
        with QSignalBlocker(self._selection):
            self._model.set_rows(lines)
        text, tone = presenter.summary(view.proof)
        self._summary.setText(text)
        self._summary.set_tone(tone)
        self._settings.show_settings(view.settings, view.snapshot)
        if view.problems and not self._remark.text():
            self._say(" ".join(view.problems), Tone.WARNING)
        if not self._selection.keys and lines:
            in_danger = next((line.host for line in lines if line.proof and not line.proof.is_safe), lines[0].host)
            self._selection.select([self._first if self._first in self._lines else in_danger])
        self._show_detail()

    def _show_detail(self) -> None:
        line = self._line()
        why_not = presenter.why_not_fence(line)
        self._fence.setEnabled(not why_not)
        self._fence.setToolTip(why_not or "Take the selected host's power away through its fence device")
        why_not = presenter.why_not_confirm(line, self._snapshot())
        self._confirm.setEnabled(not why_not)
        self._confirm.setToolTip(why_not or "Say that the selected host has no power: its VMs are restarted elsewhere")
        self._why_greyed.setText(presenter.why_greyed(line, self._snapshot()))
        if line is not None:
            self._device.show_device(line.host, line.device)
        told = presenter.details(line) if line is not None else ()
        if told != self._shown:
            self._shown = told
            show_lines(self._details, "ha_line", told)

    def _say(self, sentence: str, tone: Tone = Tone.NORMAL) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
