"""Making and starting what a pool lacks. Blocks and asks hosts: never on the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.machines.applying import Saved, choose_host, create, start_vm
from hpconsole.core.machines.pools import VmPool, member_draft, needs_of
from hpconsole.core.machines.surroundings import Surroundings, meant_vm
from hpconsole.core.machines.templates import Template
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.reservations import reserve


@dataclass(slots=True)
class Filled:
    """What was done; `notes` says what was not, a sentence each."""

    made: list[Saved] = field(default_factory=list)
    started: list[Saved] = field(default_factory=list)
    surplus: tuple[Vm, ...] = ()
    notes: list[str] = field(default_factory=list)


def fill(
    pool: ConnectionPool,
    wanted: VmPool,
    template: Template,
    around: Surroundings,
    *,
    on_progress: Callable[[str], None] = lambda _sentence: None,
) -> Filled:
    """Make and start what is missing; what one VM is given, the next one counts as taken.

    The first VM that cannot be made or started ends it: the others would fail the same way.
    """
    needs = needs_of(wanted, around.snapshot)
    done = Filled(surplus=needs.surplus)
    try:
        for vm in needs.start:
            on_progress(f"Starting {vm.name}.")
            saved = start_vm(pool, vm, around)
            done.started.append(saved)
            around = _with_promise(around, vm, saved)
        for place, name in enumerate(needs.make):
            on_progress(f"Making {name}.")
            draft = member_draft(wanted, template, name)
            host = choose_host(draft, around)
            saved = create(pool, host, draft, around, start=place < needs.start_new)
            done.made.append(saved)
            done.notes += saved.notes
            around = _with_promise(around, replace(meant_vm(draft), uuid=saved.uuid, host=host), saved)
    except HpconsoleError as error:
        done.notes.append(error.sentence)
    return done


def _with_promise(around: Surroundings, vm: Vm, saved: Saved) -> Surroundings:
    """The cluster as it will be when the next poll has seen this VM; one that does not run takes nothing."""
    known = around.with_vm(vm)
    if not saved.is_started:
        return replace(around, snapshot=known)
    return replace(
        around, snapshot=known, reservations=(*around.reservations, reserve(vm, saved.host, saved.placement))
    )
