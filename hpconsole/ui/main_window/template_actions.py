"""Make Template, Templates and Pools: what the window does with whole configurations.

Dialogs are loaded when they are first opened; templates are read and VMs made on worker threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from hpconsole.ui.main_window.machine_actions import MachineActions
from hpconsole.ui.main_window.topic import Topic, WindowParts

if TYPE_CHECKING:
    from hpconsole.core.machines.pool_filling import Filled
    from hpconsole.core.machines.templates import Template
    from hpconsole.ui.templates.shelf import Shelf


class TemplateActions(Topic):
    """Make Template, Templates, Pools; VMs are opened by `machines`."""

    def __init__(self, parts: WindowParts, machines: MachineActions) -> None:
        super().__init__(parts)
        self._machines = machines
        self._templates: QWidget | None = None

    def _with_shelf(self, then: Callable[[Shelf], None]) -> None:
        """Load what is needed on a worker thread, then go on with the templates and pools of this console."""
        console, machines = self._console, self._machines.machines

        def load() -> Shelf:
            import hpconsole.ui.pools.dialog
            import hpconsole.ui.templates.dialog  # noqa: F401 - loading it here is the point
            from hpconsole.ui.templates.shelf import Shelf

            return Shelf(lambda: console.documents, console.pool, machines, lambda: console.store.snapshot)

        self._open_after(load, then)

    def _open(self, dialog: QWidget) -> None:
        self._new_snapshots.connect(dialog.refresh)  # type: ignore[attr-defined]  # every dialog here has it
        self._themes.changed.connect(dialog.set_theme)  # type: ignore[attr-defined]
        self._show(dialog)

    def on_make_template(self) -> None:
        """Make a template from the selected VM."""
        vms = self._selection().vms
        if not vms:
            return
        vm = vms[0]

        def show(shelf: Shelf) -> None:
            from hpconsole.ui.templates.make_dialog import MakeTemplateDialog

            dialog = MakeTemplateDialog(
                vm,
                lambda name, text, has_content: shelf.make(vm, name, text, with_content=has_content),
                self._themes.theme,
                self._frame,
            )
            dialog.made.connect(lambda made: self._messages.status(f"The template {made.name} was made of {vm.name}."))
            self._open(dialog)

        self._with_shelf(show)

    def on_templates(self) -> None:
        """Open Templates."""

        def show(shelf: Shelf) -> None:
            from hpconsole.ui.templates.dialog import TemplatesDialog

            dialog = TemplatesDialog(shelf, self._themes.theme, self._frame)
            dialog.use_wanted.connect(lambda name, vm_name: self._use(shelf, name, vm_name))
            dialog.edit_wanted.connect(lambda name: self._edit(shelf, name, dialog.reload))
            self._open(dialog)

        self._with_shelf(show)

    def _use(self, shelf: Shelf, name: str, vm_name: str) -> None:
        def show(template: Template) -> None:
            from hpconsole.core.machines.templates import instantiate

            hosts = self._console.store.snapshot.hosts
            draft = instantiate(template, vm_name)
            places = (*draft.allowed_hosts, template.source_host, *sorted(hosts))
            host = next((place for place in places if place in hosts), "")
            self._machines.open_editor(draft, host=host)

        self._open_after(lambda: shelf.template(name), show)

    def _edit(self, shelf: Shelf, name: str, then: Callable[[], None]) -> None:
        def show(template: Template) -> None:
            from hpconsole.ui.templates.shelf import TemplateMachines

            self._machines.open_template(template.draft, TemplateMachines(shelf, template), then)

        self._open_after(lambda: shelf.template(name), show)

    def on_pools(self) -> None:
        """Open Pools."""

        def show(shelf: Shelf) -> None:
            from hpconsole.ui.pools.dialog import PoolsDialog

            dialog = PoolsDialog(shelf, self._themes.theme, self._frame)
            dialog.filled.connect(self._on_filled)
            self._open(dialog)

        self._with_shelf(show)

    def _on_filled(self, done: Filled) -> None:
        self._background.run(self._console.poller.refresh)
        if done.made:
            self._messages.status(f"Made: {', '.join(saved.name for saved in done.made[:5])}.")
