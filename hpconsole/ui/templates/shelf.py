"""Templates and pools of a console, for worker threads: kept, made from VMs, filled. Every call blocks. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpconsole.core.errors import HpconsoleError, InvalidEdit
from hpconsole.core.keeping import Documents
from hpconsole.core.machines.applying import Saved
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.field_labels import shown
from hpconsole.core.machines.pool_filling import Filled, fill
from hpconsole.core.machines.pools import PoolStore, VmPool, members
from hpconsole.core.machines.storage import template_disks
from hpconsole.core.machines.templates import (
    Template,
    TemplateStore,
    edited,
    export_text,
    import_text,
    template_of,
)
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.ui import format as fmt
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.pinning_values import numa_summary

if TYPE_CHECKING:
    from hpconsole.core.hypervisor.pool import ConnectionPool


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """One template as it is listed."""

    name: str
    kind: str
    size: str
    pinning: str
    source: str
    detail: str


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One pool as it is listed."""

    pool: VmPool
    made: int
    running: int


class Shelf:
    """Where templates and pools are kept and used.

    Args:
        documents: Asked for at every call: the database may come later than the window.
    """

    def __init__(
        self,
        documents: Callable[[], Documents],
        pool: ConnectionPool,
        machines: HostMachines,
        snapshot: Callable[[], ClusterSnapshot],
    ) -> None:
        self._documents = documents
        self._pool = pool
        self.machines = machines
        self.snapshot = snapshot

    # Templates

    def templates(self) -> tuple[Template, ...]:
        """Every template, by name."""
        return tuple(sorted(TemplateStore(self._documents()).all(), key=lambda one: fmt.natural(one.name)))

    def lines(self) -> tuple[TemplateLine, ...]:
        """Every template as it is listed."""
        return tuple(_line(template) for template in self.templates())

    def template(self, name: str) -> Template:
        """One template. Raises: InvalidEdit."""
        return TemplateStore(self._documents()).get(name)

    def make(self, vm: Vm, name: str, description: str, *, with_content: bool) -> Template:
        """A template from a VM; with content, its disks are copied now.

        Raises:
            HpconsoleError: the name is taken or cannot be, or the host refused; nothing is kept then.
        """
        store, host = TemplateStore(self._documents()), vm.host or ""
        if any(known.name == name for known in store.all()):
            raise InvalidEdit("name", f"There is a template named {name} already. Choose another name.")
        draft = self.machines.open_vm(host, vm.uuid)
        disks = template_disks(self._pool, host, draft, name, with_content=with_content)
        there = self.snapshot().hosts.get(host)
        topology = there.topology if there is not None else None
        made = template_of(draft, name, description=description, disks=disks, source_host=host, topology=topology)
        store.save(made)
        return made

    def keep(self, template: Template, draft: VmDraft) -> None:
        """The template with an edited configuration."""
        TemplateStore(self._documents()).save(edited(template, draft))

    def remove(self, name: str) -> None:
        """Forget a template."""
        TemplateStore(self._documents()).remove(name)

    def export(self, name: str, path: str) -> None:
        """Write a template to a file. Raises: HpconsoleError."""
        text = export_text(self.template(name))
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise HpconsoleError(f"The file {path} could not be written.", detail=str(error)) from error

    def bring_in(self, path: str) -> Template:
        """Read a template from a file and keep it. Raises: HpconsoleError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise HpconsoleError(f"The file {path} could not be read.", detail=str(error)) from error
        template = import_text(text)
        store = TemplateStore(self._documents())
        if any(known.name == template.name for known in store.all()):
            raise InvalidEdit("name", f"There is a template named {template.name} already. Nothing was imported.")
        store.save(template)
        return template

    # Pools

    def pools(self) -> tuple[PoolLine, ...]:
        """Every pool with how many VMs it has."""
        snapshot = self.snapshot()
        lines = []
        for pool in sorted(PoolStore(self._documents()).all(), key=lambda one: fmt.natural(one.name)):
            mine = members(pool, snapshot)
            lines.append(PoolLine(pool, len(mine), sum(vm.state.is_active for vm in mine)))
        return tuple(lines)

    def keep_pool(self, pool: VmPool) -> None:
        """Keep a pool. Raises: InvalidEdit."""
        self.template(pool.template)
        PoolStore(self._documents()).save(pool)

    def fill_pool(self, pool: VmPool) -> Filled:
        """Make and start what the pool lacks. Raises: HpconsoleError."""
        return fill(self._pool, pool, self.template(pool.template), self.machines.around())

    def remove_pool(self, name: str) -> None:
        """Forget a pool; its VMs stay."""
        PoolStore(self._documents()).remove(name)


class TemplateMachines:
    """`Machines` for the dialog that edits a template: saving keeps the template, no host is touched."""

    def __init__(self, shelf: Shelf, template: Template) -> None:
        self._shelf = shelf
        self._template = template

    def open_vm(self, host: str, uuid: str) -> VmDraft:
        """What the template says."""
        return self._template.draft

    def create(self, host: str, draft: VmDraft, *, start: bool) -> Saved:
        """Keep the edited template."""
        self._shelf.keep(self._template, draft)
        return Saved("", self._template.name, host)

    def save(self, host: str, before: VmDraft, after: VmDraft) -> Saved:
        """Keep the edited template."""
        return self.create(host, after, start=False)

    def pools(self, host: str) -> tuple[str, ...]:
        """The names of a host's storage pools."""
        return self._shelf.machines.pools(host)

    def volumes(self, host: str, pool: str) -> tuple[str, ...]:
        """The names of a pool's volumes."""
        return self._shelf.machines.volumes(host, pool)


def _line(template: Template) -> TemplateLine:
    draft = template.draft
    policy = shown("cpu_pinning_policy", draft.cpu_pinning_policy)
    hosts = fmt.names(draft.allowed_hosts) if draft.allowed_hosts else "any host in the cluster"
    detail = [
        template.description,
        f"Migration: {shown('migration_mode', draft.migration_mode)}. Hosts: {hosts}.",
        f"CPU pinning: {policy}{f' ({draft.pinning_text})' if draft.pinning_text else ''}.",
        f"Virtual NUMA nodes: {numa_summary(draft)}",
        _disk_words(template),
    ]
    return TemplateLine(
        template.name,
        shown("optimized_for", draft.optimized_for),
        f"{fmt.count(draft.vcpus, 'vCPU')}, {fmt.kib(draft.memory_kib)}",
        policy if draft.cpu_pinning_policy.value != "none" else "not pinned",
        template.source_host or fmt.UNKNOWN,
        "\n".join(part for part in detail if part),
    )


def _disk_words(template: Template) -> str:
    if not template.disks:
        return "No disks of its own."
    parts: Sequence[str] = [
        f"a copy of {disk.pool}/{disk.volume}" if disk.volume else f"an empty disk of {fmt.kib(disk.size_kib)}"
        for disk in template.disks
    ]
    return f"Each VM gets {fmt.names(tuple(parts))}."
