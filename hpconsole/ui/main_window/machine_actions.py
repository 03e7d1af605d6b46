"""New VM, Edit VM, NUMA Topology, Start, Pause, Shut Down, Delete: what the window does about VMs beyond moving them.

Dialogs are loaded when they are first opened, on a worker thread; hosts are asked there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.vm import Vm
from hpconsole.paths import data_folder
from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.topic import Topic

if TYPE_CHECKING:
    from hpconsole.core.machines.applying import Saved
    from hpconsole.core.machines.draft import VmDraft
    from hpconsole.core.machines.life import Deleted
    from hpconsole.ui.deletion.presenter import DeletionChoice
    from hpconsole.ui.numa.survey import Changed, Written
    from hpconsole.ui.vm_editor.machines import HostMachines, Machines

_FORCE = "Its guest is not asked: what it has not written to its disks is lost."


class MachineActions(Topic):
    """New VM, Edit VM, NUMA Topology, Start, Pause, Resume, Shut Down, Force Off, Delete."""

    @property
    def machines(self) -> HostMachines:
        """The VMs on the hosts."""
        from hpconsole.ui.vm_editor.machines import HostMachines

        console = self._console
        return HostMachines(console.pool, lambda: console.store.snapshot, lambda: console.policy, console.reservations)

    # New and Edit

    def on_new_vm(self) -> None:
        """New VM, on the selected host if there is one."""
        selected = self._selection().hosts
        names = sorted(self._snapshot.hosts, key=fmt.natural)
        connected = [name for name in names if self._snapshot.hosts[name].is_candidate]
        host = next((name for name in (*selected, *connected, *names) if name in self._snapshot.hosts), "")

        def make() -> VmDraft:
            _load_editor()
            from hpconsole.core.machines.making import new_draft

            return new_draft(host=self._snapshot.hosts.get(host))

        self._open_after(make, lambda draft: self.open_editor(draft, host=host))

    def on_edit_vm(self) -> None:
        """Edit the selected VM."""
        vms = self._selection().vms
        if vms:
            vm, machines = vms[0], self.machines

            def read() -> VmDraft:
                _load_editor()
                return machines.open_vm(vm.host or "", vm.uuid)

            self._open_after(read, lambda draft: self.open_editor(draft, host=vm.host or "", vm=vm))

    def open_editor(self, draft: VmDraft, *, host: str, vm: Vm | None = None) -> None:
        """The VM dialog with this draft."""
        from hpconsole.ui.vm_editor.dialog import VmEditorDialog
        from hpconsole.ui.vm_editor.presenter import VmEditorPresenter

        presenter = VmEditorPresenter(
            draft, self._snapshot, lambda: self._console.policy, self._console.reservations, vm=vm, host=host
        )
        dialog = VmEditorDialog(presenter, self.machines, self._themes.theme, self._frame)
        self._follow(dialog)
        dialog.saved.connect(self._on_saved)
        self._show(dialog)

    def open_template(self, draft: VmDraft, machines: Machines, then: Callable[[], None]) -> None:
        """The VM dialog for a template: what is saved is the template."""
        from hpconsole.ui.vm_editor.dialog import VmEditorDialog
        from hpconsole.ui.vm_editor.presenter import VmEditorPresenter

        presenter = VmEditorPresenter(
            draft, self._snapshot, lambda: self._console.policy, self._console.reservations, is_template=True
        )
        dialog = VmEditorDialog(presenter, machines, self._themes.theme, self._frame)
        self._follow(dialog)
        dialog.saved.connect(lambda _saved, name: self._messages.status(f"The template {name} was saved."))
        dialog.saved.connect(lambda *_: then())
        self._show(dialog)

    def _follow(self, dialog: QWidget) -> None:
        self._new_snapshots.connect(dialog.refresh)  # type: ignore[attr-defined]  # every dialog here has it
        self._themes.changed.connect(dialog.set_theme)  # type: ignore[attr-defined]

    def _on_saved(self, saved: Saved, name: str) -> None:
        self._refresh()
        started = " and started" if saved.is_started else ""
        self._messages.status(f"{name} was saved on {saved.host}{started}.")
        if saved.notes:
            self._messages.information("\n".join(saved.notes))

    def _refresh(self) -> None:
        self._background.run(self._console.poller.refresh)

    # NUMA Topology

    def on_numa_vm(self) -> None:
        """NUMA Topology of the selected VM."""
        vms = self._selection().vms
        if vms:
            chosen = tuple(name for name in vms[0].intent.allowed_hosts if name in self._snapshot.hosts)
            rest = sorted((n for n in self._snapshot.hosts if n not in chosen and n != vms[0].host), key=fmt.natural)
            here = (vms[0].host or "",)
            self._open_numa(vms[:1], (chosen or (*here, *rest)), is_for_host=False)

    def on_numa_host(self) -> None:
        """NUMA Topology of the selected host: every VM with virtual nodes that may run there."""
        hosts = self._selection().hosts
        if hosts:
            host = hosts[0]
            vms = tuple(
                vm
                for vm in self._snapshot.vms.values()
                if vm.virtual_nodes
                and (vm.host == host or host in vm.intent.allowed_hosts)
                and (not vm.intent.allowed_hosts or host in vm.intent.allowed_hosts)
            )
            rest = sorted((name for name in self._snapshot.hosts if name != host), key=fmt.natural)
            self._open_numa(vms, (host, *rest), is_for_host=True)

    def _open_numa(self, vms: Sequence[Vm], hosts: Sequence[str], *, is_for_host: bool) -> None:
        machines = self.machines
        places = {vm.uuid: vm.host or "" for vm in vms}

        def read() -> tuple[VmDraft, ...]:
            import hpconsole.ui.numa.dialog  # noqa: F401 - loaded here, not on the window's thread

            return tuple(machines.open_vm(vm.host or "", vm.uuid) for vm in vms if vm.host)

        def write(changed: Changed) -> Written:
            from hpconsole.ui.numa.survey import written

            return written(changed, machines, places)

        def show(drafts: tuple[VmDraft, ...]) -> None:
            from hpconsole.ui.numa.dialog import NumaDialog
            from hpconsole.ui.numa.presenter import NumaPresenter

            presenter = NumaPresenter(
                drafts, self._snapshot, lambda: self._console.policy, self._console.reservations, hosts=hosts,
                is_for_host=is_for_host,
            )  # fmt: skip
            dialog = NumaDialog(presenter, self._themes.theme, self._frame, write=write)
            self._follow(dialog)
            dialog.drafts_accepted.connect(self._on_numa_saved)
            self._show(dialog)

        self._open_after(read, show)

    def _on_numa_saved(self, changed: Sequence[tuple[VmDraft, VmDraft]]) -> None:
        self._refresh()
        self._messages.status(f"The NUMA topology of {fmt.names(tuple(after.name for _, after in changed))} was saved.")

    # Life

    def on_start_vm(self) -> None:
        """Start the selected VMs that are shut off."""
        for vm in self._selection().startable:
            self._run(partial(self.machines.start, vm), f"{vm.name} was started on {vm.host}.")

    def on_pause_vm(self) -> None:
        """Stop the vCPUs of the selected VMs that run."""
        for vm in self._selection().pausable:
            self._run(partial(self.machines.pause, vm), f"{vm.name} was paused on {vm.host}.")

    def on_resume_vm(self) -> None:
        """Let the selected VMs that are paused run again."""
        for vm in self._selection().resumable:
            self._run(partial(self.machines.resume, vm), f"{vm.name} runs again on {vm.host}.")

    def on_shut_down(self) -> None:
        """Ask the guests of the selected VMs to shut down."""
        for vm in self._selection().running:
            self._run(partial(self.machines.shut_down, vm), f"{vm.name} was asked to shut down.")

    def on_force_off(self) -> None:
        """End the selected VMs at once, after a question."""
        vms = self._selection().running
        names = fmt.names(tuple(vm.name for vm in vms))
        self._messages.ask(f"Force {names} off?", _FORCE, "Force Off", lambda: self._force_off(vms))

    def _force_off(self, vms: Sequence[Vm]) -> None:
        for vm in vms:
            self._run(partial(self.machines.shut_down, vm, by_force=True), f"{vm.name} was ended.")

    def on_delete_vm(self) -> None:
        """Ask what is to stay, then delete the selected VMs, all of which are shut off."""
        from hpconsole.ui.deletion.dialog import DeletionDialog
        from hpconsole.ui.deletion.presenter import FOLDER

        vms = self._selection().startable
        if vms:
            folder = data_folder() / FOLDER
            dialog = DeletionDialog(vms, self._snapshot, folder, self._themes.theme, self._frame)
            self._follow(dialog)
            dialog.confirmed.connect(self._delete)
            self._show(dialog)

    def _delete(self, choice: DeletionChoice) -> None:
        machines = self.machines

        done: list[Deleted] = []
        refused: list[HpconsoleError] = []

        def delete() -> tuple[list[Deleted], list[HpconsoleError]]:
            for vm in choice.vms:
                try:
                    done.append(
                        machines.delete(
                            vm, self._console.documents, keep_nvram=choice.keep_nvram, save_in=choice.save_in
                        )
                    )
                except HpconsoleError as error:
                    refused.append(error)  # the others are none of its business
            return done, refused

        def broken_off(error: HpconsoleError) -> None:
            """By a mistake of hpconsole; what was done before it is done all the same."""
            from hpconsole.ui.deletion.presenter import broken_off_sentence

            sentence = broken_off_sentence(choice.vms, len(done) + len(refused))
            self._on_deleted((done, [*refused, HpconsoleError(sentence, detail=error.detail)]))

        self._background.run(delete, self._on_deleted, broken_off)

    def _on_deleted(self, outcome: tuple[list[Deleted], list[HpconsoleError]]) -> None:
        from hpconsole.ui.deletion.presenter import outcome_sentence

        done, refused = outcome
        self._refresh()
        if done:
            self._messages.status(outcome_sentence(done))
        if refused:
            told = [outcome_sentence(done)] if done else []
            sentences = "\n\n".join([*told, *(error.sentence for error in refused)])
            detail = "\n".join(error.detail for error in refused if error.detail)
            self._messages.error(HpconsoleError(sentences, detail=detail))

    def _run(self, job: Callable[[], object], done: str) -> None:
        def on_done(_: object) -> None:
            self._messages.status(done)
            self._refresh()

        self._background.run(job, on_done, self._messages.error)


def _load_editor() -> None:
    """On a worker thread, so that the window does not wait for it."""
    import hpconsole.ui.vm_editor.dialog
    import hpconsole.ui.vm_editor.survey  # noqa: F401 - loading it is the point
