"""*Return VMs Home*: says which VM goes back where and with which pins, then hands the plan over. Not modal."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Plan
from hpconsole.ui.bridge import Background
from hpconsole.ui.return_home import presenter
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.text_table import dress_texts

_WIDTHS = (22, 13, 17, 34)  # in characters; the last column takes what is left
_MOST_DAYS = 365


class ReturnHomeDialog(QDialog):
    """Emits `plan_accepted(Plan)` with the chosen VMs.

    Args:
        hosts: Only VMs that left these; none: all that are not where they began.
        plan: Called on a worker thread with the hosts and how many days back; the plan and its snapshot.
    """

    plan_accepted = Signal(object)

    def __init__(
        self,
        hosts: tuple[str, ...],
        plan: Callable[[tuple[str, ...], int], tuple[Plan, ClusterSnapshot]],
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("return_home_dialog")
        self.setWindowTitle("Return VMs Home")
        self.resize(860, 460)
        self._hosts = hosts
        self._make = plan
        self._plan: Plan | None = None
        self._background = Background(self)
        self._asked = 0
        self._build()
        self.set_theme(theme)
        self._ask()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    def accept(self) -> None:
        """Hand over the plan of the VMs that are checked, if there are any."""
        chosen = self.chosen
        if self._plan is not None and chosen:
            self.plan_accepted.emit(presenter.only(self._plan, chosen))
            super().accept()

    @property
    def chosen(self) -> frozenset[str]:
        """The VMs that are checked, by UUID."""
        items = (self._table.item(row, 0) for row in range(self._table.rowCount()))
        checked = (item for item in items if item is not None and item.checkState() is Qt.CheckState.Checked)
        return frozenset(item.data(Qt.ItemDataRole.UserRole) for item in checked)

    # Building

    def _build(self) -> None:
        self._consequence = TextLabel("Planning…", name="return_home_consequence", wraps=True)
        self._stays = TextLabel(name="return_home_stays", tone=Tone.WARNING, wraps=True)
        self._stays.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._reasons = QScrollArea(widgetResizable=True)
        self._reasons.setObjectName("return_home_reasons")
        self._reasons.setAccessibleName("Who cannot go back, and why")
        self._reasons.setFrameShape(QFrame.Shape.NoFrame)
        self._reasons.setWidget(self._stays)
        self._reasons.setMaximumHeight(self.fontMetrics().lineSpacing() * 9)
        self._reasons.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        question = presenter.question(self._hosts)
        layout.addWidget(TextLabel(question, name="return_home_question", is_bold=True, wraps=True))
        layout.addWidget(self._consequence)
        layout.addWidget(self._build_table(), 1)
        layout.addWidget(self._reasons)
        layout.addLayout(self._build_buttons())

    def _build_table(self) -> QWidget:
        self._table = table = QTableWidget()
        dress_texts(table, "return_home_table", presenter.TITLES, "VMs that can go back")
        header = table.horizontalHeader()
        header.setStretchLastSection(True)
        for column, width in enumerate(_WIDTHS):
            header.resizeSection(column, self.fontMetrics().averageCharWidth() * width)
        EmptyHint(table, "VMs that were moved away and can go back are listed here. Look further back below.")
        table.itemChanged.connect(self._show_choice)
        return framed(table)

    def _build_buttons(self) -> QHBoxLayout:
        self._days = with_room(QSpinBox(minimum=1, maximum=_MOST_DAYS, value=7, suffix=" days"))
        self._days.setObjectName("return_home_days")
        self._days.setToolTip("Moves that are older do not count: who has been away so long is at home there")
        self._days.valueChanged.connect(self._ask)
        label = QLabel("Moved in the &last")
        label.setBuddy(self._days)
        self._check = push_button("return_home_check", "Re-&check", "Plan again, as things are now", self._ask)
        self._accept = QPushButton(presenter.accept_text(None, ()))
        self._accept.setObjectName("return_home_accept")
        self._accept.setDefault(True)
        self._accept.clicked.connect(self.accept)
        close = push_button("return_home_close", "Cancel", "Leave all VMs where they are", self.reject)
        row = QHBoxLayout()
        for left in (label, self._days, self._check):
            row.addWidget(left)
        row.addStretch(1)
        row.addWidget(self._accept)
        row.addWidget(close)
        return row

    # Planning and showing

    def _ask(self) -> None:
        """Plan on a worker thread; the newest answer counts."""
        self._asked += 1
        number, hosts, days = self._asked, self._hosts, self._days.value()
        self._plan = None
        self._consequence.setText("Planning…")
        self._show_buttons()

        def done(answer: tuple[Plan, ClusterSnapshot]) -> None:
            if number == self._asked:
                self._on_plan(*answer)

        def failed(error: HpconsoleError) -> None:
            if number == self._asked:
                self._consequence.setText(error.sentence)

        self._background.run(lambda: self._make(hosts, days), done, failed)

    def _on_plan(self, plan: Plan, snapshot: ClusterSnapshot) -> None:
        self._plan = plan
        was_left = self._unchecked()
        with QSignalBlocker(self._table):
            rows = presenter.rows(plan, snapshot)
            self._table.setRowCount(len(rows))
            for row, one in enumerate(rows):
                for column, text in enumerate(one.cells):
                    item = QTableWidgetItem(text)
                    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                    item.setToolTip(literal(one.sentence))
                    if column == 0:
                        is_left = one.vm_uuid in was_left
                        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                        item.setCheckState(Qt.CheckState.Unchecked if is_left else Qt.CheckState.Checked)
                        item.setData(Qt.ItemDataRole.UserRole, one.vm_uuid)
                    self._table.setItem(row, column, item)
        self._stays.setText(presenter.stays(plan))
        self._reasons.setVisible(bool(plan.warnings))
        self._show_choice()

    def _unchecked(self) -> frozenset[str]:
        items = (self._table.item(row, 0) for row in range(self._table.rowCount()))
        left = (item for item in items if item is not None and item.checkState() is Qt.CheckState.Unchecked)
        return frozenset(item.data(Qt.ItemDataRole.UserRole) for item in left)

    def _show_choice(self) -> None:
        if self._plan is not None:
            self._consequence.setText(presenter.consequence(self._plan, self.chosen))
        self._show_buttons()

    def _show_buttons(self) -> None:
        chosen = self.chosen if self._plan is not None else frozenset()
        self._accept.setText(presenter.accept_text(self._plan, chosen))
        self._accept.setEnabled(bool(chosen))
        tip = "Migrate the checked VMs, while they run" if chosen else "No VM that can go back is checked"
        self._accept.setToolTip(tip)
