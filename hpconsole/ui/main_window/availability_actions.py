"""High Availability in the window: the view of all hosts, and a word in the status bar that is kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton

from hpconsole.ui import icons
from hpconsole.ui.availability.proof_watch import ProofWatch
from hpconsole.ui.main_window.topic import Topic, WindowParts
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone

if TYPE_CHECKING:
    from hpconsole.core.availability.availability import Availability
    from hpconsole.core.availability.report import Proof
    from hpconsole.ui.availability.dialog import AvailabilityDialog


class AvailabilityActions(Topic):
    """Belongs to one window. `indicator` goes into its status bar; hidden while no VM is highly available."""

    def __init__(self, parts: WindowParts) -> None:
        super().__init__(parts)
        self.indicator = QToolButton()
        self.indicator.setObjectName("ha_indicator")
        self.indicator.setAutoRaise(True)
        self.indicator.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.indicator.clicked.connect(lambda _: self._open_at(""))
        self.indicator.hide()
        self._tone = Tone.MUTED
        self._dialog: AvailabilityDialog | None = None
        self.watch = ProofWatch(parts.console, self)
        self.watch.changed.connect(self._on_proof)
        parts.new_snapshots.connect(self.watch.follow)
        parts.themes.changed.connect(self._on_theme)

    def close(self) -> None:
        """Expect no more outcomes."""
        self.watch.close()
        super().close()

    def on_availability(self) -> None:
        """Open High Availability, at the selected host if there is one."""
        hosts = self._selection().hosts
        self._open_at(hosts[0] if hosts else "")

    def _open_at(self, host: str) -> None:
        if self._dialog is not None:
            self._dialog.select(host)
            self._dialog.raise_()
            self._dialog.activateWindow()
            return
        console = self._console

        def load() -> Availability:
            import hpconsole.ui.availability.dialog  # noqa: F401 - loaded here, not on the window's thread

            return console.availability

        def show(availability: Availability) -> None:
            from hpconsole.ui.availability.dialog import AvailabilityDialog

            if self._dialog is not None:  # asked for twice while it was loaded
                return
            dialog = AvailabilityDialog(
                availability,
                lambda: console.store.snapshot,
                self._themes.theme,
                policy=lambda: console.policy,
                reservations=console.reservations,
                host=host,
                parent=self._frame,
            )
            self._new_snapshots.connect(dialog.refresh)
            self._themes.changed.connect(dialog.set_theme)
            dialog.finished.connect(self._forget)
            self._dialog = dialog
            self._show(dialog)

        self._open_after(load, show)

    def _forget(self) -> None:
        self._dialog = None

    def _on_proof(self, proof: Proof | None) -> None:
        text, tip, self._tone = "", "", Tone.MUTED
        if proof is not None:
            from hpconsole.ui.availability.presenter import indicator  # needs what proves: not before there is a proof

            text, tip, self._tone = indicator(proof)
        self.indicator.setText(text)
        self.indicator.setToolTip(tip)
        self.indicator.setAccessibleName(text)
        self.indicator.setVisible(bool(text))
        self._on_theme(self._themes.theme)

    def _on_theme(self, theme: Theme) -> None:
        name = "warning" if self._tone is Tone.BAD else "good"
        self.indicator.setIcon(icons.icon(name, getattr(theme, self._tone.value)))
