"""Menu bar, toolbar, search box and context menus, put together from the actions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QActionGroup, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QMainWindow, QMenu, QSizePolicy, QToolBar, QWidget

from hpconsole.ui import icons
from hpconsole.ui.actions import Actions
from hpconsole.ui.theme import Theme, ThemeChoice

_THEMES = ((ThemeChoice.SYSTEM, "As the &System"), (ThemeChoice.LIGHT, "&Light"), (ThemeChoice.DARK, "&Dark"))
HOST_MENU = (
    "show_vms_of_host",
    "numa_host",
    "",
    "maintenance",
    "activate",
    "return_home",
    "",
    "refresh",
    "remove_host",
)
VM_MENU = (
    *("migrate", "cancel_migration", "", "new_vm", "edit_vm", "numa_vm", ""),
    *("start_vm", "pause_vm", "resume_vm", "shut_down", "force_off", "", "make_template", "delete_vm", "", "history"),
)
CLUSTER_MENU = ("affinity", "availability", "balancing", "", "policies", "migration_policies")


class SearchBox(QLineEdit):
    """Searches as you type. Down and Enter go to what was found, Escape clears."""

    left_downwards = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("search")
        self.setAccessibleName("Search hosts and VMs")
        self.setPlaceholderText("Search hosts and VMs  (Ctrl+F)")
        self.setClearButtonEnabled(True)
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 44)
        self._mark = self.addAction(icons.icon("search", "#808080"), QLineEdit.ActionPosition.LeadingPosition)

    def set_theme(self, theme: Theme) -> None:
        """Tint the magnifying glass."""
        self._mark.setIcon(icons.icon("search", theme.muted))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left_downwards.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.clear()
            self.left_downwards.emit()
        else:
            super().keyPressEvent(event)


def build_toolbar(window: QMainWindow, actions: Actions, search: SearchBox) -> QToolBar:
    """The toolbar: what is done most, and the search at the right."""
    bar = QToolBar("Toolbar", window)
    bar.setObjectName("toolbar")
    bar.setMovable(False)
    bar.setIconSize(QSize(18, 18))
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    bar.addAction(actions["migrate"])
    bar.addSeparator()
    bar.addAction(actions["new_vm"])
    bar.addAction(actions["edit_vm"])
    bar.addSeparator()
    bar.addAction(actions["add_host"])
    spacer = QWidget()
    spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    bar.addWidget(spacer)
    bar.addAction(actions["show_details"])
    bar.addAction(actions["show_load"])
    bar.addAction(actions["show_tasks"])
    bar.addSeparator()
    bar.addWidget(search)
    bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
    window.addToolBar(Qt.ToolBarArea.TopToolBarArea, bar)
    return bar


def build_menus(
    window: QMainWindow, actions: Actions, theme: ThemeChoice, on_theme: Callable[[ThemeChoice], None]
) -> None:
    """The menu bar."""
    _fill(window.menuBar().addMenu("&Hosts"), actions, ("add_host", *HOST_MENU, "", "quit"))
    _fill(window.menuBar().addMenu("&VMs"), actions, (*VM_MENU, "", "templates", "pools"))
    _fill(window.menuBar().addMenu("&Cluster"), actions, CLUSTER_MENU)
    view = window.menuBar().addMenu("Vie&w")
    _fill(view, actions, ("find", "", "show_details", "show_load", "show_tasks", ""))
    themes = view.addMenu("T&heme")
    themes.setObjectName("menu_theme")
    group = QActionGroup(window)
    for choice, text in _THEMES:
        action = themes.addAction(text)
        action.setObjectName(f"action_theme_{choice.value}")
        action.setCheckable(True)
        action.setChecked(choice is theme)
        action.triggered.connect(lambda _on, choice=choice: on_theme(choice))
        group.addAction(action)
    _fill(window.menuBar().addMenu("H&elp"), actions, ("about",))


def attach_context_menu(view: QAbstractItemView, actions: Actions, names: tuple[str, ...], parent: QObject) -> None:
    """Open these actions at the pointer, or at the current row for the menu key."""

    def on_asked(place: QPoint) -> None:
        menu = QMenu(view)
        menu.setObjectName("context_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        _fill(menu, actions, names)
        menu.popup(view.viewport().mapToGlobal(place))

    view.customContextMenuRequested.connect(on_asked)
    for name in names:
        if name and actions[name].shortcut() == QKeySequence(Qt.Key.Key_Delete):
            # only where what would be deleted has the focus
            actions[name].setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            view.addAction(actions[name])


def _fill(menu: QMenu, actions: Actions, names: tuple[str, ...]) -> None:
    menu.setToolTipsVisible(True)
    for name in names:
        if name:
            menu.addAction(actions[name])
        else:
            menu.addSeparator()
