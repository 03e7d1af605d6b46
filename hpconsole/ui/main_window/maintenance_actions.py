"""Maintenance, Activate and the way back home: what the window does about whole hosts, and drains it finds.

Dialogs are loaded when they are first opened.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from hpconsole.core.events import DrainChanged, Event, Notice
from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.topic import Topic, WindowParts
from hpconsole.ui.widgets.notice_bar import Offer

if TYPE_CHECKING:
    from hpconsole.core.execution.drain_record import DrainRecord
    from hpconsole.core.execution.maintenance import Maintenance
    from hpconsole.core.model.snapshot import ClusterSnapshot
    from hpconsole.core.planning.plan import Plan
    from hpconsole.ui.maintenance.dialog import MaintenanceDialog

_NEEDS_SOMEBODY = ("paused", "waiting")
_ENDED = ("done", "stopped")
_DAYS = 7


class MaintenanceActions(Topic):
    """Maintenance, Activate, Return VMs Home. `offered`: a notice with what can be done about it."""

    offered = Signal(object, object)  # Notice, Offer

    def __init__(self, parts: WindowParts) -> None:
        super().__init__(parts)
        self._heard: dict[str, str] = {}  # drain -> its state when it was last heard of
        self._open_dialogs: list[MaintenanceDialog] = []

    # Maintenance

    def on_maintenance(self) -> None:
        """Maintenance host(s), for the selected ones."""
        hosts = self._selection().hosts
        if hosts:
            self._load(hosts)

    def hear(self, event: Event) -> None:
        """A drain that waits for somebody is offered, unless its dialog is open; one found at the start is, too."""
        if not isinstance(event, DrainChanged) or self._heard.get(event.drain_id) == event.state:
            return
        self._heard[event.drain_id] = event.state
        if any(dialog.drain_id == event.drain_id for dialog in self._open_dialogs):
            return
        if event.state in _ENDED:
            self._messages.status(event.sentence)
        elif event.state in _NEEDS_SOMEBODY:
            self._background.run(
                lambda: self._console.maintenance.get(event.drain_id), self._offer, self._messages.error
            )

    def _offer(self, record: DrainRecord | None) -> None:
        if record is None or record.state.value not in _NEEDS_SOMEBODY:
            return
        hosts = record.intent.hosts
        notice = Notice(datetime.now(UTC), "warning", f"{record.title}: {record.sentence}")
        if not hosts:  # room is made for a VM: there is no host to open the dialog for
            self._messages.status(notice.sentence)
            return
        tip = "Look at what was done and what is left; resume, change or stop it"
        self.offered.emit(notice, Offer("Show &Maintenance…", tip, partial(self._load, hosts)))

    def _load(self, hosts: tuple[str, ...]) -> None:
        def load() -> Maintenance:
            import hpconsole.ui.maintenance.dialog  # noqa: F401 - loaded here, not on the window's thread

            maintenance = self._console.maintenance
            maintenance.recover()  # a console that ended while this one ran may have left a drain
            return maintenance

        self._open_after(load, partial(self._open, hosts))

    def _open(self, hosts: tuple[str, ...], maintenance: Maintenance) -> None:
        from hpconsole.ui.maintenance.dialog import MaintenanceDialog

        console = self._console

        def destinations() -> tuple[str, ...]:
            return tuple(name for name, host in console.store.snapshot.hosts.items() if host.is_candidate)

        dialog = MaintenanceDialog(
            hosts, maintenance, console.store, self._themes.theme, destinations=destinations, parent=self._frame
        )
        self._themes.changed.connect(dialog.set_theme)
        self._open_dialogs.append(dialog)
        dialog.finished.connect(lambda _: self._open_dialogs.remove(dialog))
        self._show(dialog)

    def on_activate(self) -> None:
        """Bring the selected hosts that are away back, and offer to bring their VMs back too."""
        hosts = self._selection().activatable

        def activate() -> Plan:
            for host in hosts:
                self._console.maintenance.activate(host)
            return self._plan_home(hosts, _DAYS)[0]

        def done(plan: Plan) -> None:
            verb = "is" if len(hosts) == 1 else "are"
            self._messages.status(f"{fmt.names(hosts)} {verb} up again: VMs may be placed there.")
            if plan.steps or plan.warnings:
                self._offer_return(hosts, len(plan.steps) + len(plan.warnings))

        if hosts:
            self._background.run(activate, done, self._messages.error)

    # The way back

    def _offer_return(self, hosts: tuple[str, ...], count: int) -> None:
        verb = "runs" if count == 1 else "run"
        sentence = f"{fmt.count(count, 'VM')} that left {fmt.names(hosts)} {verb} elsewhere."
        offer = Offer("Return VMs &Home…", "Look at which VM would go back where", partial(self._load_return, hosts))
        self.offered.emit(Notice(datetime.now(UTC), "info", sentence), offer)

    def on_return_home(self) -> None:
        """Return VMs Home: those that left the selected hosts; without a selection all that are not at home."""
        self._load_return(self._selection().hosts)

    def _load_return(self, hosts: tuple[str, ...]) -> None:
        def load() -> None:
            import hpconsole.ui.return_home.dialog  # noqa: F401 - loaded here, not on the window's thread

        self._open_after(load, lambda _: self._open_return(hosts))

    def _open_return(self, hosts: tuple[str, ...]) -> None:
        from hpconsole.ui.return_home.dialog import ReturnHomeDialog

        dialog = ReturnHomeDialog(hosts, self._plan_home, self._themes.theme, parent=self._frame)
        dialog.plan_accepted.connect(self._submit)
        self._themes.changed.connect(dialog.set_theme)
        self._show(dialog)

    def _plan_home(self, hosts: tuple[str, ...], days: int) -> tuple[Plan, ClusterSnapshot]:
        """Worker threads."""
        from hpconsole.core.execution.homeward import plan_home

        console = self._console
        journal, advice, snapshot = console.journal, console.advice, console.store.snapshot
        records = journal.records(100_000) if journal is not None else ()
        plan = plan_home(
            records,
            snapshot,
            console.policy,
            console.reservations(),
            hosts=hosts,
            since=datetime.now(UTC) - timedelta(days=days),
            forecaster=lambda vm, _source, host: None if advice is None else advice.known_forecast(vm.uuid, host),
        )
        return plan, snapshot

    def _submit(self, plan: Plan) -> None:
        self._messages.status(f"{plan.title}…")
        self._background.run(lambda: self._console.submit(plan), failed=self._messages.error)
