"""Where should these VMs go? Asks every filter about every host, weighs the accepted ones, and orders them.

Pure: the same request, snapshot, policy and promises give the same ranking, on any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler import filters as filter_list
from hpconsole.core.scheduler import selectors
from hpconsole.core.scheduler import weights as weight_list
from hpconsole.core.scheduler.affinity import with_labelled
from hpconsole.core.scheduler.column_cache import columns_of, vms_named
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.exact_placements import ExactPlacements
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.ranking import Ranking, Verdicts
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.scheduler.selectors import Table
from hpconsole.core.scheduler.units import Filter


def rank(
    request: Request,
    snapshot: ClusterSnapshot,
    policy: Policy = DEFAULT_POLICY,
    reservations: Sequence[Reservation] = (),
) -> Ranking:
    """Every host with its verdict. Promises to the VMs of the request themselves do not count.

    Raises:
        InvalidEdit: no VM was named, or one that is not in the snapshot.
    """
    own = set(request.vm_uuids)
    promises = tuple(
        promise if promise.vm is not None else replace(promise, vm=snapshot.vms.get(promise.vm_uuid))
        for promise in reservations
        if promise.vm_uuid not in own
    )
    exact = ExactPlacements(snapshot, promises, frozenset(own))
    question = replace(_question(request, snapshot, policy, promises), penalty=exact.penalty)
    units = filters_of(policy)
    matrix = np.array([unit.accepts(question) for unit in units], np.bool_).reshape(len(units), question.size)
    columns = question.columns
    allowed = columns.flag("is_candidate") & ~columns.rows(request.excluded_hosts)
    if request.only_hosts:
        allowed &= columns.rows(request.only_hosts)
    rows = np.flatnonzero(matrix.all(axis=0) & allowed)
    tables = weigh(question.narrowed(rows), policy) if rows.size else []
    selector = next((known for known in selectors.ALL if known.name == policy.selector), selectors.RANK)
    scores = selector.scores(tables) if tables else np.zeros(rows.size)
    order = selectors.order(scores)
    verdicts = Verdicts(units, matrix, rows[order], scores[order], tables, order, _unsettled(question))
    return Ranking(request, snapshot, policy, exact, question, verdicts)


def _unsettled(question: Question) -> Bools:
    """Hosts that only the exact engine can judge: shares of memory over several nodes, several pinned VMs at once."""
    if len(question.vms) > 1 and any(not demand.is_free for demand in question.demands):
        return question.columns.all()
    unsettled = question.columns.all(False)
    for fit in question.fits:
        unsettled |= fit.is_open
    return unsettled


def filters_of(policy: Policy) -> tuple[Filter, ...]:
    """The mandatory filters and the policy's own, in the order of the reference."""
    wanted = set(policy.filters)
    return tuple(unit for unit in filter_list.ALL if unit.is_mandatory or unit.name in wanted)


def weigh(question: Question, policy: Policy) -> list[Table]:
    """The raw values of the policy's weights for every host of the question. Units without opinion are left out."""
    tables: list[Table] = []
    for name, factor in policy.weights:
        unit = weight_list.BY_NAME.get(name)
        raw = unit.raw(question) if unit is not None else None
        if raw is not None:
            tables.append(Table(name, factor, raw))
    return tables


def _question(
    request: Request, snapshot: ClusterSnapshot, policy: Policy, promises: tuple[Reservation, ...]
) -> Question:
    vms = tuple(snapshot.vms[uuid] for uuid in dict.fromkeys(request.vm_uuids) if uuid in snapshot.vms)
    if len(vms) < len(set(request.vm_uuids)) or not vms:
        unknown = [uuid for uuid in request.vm_uuids if uuid not in snapshot.vms]
        raise InvalidEdit("vm", f"There is no VM {', '.join(unknown)} any more." if unknown else "No VM was named.")
    question = question_about(vms, snapshot, policy, promises)
    return replace(question, ignore_hard_vm_affinity=request.ignore_hard_vm_affinity, may_stay=request.may_stay)


def question_about(
    vms: tuple[Vm, ...], snapshot: ClusterSnapshot, policy: Policy, promises: Sequence[Reservation] = ()
) -> Question:
    """The question about these VMs on every host of a snapshot, as the units see it."""
    promised: dict[str, tuple[str, ...]] = {}
    for promise in promises:
        promised[promise.vm_uuid] = (*promised.get(promise.vm_uuid, ()), promise.host)
    columns = columns_of(snapshot, promises, {vm.uuid for vm in vms})
    groups = snapshot.affinity_groups
    question = Question(
        vms=vms,
        columns=columns,
        parameters=policy.parameters,
        loads=snapshot.loads,
        settings=snapshot.settings,
        affinity_groups=with_labelled(groups, snapshot.vms, snapshot.hosts) if groups else (),
        known_vms=snapshot.vms,
        promised=promised,
        named=partial(vms_named, snapshot),
        topologies={vm.host: host.topology for vm in vms if (host := snapshot.hosts.get(vm.host or "")) and vm.host},
    )
    return replace(question, now_s=snapshot.taken_at.timestamp()) if snapshot.taken_at is not None else question
