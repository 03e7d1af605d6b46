"""What the main window does: follows snapshots and events, and turns gestures into plans that the program runs.

It asks no host anything; what takes time runs on a worker thread. Knows of no other window.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from hpconsole import __version__
from hpconsole.core.events import Event, Notice, PlanSubmitted
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.ui import actions
from hpconsole.ui import format as fmt
from hpconsole.ui.actions import Actions, Selection
from hpconsole.ui.bridge import Background, EventBridge, StoreBridge
from hpconsole.ui.console import Console
from hpconsole.ui.main_window import menus
from hpconsole.ui.main_window.affinity_actions import AffinityActions
from hpconsole.ui.main_window.availability_actions import AvailabilityActions
from hpconsole.ui.main_window.docks import Docks
from hpconsole.ui.main_window.empty_state import EmptyState
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.host_actions import HostActions
from hpconsole.ui.main_window.host_rows import cluster_summary, host_rows, is_simulated, trouble
from hpconsole.ui.main_window.machine_actions import MachineActions
from hpconsole.ui.main_window.maintenance_actions import MaintenanceActions
from hpconsole.ui.main_window.migration_views import MigrationViews
from hpconsole.ui.main_window.panels import HostPanel, VmPanel
from hpconsole.ui.main_window.policy_actions import PolicyActions
from hpconsole.ui.main_window.template_actions import TemplateActions
from hpconsole.ui.main_window.topic import WindowParts
from hpconsole.ui.main_window.vm_rows import VmRows
from hpconsole.ui.messages import Messages
from hpconsole.ui.theme import Theme, ThemeChoice, ThemeKeeper
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.notice_bar import NoticeBar
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState

_AGE_TICK_MS = 1000
_SNAPSHOT_MS = 500  # hosts are polled once a second, each at its own time
_BREATH_MS = 15  # between the parts of a snapshot: keys and mouse come first
_QUIT = (
    "Migrations between hosts go on without the console, and the next start shows how they ended. "
    "What still waits for its turn is not started."
)
_QUIT_SIMULATED = "The simulated cluster ends with the console, and its migrations with it."
_ACTION_NAMES = tuple(spec.name for spec in actions.ALL)


class MainWindow(QObject):
    """The window of one console, inside a frame that is on the screen already.

    Args:
        frame: Where everything goes.
        console: The program behind it, not started yet.
        state: What is remembered between runs.
        themes: Light or dark.
    """

    snapshot_shown = Signal(object)  # ClusterSnapshot

    def __init__(self, frame: Frame, console: Console, state: WindowState, themes: ThemeKeeper) -> None:
        super().__init__(frame)
        self.frame = frame
        self._console = console
        self._state = state
        self._themes = themes
        self._snapshot = EMPTY_SNAPSHOT
        self._vm_rows = VmRows()
        self._dialogs: list[QWidget] = []
        self._is_leaving = False
        self._is_warm = False
        self.messages = Messages(frame, frame.statusBar())
        self._background = Background(self)
        self._make_topics()
        self.actions_ = Actions({name: self._slot(name) for name in _ACTION_NAMES}, frame)
        self.docks = Docks(frame, console, self.messages, self.actions_)
        self._build()
        self._restore()
        themes.changed.connect(self._on_theme)
        self._on_theme(themes.theme)
        self._parts: list[Callable[[], None]] = []
        self._next_part = QTimer(self, singleShot=True, interval=_BREATH_MS)
        self._next_part.timeout.connect(self._show_part)
        self._store_bridge = StoreBridge(console.store, self)
        self._store_bridge.snapshot_changed.connect(self._on_snapshot)
        self._event_bridge = EventBridge(console.store, self)
        self._event_bridge.happened.connect(self._on_event)
        self._age_timer = QTimer(self, interval=_AGE_TICK_MS)
        self._age_timer.timeout.connect(self._on_second)
        self._age_timer.start()
        for part in (self.docks.tasks, self.docks.details):
            part.history_wanted.connect(self.migrations.open_history)
        self.migrations.let_act(self.docks.handlers)
        self.docks.handlers.migrate_wanted.connect(self._migrate_again)
        frame.may_close = self._may_close
        frame.closing.connect(self._on_closing)

    def _make_topics(self) -> None:
        parts = WindowParts(
            self.frame,
            self._console,
            self._themes,
            self.messages,
            self._state,
            selection=lambda: self.selection,
            new_snapshots=self.snapshot_shown,
            show=self._open,
        )
        self.membership = HostActions(parts)
        self.migrations = MigrationViews(parts)
        self.machines = MachineActions(parts)
        self.templates = TemplateActions(parts, self.machines)
        self.maintenance = MaintenanceActions(parts)
        self.policies = PolicyActions(parts)
        self.affinity = AffinityActions(parts)
        self.availability = AvailabilityActions(parts)
        self._topics = (
            self.membership,
            self.migrations,
            self.machines,
            self.templates,
            self.maintenance,
            self.policies,
            self.affinity,
            self.availability,
        )

    def _slot(self, action: str) -> Callable[..., None]:
        """What an action does: a method `on_<action>` of the window, or of one of its topics."""
        owners = (self, *self._topics)
        slot: Callable[..., None] = next(getattr(o, f"on_{action}") for o in owners if hasattr(o, f"on_{action}"))
        return slot

    # Building

    def _build(self) -> None:
        frame = self.frame
        self.search = menus.SearchBox()
        self.toolbar = menus.build_toolbar(frame, self.actions_, self.search)
        menus.build_menus(frame, self.actions_, self._themes.choice, self._on_theme_chosen)
        self.hosts = HostPanel()
        self.vms = VmPanel()
        self._splitter = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        self._splitter.setObjectName("tables")
        self._splitter.setHandleWidth(9)
        self._splitter.addWidget(self.hosts)
        self._splitter.addWidget(self.vms)
        self._splitter.setStretchFactor(0, 2)
        self._splitter.setStretchFactor(1, 3)
        self._empty = EmptyState(self.actions_["add_host"])
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._splitter)
        self.notices = NoticeBar()
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(8)
        layout.addWidget(self.notices)
        layout.addWidget(self._pages, 1)
        frame.setCentralWidget(central)
        self._summary = TextLabel(name="cluster_summary", tone=Tone.MUTED)
        self._summary.setContentsMargins(0, 0, 8, 0)
        frame.statusBar().addPermanentWidget(self.availability.indicator)
        frame.statusBar().addPermanentWidget(self._summary)
        frame.statusBar().setSizeGripEnabled(False)
        self._connect()

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_search)
        self.search.left_downwards.connect(self.vms.focus_first)
        self.hosts.selection.changed.connect(self._on_selection)
        self.vms.selection.changed.connect(self._on_selection)
        self.membership.added.connect(lambda: self._pages.setCurrentWidget(self._splitter))
        self.maintenance.offered.connect(self.notices.add)
        menus.attach_context_menu(self.hosts.view, self.actions_, menus.HOST_MENU, self)
        menus.attach_context_menu(self.vms.view, self.actions_, menus.VM_MENU, self)

    def _restore(self) -> None:
        self._state.restore_layout(self.frame)
        self.docks.settle()
        if not self._state.restore_splitter(self._splitter):
            self._splitter.setSizes([300, 380])
        self._state.restore_columns(self.hosts.view)
        self._state.restore_columns(self.vms.view)
        self._pages.setCurrentWidget(self._splitter)
        self.vms.view.setFocus()

    # What the program tells

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show it part by part, so that a large cluster never holds up the event loop for long."""
        self._snapshot = snapshot
        self._parts = [self._show_hosts, self._show_vms, self._show_found, self._show_rest]
        if not self._next_part.isActive():
            self._show_part()

    def _show_part(self) -> None:
        if self._parts:
            self._parts.pop(0)()
            self._next_part.start()

    def _show_hosts(self) -> None:
        rows = host_rows(self._snapshot, datetime.now(UTC))
        self.hosts.model.set_rows(rows)
        self._summary.setText(cluster_summary(rows, self._snapshot))
        self.frame.setWindowTitle("Simulated cluster - hpconsole" if is_simulated(self._snapshot) else "hpconsole")
        self._show_page()
        self._age_timer.start()  # the ages are right now: to draw them again in between would cost without being seen

    def _show_vms(self) -> None:
        if self._snapshot.vms:  # the first ones are shown at once
            self._store_bridge.calm_down(_SNAPSHOT_MS)
        self.vms.model.set_rows(self._vm_rows.rows(self._snapshot, datetime.now(UTC)))

    def _show_found(self) -> None:
        self._search_hosts()
        self._on_selection()

    def _show_rest(self) -> None:
        self.docks.follow(self._snapshot)
        self.snapshot_shown.emit(self._snapshot)

    def _show_page(self) -> None:
        """The invitation to add a host, once it is certain that there is none."""
        is_empty = not self._snapshot.hosts and not self._console.hosts and self._console.wait_ready(0)
        self._pages.setCurrentWidget(self._empty if is_empty else self._splitter)

    def _on_second(self) -> None:
        """Only the age of what is shown changes."""
        self._show_page()
        now = datetime.now(UTC)
        self.hosts.model.set_rows(host_rows(self._snapshot, now))
        if any(host.link.state is not LinkState.CONNECTED for host in self._snapshot.hosts.values()):
            self.vms.model.set_rows(self._vm_rows.rows(self._snapshot, now))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._on_notice(event)
        else:
            self.docks.hear(event)
            self.migrations.hear(event)
            self.maintenance.hear(event)
        if isinstance(event, PlanSubmitted):
            self.actions_["show_tasks"].setChecked(True)
            self.docks.show_tasks()

    def _on_notice(self, notice: Notice) -> None:
        if notice.severity == "info":
            self.messages.status(notice.sentence)
        else:
            self.messages.shown.append(notice.sentence)
            self.notices.add(notice)

    def _on_theme(self, theme: Theme) -> None:
        for part in (self.actions_, self.search, self.hosts, self.vms, self._empty, self.notices, self.docks):
            part.set_theme(theme)

    # What the user does

    @property
    def selection(self) -> Selection:
        """What is selected now."""
        return Selection.of(self._snapshot, self.hosts.selection.keys, self.vms.selection.keys)

    def _on_selection(self) -> None:
        sought = self.search.text().strip()
        self.hosts.refresh_count(sought)
        self.vms.refresh_count(sought)
        selection = self.selection
        self.actions_.follow(selection)
        if selection.vms and not self._is_warm:
            self._is_warm = True
            self._background.run(_warm_up)
        self.docks.select(self.hosts.selection.keys, selection.vms)
        self.hosts.say(self._trouble())

    def _trouble(self) -> str:
        """Why a selected host, or the host of a selected VM, does not answer; empty where all do."""
        selected = self.selection
        names = (*selected.hosts, *(vm.host for vm in selected.vms if vm.host is not None))
        hosts = (self._snapshot.hosts[name] for name in names if name in self._snapshot.hosts)
        return next((trouble(host) for host in hosts if trouble(host)), "")

    def _on_search(self, text: str) -> None:
        self.vms.model.search(text)
        self._search_hosts()
        self._on_selection()

    def _search_hosts(self) -> None:
        """Whoever searches for a VM wants to see its host as well."""
        text = self.search.text()
        found = frozenset(row.vm.host for row in self.vms.model.shown_rows() if row.vm.host) if text.strip() else None
        self.hosts.model.search(text, found or frozenset())

    def _on_theme_chosen(self, choice: ThemeChoice) -> None:
        self._themes.choose(choice)
        self._state.theme = choice

    def on_find(self) -> None:
        """Go to the search box, ready to type over what is there."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def on_show_vms_of_host(self) -> None:
        """Search for the first selected host."""
        self.search.setText(self.selection.hosts[0])

    def on_migrate(self) -> None:
        """Open Migrate VM(s) for what is selected."""
        vms = self.selection.movable
        if vms:
            self.migrations.open_migrate(vms, self._snapshot)

    def _migrate_again(self, vm_uuid: str) -> None:
        vm = self._snapshot.vms.get(vm_uuid)
        if vm is None or not Selection(vms=(vm,)).movable:
            self.messages.status("The VM does not run any more, or is on its way already.")
        else:
            self.migrations.open_migrate((vm,), self._snapshot)

    def on_history(self) -> None:
        """Open the history of migrations; of the selected VM, where one is selected."""
        vms = self.selection.vms
        self.migrations.open_history(vms[0].name if len(vms) == 1 else "")

    def on_cancel_migration(self) -> None:
        """Stop moving the selected VMs."""
        strangers = [vm for vm in self.selection.migrating if not self.docks.cancel_vm(vm.uuid)]
        if strangers:
            self.migrations.ask_to_cancel(strangers)

    def on_show_tasks(self, is_wanted: bool) -> None:
        """Show or hide the task list."""
        self.docks.show_tasks(is_wanted)

    def on_show_details(self, is_wanted: bool) -> None:
        """Show or hide the details of the selected VM."""
        self.docks.details.open(is_wanted)

    def on_show_load(self, is_wanted: bool) -> None:
        """Show or hide the host load."""
        self.docks.show_load(is_wanted)

    def on_about(self) -> None:
        """Say what this is."""
        self.messages.information(
            f"hpconsole {__version__}\n\nA desktop console for high-performance virtual machines on KVM/libvirt hosts.",
        )

    def on_quit(self) -> None:
        """Close the window."""
        self.frame.close()

    def _open(self, dialog: QWidget) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._dialogs.append(dialog)
        dialog.destroyed.connect(lambda: self._dialogs.remove(dialog))
        dialog.show()

    def _may_close(self) -> bool:
        """Asked by the frame; where it is no, the user has been asked why not."""
        running = self.docks.running_count()
        if not running or self._is_leaving:
            return True
        self.messages.ask(
            f"{fmt.count(running, 'migration')} under way. Quit anyway?",
            _QUIT_SIMULATED if is_simulated(self._snapshot) else _QUIT,
            "Quit",
            self._leave,
            no="Stay",
        )
        return False

    def _on_closing(self) -> None:
        self._remember()
        self._store_bridge.close()
        self._event_bridge.close()
        self._age_timer.stop()
        self._next_part.stop()
        self._background.close()
        for topic in self._topics:
            topic.close()
        self.docks.close()

    def _leave(self) -> None:
        self._is_leaving = True
        self.frame.close()

    def _remember(self) -> None:
        self._state.save_window(self.frame)
        self._state.save_splitter(self._splitter)
        self._state.save_columns(self.hosts.view)
        self._state.save_columns(self.vms.view)
        self._state.flush()


def _warm_up() -> None:
    """Load what Migrate needs, on a worker thread: whoever selects a VM may want it next.

    Not sooner: it is a third of the start's CPU, and 30 MB.
    """
    import hpconsole.ui.migrate.dialog
    import hpconsole.ui.migrate.survey  # noqa: F401 - loading it is the point
