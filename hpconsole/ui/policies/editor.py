"""The right half of *Scheduling Policies*: one policy's name, filters, weights and balancing, each with its meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.scheduler import balancers, filters, selectors, weights
from hpconsole.core.scheduler.policy_files import LARGEST_FACTOR, parameters
from hpconsole.ui.policies.parameter_fields import ParameterFields
from hpconsole.ui.policies.presenter import NAME, PoliciesPresenter, Unit, tip_of, titled
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.scrolled import scrolled
from hpconsole.ui.widgets.text_label import TextLabel

_LONGEST_DESCRIPTION = 500


class PolicyEditor(QWidget):
    """Shows and changes the presenter's draft; emits `edited` after each change by a person."""

    edited = Signal()

    def __init__(self, presenter: PoliciesPresenter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._filters: dict[str, QCheckBox] = {}
        self._factors: dict[str, QSpinBox] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self._build_head())
        self._tabs = QTabWidget()
        self._tabs.setObjectName("policy_tabs")
        self._tabs.addTab(self._build_weights(), "&Weights")
        self._tabs.addTab(self._build_filters(), "&Filters")
        self._tabs.addTab(self._build_balancing(), "&Balancing")
        layout.addWidget(self._tabs, 1)
        self.show_policy()

    # Building

    def _build_head(self) -> QFormLayout:
        self._name = QLineEdit(maxLength=200)
        self._name.setObjectName("policy_name")
        self._name.setToolTip("What it is called here, on the command line and in files")
        self._name.textEdited.connect(lambda text: self._edit(lambda: self._presenter.rename(text)))
        self._problem = TextLabel(name="policy_problem_name", tone=Tone.BAD, wraps=True)
        self._problem.hide()
        self._description = QLineEdit(maxLength=_LONGEST_DESCRIPTION)
        self._description.setObjectName("policy_description")
        self._description.setToolTip("What it is for, in a sentence")
        self._description.textEdited.connect(lambda text: self._edit(lambda: self._presenter.describe(text)))
        form = QFormLayout()
        form.setVerticalSpacing(4)
        form.addRow("&Name", self._name)
        form.addRow("", self._problem)
        form.addRow("Descr&iption", self._description)
        return form

    def _build_weights(self) -> QWidget:
        page, grid = _page()
        self._selector = _choice("policy_selector", selectors.ALL, "How the weights become one order of the hosts")
        self._selector.activated.connect(
            lambda _: self._edit(lambda: self._presenter.choose_selector(self._selector.currentData()))
        )
        label = QLabel("Or&der hosts")
        label.setBuddy(self._selector)
        self._selector_help = TextLabel(name="policy_selector_help", tone=Tone.MUTED, wraps=True)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self._selector, 0, 1)
        grid.addWidget(self._selector_help, 0, 2)
        for row, unit in enumerate(weights.ALL, 1):
            box = with_room(QSpinBox(maximum=LARGEST_FACTOR))
            box.setObjectName(f"policy_weight_{unit.name}")
            box.setSpecialValueText("off")
            box.setToolTip(tip_of(unit))
            box.setAccessibleName(f"Factor of {titled(unit)}")
            box.setFixedWidth(box.fontMetrics().averageCharWidth() * 11)
            box.valueChanged.connect(
                lambda value, name=unit.name: self._edit(lambda: self._presenter.weigh(name, value))
            )
            self._factors[unit.name] = box
            name = QLabel(titled(unit))
            name.setToolTip(tip_of(unit))
            grid.addWidget(name, row, 0)
            grid.addWidget(box, row, 1)
            grid.addWidget(_help(unit), row, 2)
        grid.setRowStretch(len(weights.ALL) + 1, 1)
        return page

    def _build_filters(self) -> QWidget:
        page, grid = _page()
        units = sorted(filters.ALL, key=lambda unit: unit.is_mandatory)
        for row, unit in enumerate(units):
            box = QCheckBox(titled(unit))
            box.setObjectName(f"policy_filter_{unit.name}")
            box.setToolTip(tip_of(unit))
            box.toggled.connect(
                lambda is_on, name=unit.name: self._edit(lambda: self._presenter.use_filter(name, is_on))
            )
            self._filters[unit.name] = box
            grid.addWidget(box, row, 0)
            grid.addWidget(_help(unit, always=unit.is_mandatory), row, 1, 1, 2)
        grid.setRowStretch(len(units), 1)
        return page

    def _build_balancing(self) -> QWidget:
        page, grid = _page()
        self._balancer = _choice("policy_balancer", balancers.ALL, "Which VMs the console moves by itself, and when")
        self._balancer.activated.connect(
            lambda _: self._edit(lambda: self._presenter.choose_balancer(self._balancer.currentData()))
        )
        label = QLabel("Ba&lance")
        label.setBuddy(self._balancer)
        self._balancer_help = TextLabel(name="policy_balancer_help", tone=Tone.MUTED, wraps=True)
        known = tuple(parameters().values())
        self._own = ParameterFields(known, "policy_parameter")
        self._others = ParameterFields(known, "policy_other")
        self._others_title = TextLabel("Read by filters and weights", name="policy_others_title", is_bold=True)
        for fields in (self._own, self._others):
            fields.typed.connect(lambda name, text: self._edit(lambda: self._presenter.set_parameter(name, text)))
        grid.addWidget(label, 0, 0)
        grid.addWidget(self._balancer, 0, 1, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(self._balancer_help, 1, 0, 1, 3)
        grid.addWidget(self._own, 2, 0, 1, 3)
        grid.addWidget(self._others_title, 3, 0, 1, 3)
        grid.addWidget(self._others, 4, 0, 1, 3)
        grid.setRowStretch(5, 1)
        return page

    # What happens

    def _edit(self, change: Callable[[], None]) -> None:
        change()
        self._show_depending()
        self.edited.emit()

    # Showing

    def show_policy(self) -> None:
        """Show the presenter's selected policy."""
        draft, is_locked = self._presenter.draft, bool(self._presenter.locked)
        for edit, text in ((self._name, draft.name), (self._description, draft.description)):
            with QSignalBlocker(edit):
                if edit.text() != text:
                    edit.setText(text)
            edit.setEnabled(not is_locked)
        for unit in filters.ALL:
            box = self._filters[unit.name]
            with QSignalBlocker(box):
                box.setChecked(self._presenter.uses(unit))
            box.setEnabled(not is_locked and not unit.is_mandatory)
        for name, factor in self._factors.items():
            with QSignalBlocker(factor):
                factor.setValue(self._presenter.factor(name))
            factor.setEnabled(not is_locked)
        for choice, chosen in ((self._selector, draft.selector), (self._balancer, draft.balancer)):
            choice.setCurrentIndex(max(0, choice.findData(chosen)))
            choice.setEnabled(not is_locked)
        for fields in (self._own, self._others):
            fields.show_values(self._presenter.parameter_text, is_locked=is_locked)
        self._show_depending()

    def _show_depending(self) -> None:
        """What follows from the draft: help, which parameters are read, what is wrong."""
        presenter = self._presenter
        self._selector_help.setText(next(one.help for one in selectors.ALL if presenter.uses(one)))
        self._balancer_help.setText(presenter.balancer.help)
        own = [parameter.name for parameter in presenter.balancer.parameters]
        others = [name for name in parameters() if name not in own and presenter.is_used(name)]
        self._own.show_only(own)
        self._others.show_only(others)
        self._others_title.setVisible(bool(others))
        problems = presenter.problems
        self._own.show_problems(problems)
        self._others.show_problems(problems)
        self._problem.setText(problems.get(NAME, ""))
        self._problem.setVisible(bool(self._problem.text()))


def _page() -> tuple[QScrollArea, QGridLayout]:
    """A page of a tab that scrolls, and the grid in it."""
    grid = QGridLayout()
    grid.setContentsMargins(12, 10, 12, 10)
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(6)
    grid.setColumnStretch(2, 1)
    return scrolled(grid), grid


def _help(unit: Unit, *, always: bool = False) -> TextLabel:
    return TextLabel(f"Always. {unit.help}" if always else unit.help, tone=Tone.MUTED, wraps=True)


def _choice(name: str, units: Sequence[Unit], tip: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setToolTip(tip)
    for unit in units:
        box.addItem(titled(unit), unit.name)
        box.setItemData(box.count() - 1, tip_of(unit), Qt.ItemDataRole.ToolTipRole)
    return box
