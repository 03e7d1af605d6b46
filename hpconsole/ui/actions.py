"""Every action of the window: text, shortcut, icon, when it is possible, and why not where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from hpconsole.ui import icons
from hpconsole.ui.theme import Theme
from hpconsole.ui.widgets.cell import tip_of

if TYPE_CHECKING:
    from hpconsole.core.model.host import HostStatus
    from hpconsole.core.model.snapshot import ClusterSnapshot
    from hpconsole.core.model.vm import Vm


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected in the window now."""

    hosts: tuple[str, ...] = ()
    vms: tuple[Vm, ...] = ()
    statuses: Mapping[str, HostStatus] = field(default_factory=dict)  # decided, of the hosts that are known

    @classmethod
    def of(cls, snapshot: ClusterSnapshot, hosts: Sequence[str], vm_uuids: Sequence[str]) -> Selection:
        """What these keys mean in this snapshot."""
        vms = (snapshot.vms.get(uuid) for uuid in vm_uuids)
        statuses = {name: snapshot.hosts[name].status for name in hosts if name in snapshot.hosts}
        return cls(tuple(hosts), tuple(vm for vm in vms if vm is not None), statuses)

    @property
    def activatable(self) -> tuple[str, ...]:
        """Selected hosts that are not simply up: in maintenance, on their way there, or non-operational."""
        return tuple(name for name in self.hosts if name in self.statuses and self.statuses[name].value != "up")

    @property
    def movable(self) -> tuple[Vm, ...]:
        """Selected VMs that run and are not on their way already."""
        return tuple(vm for vm in self.vms if vm.is_running_somewhere and not vm.is_migrating)

    @property
    def migrating(self) -> tuple[Vm, ...]:
        """Selected VMs that are on their way."""
        return tuple(vm for vm in self.vms if vm.is_migrating)

    @property
    def startable(self) -> tuple[Vm, ...]:
        """Selected VMs without a process, defined on a host that is known."""
        return tuple(vm for vm in self.vms if vm.host is not None and vm.state.value in ("shut off", "crashed"))

    @property
    def pausable(self) -> tuple[Vm, ...]:
        """Selected VMs that run and are not on their way."""
        return tuple(vm for vm in self.movable if vm.state.value == "running")

    @property
    def resumable(self) -> tuple[Vm, ...]:
        """Selected VMs that are paused and not on their way."""
        return tuple(vm for vm in self.movable if vm.state.value == "paused")

    @property
    def running(self) -> tuple[Vm, ...]:
        """Selected VMs with a process."""
        return tuple(vm for vm in self.vms if vm.is_running_somewhere)


def _why_not_migrate(selection: Selection) -> str:
    if selection.movable:
        return ""
    if selection.migrating:
        return "What is selected is being migrated already."
    return "Only running VMs can be migrated." if selection.vms else "Select one or more running VMs first."


def _why_not_cancel(selection: Selection) -> str:
    return "" if selection.migrating else "No selected VM is being migrated."


def _why_not_one_vm(selection: Selection) -> str:
    if len(selection.vms) != 1:
        return "Select one VM first." if not selection.vms else "Select a single VM."
    return "" if selection.vms[0].host else f"No host that is known has {selection.vms[0].name}."


def _why_not_numa_vm(selection: Selection) -> str:
    why_not = _why_not_one_vm(selection)
    if why_not or selection.vms[0].virtual_nodes:
        return why_not
    return f"{selection.vms[0].name} has no virtual NUMA nodes. Edit the VM to give it some."


def _why_not_start(selection: Selection) -> str:
    return "" if selection.startable else "Select a VM that is shut off."


def _why_not_stop(selection: Selection) -> str:
    return "" if selection.running else "Select a VM that runs."


def _why_not_pause(selection: Selection) -> str:
    if selection.pausable:
        return ""
    return "What is selected is being migrated." if selection.migrating else "Select a VM that runs."


def _why_not_resume(selection: Selection) -> str:
    if selection.resumable:
        return ""
    if any(vm.state.value == "paused" for vm in selection.migrating):
        return "It stands still because of a migration: wait for its end, or recover it in Tasks."
    return "Select a VM that is paused."


def _why_not_delete(selection: Selection) -> str:
    if not selection.vms:
        return "Select a VM that is shut off."
    nowhere = next((vm for vm in selection.vms if vm.host is None), None)
    if nowhere is not None:
        return f"No host that is known has {nowhere.name}."
    alive = next((vm for vm in selection.vms if vm not in selection.startable), None)
    if alive is None:
        return ""
    state = "being migrated" if alive.is_migrating else alive.state.value
    return f"{alive.name} is {state}. Only VMs that are shut off can be deleted."


def _why_not_host(selection: Selection) -> str:
    return "" if selection.hosts else "Select a host first."


def _why_not_activate(selection: Selection) -> str:
    if not selection.hosts or selection.activatable:
        return _why_not_host(selection)
    if len(selection.hosts) == 1:
        return f"{selection.hosts[0]} is not in maintenance."
    return "None of the selected hosts is in maintenance."


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action. `why_not` answers with a sentence while the action is impossible, else with nothing."""

    name: str  # also the object name, and the name of the window's method: `migrate` -> `on_migrate`
    text: str
    tip: str
    icon: str = ""
    shortcut: str = ""
    why_not: Callable[[Selection], str] = field(default=lambda _: "")
    is_checkable: bool = False


ALL = (
    ActionSpec("add_host", "&Add Host…", "Connect to another host", "host-add", "Ctrl+N"),
    ActionSpec(
        "remove_host", "&Remove Host…", "Forget the selected hosts; nothing is changed on them", "host-remove",
        why_not=_why_not_host,
    ),
    ActionSpec(
        "migrate", "&Migrate VM(s)…", "Move the selected running VMs to another host", "migrate", "Ctrl+M",
        why_not=_why_not_migrate,
    ),
    ActionSpec(
        "cancel_migration", "&Cancel Migration", "Stop moving the selected VMs; they go on where they are", "cancel",
        why_not=_why_not_cancel,
    ),
    ActionSpec(
        "history", "Migration Hi&story…", "Every migration of this and earlier runs, with its attempts and reasons",
        "history", "Ctrl+H",
    ),
    ActionSpec(
        "show_vms_of_host", "Show Its &VMs", "Search for what is on the selected host", "vm", why_not=_why_not_host
    ),
    ActionSpec(
        "maintenance", "Mainte&nance…", "Plan how the VMs of the selected hosts leave, and empty the hosts",
        "wrench", "Ctrl+Shift+M", why_not=_why_not_host,
    ),
    ActionSpec(
        "activate", "A&ctivate", "Let VMs be placed on the selected hosts again", "running",
        why_not=_why_not_activate,
    ),
    ActionSpec(
        "return_home", "Return VMs &Home…",
        "Move VMs back to the hosts they left: the selected ones, or all", "home",
    ),
    ActionSpec("new_vm", "&New VM…", "Make a VM, on the selected host or where it fits", "vm-add", "Ctrl+Shift+N"),
    ActionSpec("edit_vm", "&Edit VM…", "Change the selected VM", "edit", "Ctrl+E", why_not=_why_not_one_vm),
    ActionSpec("start_vm", "S&tart", "Start the selected VMs", "running", why_not=_why_not_start),
    ActionSpec(
        "pause_vm", "P&ause", "Stop the selected VMs' vCPUs; their memory stays as it is", "paused",
        why_not=_why_not_pause,
    ),
    ActionSpec("resume_vm", "&Resume", "Let the selected paused VMs run again", "resume", why_not=_why_not_resume),
    ActionSpec("shut_down", "Shut &Down", "Ask the selected VMs' guests to shut down", "off", why_not=_why_not_stop),
    ActionSpec(
        "force_off", "&Force Off…", "End the selected VMs at once, without asking their guests", "power",
        why_not=_why_not_stop,
    ),
    ActionSpec(
        "numa_vm", "N&UMA Topology…", "Pin the virtual NUMA nodes of the selected VM", "node", why_not=_why_not_numa_vm
    ),
    ActionSpec(
        "numa_host", "NUMA &Topology…", "Pin the virtual NUMA nodes of every VM that may run on the selected host",
        "node", why_not=_why_not_host,
    ),
    ActionSpec(
        "make_template", "Make Tem&plate…", "Keep all the selected VM is, its pinning included, to make VMs from",
        "template-add", why_not=_why_not_one_vm,
    ),
    ActionSpec(
        "delete_vm", "Delete &VM(s)…", "Remove the definitions of the selected VMs; their disks stay", "delete", "Del",
        why_not=_why_not_delete,
    ),
    ActionSpec("templates", "Temp&lates…", "Make VMs from templates, and edit, export or import them", "template"),
    ActionSpec("pools", "P&ools…", "Keep so many VMs of a template", "stack"),
    ActionSpec(
        "balancing", "Load &Balancing…", "What should move to even out load or keep rules, who acts, and why nothing",
        "balance", "Ctrl+B",
    ),
    ActionSpec(
        "migration_policies", "&Migration Policies…", "How hard migrations try, and what they do when they stall",
        "gauge", "Ctrl+Shift+P",
    ),
    ActionSpec(
        "policies", "&Scheduling Policies…", "Which hosts VMs may run on, and which are best; with the effect on a VM",
        "sliders", "Ctrl+P",
    ),
    ActionSpec(
        "affinity", "&Affinity Groups…", "Which VMs run together, apart, or on which hosts; pinning suggests some",
        "link", "Ctrl+G",
    ),
    ActionSpec(
        "availability", "&High Availability…", "What the loss of each host would mean now, fencing, and what is done",
        "shield", "Ctrl+Shift+H",
    ),
    ActionSpec("refresh", "Re&fresh Now", "Ask every host at once", "refresh", "F5"),
    ActionSpec("find", "&Find", "Search hosts and VMs", "search", "Ctrl+F"),
    ActionSpec("show_tasks", "&Tasks", "Running and past migrations", "tasks", "Ctrl+T", is_checkable=True),
    ActionSpec(
        "show_load", "Host &Load", "CPU and memory of the selected hosts over the last hour", "chart", "Ctrl+L",
        is_checkable=True,
    ),
    ActionSpec(
        "show_details", "VM &Details", "What the selected VM is meant to have and has, its pinning and its migrations",
        "details", "Ctrl+D", is_checkable=True,
    ),
    ActionSpec("about", "&About hpconsole", "Which version this is", "info"),
    ActionSpec("quit", "&Quit", "Close the window", "", "Ctrl+Q"),
)  # fmt: skip


class Actions(QObject):
    """The QActions of one window, by name.

    Args:
        slots: What each action does, by the action's name; a checkable one gets its new state.
    """

    def __init__(self, slots: Mapping[str, Callable[..., None]], parent: QObject) -> None:
        super().__init__(parent)
        self._by_name: dict[str, QAction] = {}
        for spec in ALL:
            action = QAction(spec.text, parent)
            action.setObjectName(f"action_{spec.name}")
            action.setCheckable(spec.is_checkable)
            if spec.shortcut:
                action.setShortcut(QKeySequence(spec.shortcut))
            slot = slots[spec.name]
            action.triggered.connect(slot if spec.is_checkable else _without_state(slot))
            self._by_name[spec.name] = action
        self.follow(Selection())

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def follow(self, selection: Selection) -> None:
        """Enable what is possible with this selection; the tooltip of the rest says why it is not."""
        for spec in ALL:
            action = self._by_name[spec.name]
            why_not = spec.why_not(selection)
            action.setEnabled(not why_not)
            shortcut = f" ({spec.shortcut})" if spec.shortcut else ""
            action.setToolTip(tip_of(why_not) or f"{spec.tip}{shortcut}")
            action.setStatusTip(why_not or spec.tip)

    def set_theme(self, theme: Theme) -> None:
        """Tint the icons."""
        for spec in ALL:
            if spec.icon:
                self._by_name[spec.name].setIcon(icons.icon(spec.icon, theme.text, theme.tile_taken))


def _without_state(slot: Callable[[], None]) -> Callable[[bool], None]:
    return lambda _checked: slot()
