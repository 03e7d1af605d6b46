"""Pools: N VMs kept from one template. Values, and what has to be made and started for a pool to be as it should. Pure.

A VM belongs to a pool by a label in its own metadata, so that every console finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hpconsole.core.errors import HpconsoleError, InvalidEdit
from hpconsole.core.keeping import Documents
from hpconsole.core.machines.checking import name_problem
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.templates import Template, instantiate
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler import value_json

KIND = "pool"
LARGEST = 1000
_NUMBER = "{n}"


@dataclass(frozen=True, slots=True)
class VmPool:
    """N VMs from a template. `{n}` in the pattern is the VM's number, from 1."""

    name: str
    template: str
    size: int = 1
    prestarted: int = 0  # so many are kept running
    name_pattern: str = ""  # "" = the pool's name, a hyphen and the number
    is_linked: bool = True

    @property
    def pattern(self) -> str:
        """The name pattern that holds."""
        return self.name_pattern or f"{self.name}-{_NUMBER}"

    @property
    def label(self) -> str:
        """The label its VMs carry."""
        return f"pool:{self.name}"

    def vm_name(self, number: int) -> str:
        """The name of a VM of the pool."""
        return self.pattern.replace(_NUMBER, str(number))


@dataclass(frozen=True, slots=True)
class PoolNeeds:
    """What is to be done: names of VMs to be made, VMs to be started, VMs beyond its size (left alone)."""

    make: tuple[str, ...] = ()
    start: tuple[Vm, ...] = ()
    start_new: int = 0  # of those to be made
    surplus: tuple[Vm, ...] = ()


def problem_of(pool: VmPool) -> str:
    """What is wrong with a pool; empty = nothing."""
    if problem := name_problem(pool.name):
        return problem.replace("A VM", "A pool")
    if not 1 <= pool.size <= LARGEST:
        return f"A pool has 1 to {LARGEST:,} VMs."
    if not 0 <= pool.prestarted <= pool.size:
        return f"Between 0 and all {pool.size} VMs of the pool can be kept running."
    if _NUMBER not in pool.pattern:
        return f"The name pattern needs {_NUMBER}, which becomes the number of the VM."
    return name_problem(pool.vm_name(pool.size))


def members(pool: VmPool, snapshot: ClusterSnapshot) -> tuple[Vm, ...]:
    """The VMs of the pool, by name."""
    mine = (vm for vm in snapshot.vms.values() if pool.label in vm.intent.labels)
    return tuple(sorted(mine, key=lambda vm: (len(vm.name), vm.name)))


def needs_of(pool: VmPool, snapshot: ClusterSnapshot) -> PoolNeeds:
    """What is missing. Names that other VMs have are passed over."""
    mine = members(pool, snapshot)
    taken = {vm.name for vm in snapshot.vms.values()}
    names: list[str] = []
    number = 1
    while len(mine) + len(names) < pool.size and number < 10 * LARGEST:
        if (name := pool.vm_name(number)) not in taken:
            names.append(name)
        number += 1
    idle = [vm for vm in mine if not vm.state.is_active]
    wanted = max(0, pool.prestarted - (len(mine) - len(idle)))
    return PoolNeeds(
        make=tuple(names),
        start=tuple(idle[:wanted]),
        start_new=min(len(names), wanted - len(idle[:wanted])),
        surplus=mine[pool.size :],
    )


def member_draft(pool: VmPool, template: Template, name: str) -> VmDraft:
    """The draft of a new VM of the pool."""
    draft = instantiate(template, name, is_linked=pool.is_linked)
    return replace(draft, labels=draft.labels | {pool.label})


class PoolStore:
    """The pools of this console. Threads: any."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def all(self) -> tuple[VmPool, ...]:
        """Every pool that can be read, by name."""
        found = []
        for name, body in self._documents.all(KIND).items():
            try:
                found.append(_read(name, body))
            except HpconsoleError:
                continue
        return tuple(found)

    def get(self, name: str) -> VmPool:
        """The pool of this name.

        Raises:
            InvalidEdit: there is none; ScenarioError: it cannot be read.
        """
        body = self._documents.get(KIND, name)
        if body is None:
            raise InvalidEdit("pool", f"There is no pool named {name[:60]}.", subject=name)
        return _read(name, body)

    def save(self, pool: VmPool) -> None:
        """Keep a pool; one of this name is replaced.

        Raises:
            InvalidEdit: it cannot be so.
        """
        if problem := problem_of(pool):
            raise InvalidEdit("pool", problem, subject=pool.name)
        self._documents.save(KIND, pool.name, value_json.to_json(pool))

    def remove(self, name: str) -> None:
        """Forget a pool. Its VMs stay."""
        self._documents.remove(KIND, name)


def _read(name: str, body: Mapping[str, Any]) -> VmPool:
    pool: VmPool = value_json.from_json(VmPool, dict(body), f"the pool {name}")
    if problem := problem_of(pool):
        raise InvalidEdit("pool", problem, subject=name)
    return pool
