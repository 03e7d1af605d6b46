"""How to migrate: the policy in one line, everything else behind Options. Shows and changes one `MigrationOptions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.planning.migration_options import (
    AUTO_CONNECTIONS,
    DEFAULT_OPTIONS,
    MOST_CONNECTIONS,
    MigrationOptions,
    filled,
)
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.ui.migrate.options_text import in_words
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_FIRST_LIMIT_MIB_S = 500
_MOST_MIB_S = 100_000
_FIRST_PAUSE_MS = 500
_MOST_PAUSE_MS = 60_000
_USUAL_PRIORITY = 50  # of a VM that has none of its own


class OptionsBox(QWidget):
    """Emits `changed` with what is wanted.

    Args:
        policies: What can be chosen, in order.
        default_id: The policy where none is chosen.
        options: What is wanted at first.
    """

    changed = Signal(object)  # MigrationOptions

    def __init__(
        self,
        policies: Sequence[MigrationPolicy],
        default_id: str,
        options: MigrationOptions = DEFAULT_OPTIONS,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("migrate_options")
        self._policies = tuple(policies)
        self._default_id = default_id
        self._build()
        self._tips = {box: box.toolTip() for box in (self._is_limited, self._is_parallel, self._tls)}
        self._show(options)
        self._shown_policy = self._policy
        self._connect()
        self._on_changed()

    @property
    def options(self) -> MigrationOptions:
        """What is wanted now."""
        policy = self._policy
        compressed, converge = self._compressed.isChecked(), self._auto_converge.isChecked()
        return MigrationOptions(
            policy_id=None if policy.policy_id == self._default_id else policy.policy_id,
            bandwidth_mib_s=self._bandwidth.value() if self._is_limited.isChecked() else None,
            downtime_ms=self._pause.value() if self._is_pause_set.isChecked() else None,
            parallel_connections=self._connections.value() if self._is_parallel.isChecked() else None,
            compressed=None if compressed == policy.compressed else compressed,
            auto_converge=None if converge == policy.auto_converge else converge,
            tls=self._tls.isChecked(),
            post_copy=self._post_copy.isChecked(),
            priority=self._priority.value() if self._is_urgent.isChecked() else None,
        )

    def offer(self, policies: Sequence[MigrationPolicy], default_id: str) -> None:
        """Other policies can be chosen from now on; what is wanted stays, as far as it is still there."""
        wanted, chosen = self.options, self._policy.policy_id
        is_gone = all(policy.policy_id != chosen for policy in policies)
        self._policies, self._default_id = tuple(policies), default_id
        with QSignalBlocker(self), QSignalBlocker(self._choice):
            self._choice.clear()
            for policy in self._policies:
                self._choice.addItem(policy.name)
            self._show(replace(wanted, policy_id=default_id if is_gone else chosen))
            self._shown_policy = self._policy
        self._on_changed()

    def want(self, **values: object) -> None:
        """Change some of it, as a remedy asks."""
        options = replace(self.options, **values)  # type: ignore[arg-type]  # names and types are the remedies'
        with QSignalBlocker(self):
            self._show(options)
            self._shown_policy = self._policy
        self._on_changed()

    # Building

    def _build(self) -> None:
        self._choice = QComboBox(self)
        self._choice.setObjectName("migration_policy")
        self._choice.setToolTip("How hard it tries, and what it does when the VM writes faster than can be sent")
        for policy in self._policies:
            self._choice.addItem(policy.name)
        label = QLabel("Migration &policy:", self)
        label.setBuddy(self._choice)
        self._about = ElidedLabel(name="migration_policy_about", tone=Tone.MUTED, parent=self)
        self._unfold = QPushButton("&Options…", self)
        self._unfold.setObjectName("migration_options")
        self._unfold.setCheckable(True)
        self._unfold.setAutoDefault(False)
        self._unfold.setToolTip("Bandwidth, allowed pause, parallel connections, compression, TLS, post-copy, priority")
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(label)
        line.addWidget(self._choice)
        line.addWidget(self._unfold)
        line.addWidget(self._about, 1)
        self._panel = self._build_panel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(line)
        layout.addWidget(self._panel)

    def _build_panel(self) -> QFrame:
        panel = QFrame(self)
        panel.setVisible(False)  # before there is anything in it
        panel.setProperty("panel", "true")
        self._is_limited = _check("Limit the &bandwidth to", "limit_bandwidth", "So that others keep their part of it")
        self._bandwidth = _number("bandwidth", (1, _MOST_MIB_S), _FIRST_LIMIT_MIB_S, " MiB/s", 50)
        self._is_pause_set = _check(
            "Allow a pa&use of", "set_pause", "How long the VM may stand still at the end, from the start on"
        )
        self._pause = _number("pause", (1, _MOST_PAUSE_MS), _FIRST_PAUSE_MS, " ms", 100)
        self._is_parallel = _check(
            "Parallel &connections:", "parallel", "More throughput on fast links; each takes a CPU on both hosts"
        )
        self._connections = _number("connections", (AUTO_CONNECTIONS, MOST_CONNECTIONS), AUTO_CONNECTIONS, "", 1)
        self._connections.setSpecialValueText("automatic")
        self._auto_converge = _check(
            "Auto-con&verge", "auto_converge", "Slow the vCPUs down where the VM writes faster than can be sent"
        )
        self._compressed = _check("Co&mpress", "compressed", "Send less at the price of CPU; not with parallel ones")
        self._tls = _check("&TLS", "tls", "Encrypt the memory on its way; both hosts need certificates for QEMU")
        self._post_copy = _check(
            "Allow post-cop&y",
            "post_copy",
            "Let it be switched to post-copy: it always ends, but a broken network or host may then cost the VM",
        )
        self._is_urgent = _check(
            "&Queue priority",
            "has_priority",
            "Higher ones start first, where they have to wait; else the VM's own counts",
        )
        self._priority = _number("priority", (1, 100), _USUAL_PRIORITY, "", 10)
        self._problem = TextLabel(name="options_problem", tone=Tone.BAD)
        grid = QGridLayout(panel)
        grid.setContentsMargins(12, 8, 12, 8)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        for row, widgets in enumerate(
            (
                (self._is_limited, self._bandwidth, self._auto_converge, self._tls),
                (self._is_pause_set, self._pause, self._compressed, self._post_copy),
                (self._is_parallel, self._connections, self._is_urgent, self._priority),
            )
        ):
            for column, widget in enumerate(widgets):
                grid.addWidget(widget, row, column + column // 2)
        grid.addWidget(self._problem, 3, 0, 1, 6)
        grid.setColumnMinimumWidth(2, 24)
        grid.setColumnStretch(5, 1)
        return panel

    def _connect(self) -> None:
        self._choice.currentIndexChanged.connect(self._on_policy)
        self._unfold.toggled.connect(self._panel.setVisible)
        for box in (self._is_limited, self._is_pause_set, self._is_parallel, self._auto_converge, self._compressed,
                    self._tls, self._post_copy, self._is_urgent):  # fmt: skip
            box.toggled.connect(self._on_changed)
        for spin in (self._bandwidth, self._pause, self._connections, self._priority):
            spin.valueChanged.connect(self._on_changed)

    # What happens

    @property
    def _policy(self) -> MigrationPolicy:
        return self._policies[max(0, self._choice.currentIndex())]

    def _show(self, options: MigrationOptions) -> None:
        wanted = options.policy_id or self._default_id
        places = [place for place, policy in enumerate(self._policies) if policy.policy_id == wanted]
        self._choice.setCurrentIndex(places[0] if places else 0)
        policy = self._policy
        options = filled(options, policy)
        for box, spin, value in (
            (self._is_limited, self._bandwidth, options.bandwidth_mib_s),
            (self._is_pause_set, self._pause, options.downtime_ms),
            (self._is_parallel, self._connections, options.parallel_connections),
            (self._is_urgent, self._priority, options.priority),
        ):
            box.setChecked(value is not None)
            if value is not None:
                spin.setValue(value)
        self._compressed.setChecked(policy.compressed if options.compressed is None else options.compressed)
        converge = policy.auto_converge if options.auto_converge is None else options.auto_converge
        self._auto_converge.setChecked(converge)
        self._tls.setChecked(options.tls)
        self._post_copy.setChecked(options.post_copy)

    def _on_policy(self) -> None:
        """What the policy decides is as the new policy has it; what the user wants besides stays."""
        before, policy = self._shown_policy, self._policy
        self._shown_policy = policy
        with QSignalBlocker(self._compressed), QSignalBlocker(self._auto_converge), QSignalBlocker(self._tls):
            self._compressed.setChecked(policy.compressed)
            self._auto_converge.setChecked(policy.auto_converge)
            if policy.tls or before.tls:
                self._tls.setChecked(policy.tls)
        for box, spin, value, old in (
            (self._is_limited, self._bandwidth, policy.bandwidth_mib_s, before.bandwidth_mib_s),
            (self._is_parallel, self._connections, policy.parallel_connections, before.parallel_connections),
        ):
            with QSignalBlocker(box), QSignalBlocker(spin):
                if value is not None:
                    spin.setValue(value)
                if value is not None or old is not None:
                    box.setChecked(value is not None)
        self._on_changed()

    def _on_changed(self) -> None:
        options, policy = self.options, self._policy
        for box, spin in (
            (self._is_limited, self._bandwidth),
            (self._is_pause_set, self._pause),
            (self._is_parallel, self._connections),
            (self._is_urgent, self._priority),
        ):
            spin.setEnabled(box.isChecked())
        for box, is_asked, what in (
            (self._is_limited, policy.bandwidth_mib_s is not None, "a limit"),
            (self._is_parallel, policy.parallel_connections is not None, "parallel connections"),
            (self._tls, policy.tls, "TLS"),
        ):
            box.setEnabled(not is_asked)
            box.setToolTip(f"The policy {policy.name} asks for {what}" if is_asked else self._tips[box])
        problem = options.problem()
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        said = in_words(options, policy)
        self._about.setText(f"{said[:1].upper()}{said[1:]}.  {policy.description}" if said else policy.description)
        if problem and not self._unfold.isChecked():
            self._unfold.setChecked(True)
        self.changed.emit(options)


def _check(text: str, name: str, tip: str) -> QCheckBox:
    box = QCheckBox(text)
    box.setObjectName(f"option_{name}")
    box.setToolTip(tip)
    return box


def _number(name: str, span: tuple[int, int], value: int, suffix: str, step: int) -> QSpinBox:
    spin = with_room(QSpinBox())
    spin.setObjectName(f"option_{name}_value")
    spin.setRange(*span)
    spin.setSingleStep(step)
    spin.setValue(value)
    spin.setSuffix(suffix)
    return spin
