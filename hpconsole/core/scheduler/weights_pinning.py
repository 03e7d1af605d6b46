"""Weights of pinning: CPUs for high performance VMs, CPU and NUMA pinning together, one NUMA node. Lower is better."""

from __future__ import annotations

import numpy as np

from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler import node_columns, socket_shape
from hpconsole.core.scheduler.columns import Bools, Floats, HostColumns
from hpconsole.core.scheduler.demand import Demand, NodeNeed
from hpconsole.core.scheduler.demand_reading import intended_pins
from hpconsole.core.scheduler.needs import has_preferred_node, pinned_cpus
from hpconsole.core.scheduler.numa_assignment import NodeWish, find_assignment
from hpconsole.core.scheduler.pinning_fit import assignable
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Weight
from hpconsole.core.scheduler.weights_load import stretched

_ALLOCATED = (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)


# CPU for high performance VMs


def _is_demanding(vm: Vm) -> bool:
    return vm.is_pinned_or_high_performance or bool(pinned_cpus(vm))


def _fits_shape(question: Question, vm: Vm) -> Floats:
    """1 where virtual sockets, cores and threads are no more than the host's, else the worst weight."""
    columns, topology = question.columns, vm.topology
    sockets, cores, threads = (columns.number(name) for name in ("sockets", "cores", "threads"))
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = (
            (topology.sockets <= sockets)
            & (topology.cores * topology.dies <= cores // sockets)
            & (topology.threads <= threads // cores)
        )
    return np.where(fits, 1.0, question.config.max_weight)


def _high_performance(question: Question) -> Floats:
    """Per VM, added up; whole CPUs: fewest sockets, then fewest cores."""
    weights = question.zeros()
    for vm in question.vms:
        if not _is_demanding(vm):
            raw = np.ones(question.size)
        elif vm.intent.cpu_pinning_policy in _ALLOCATED:
            raw = np.where(
                question.columns.flag("has_topology"), socket_shape.raw(question, vm), _fits_shape(question, vm)
            )
        else:
            raw = _fits_shape(question, vm)
        weights += stretched(raw, question.config.max_weight)
    return weights


# CPU and NUMA pinning compatibility


def _cpu_and_numa(question: Question) -> Floats:
    """1 where an assignment of virtual nodes agrees with the CPU pinning, else the worst weight.

    Only literal pins count: pins that are made anew for each host agree wherever the VM fits at all.
    """
    vms = [vm for vm in question.vms if vm.virtual_nodes and not has_preferred_node(vm) and _is_literal(vm)]
    if not any(pin.host_nodes for vm in vms for pin in intended_pins(vm).values()):
        return np.ones(question.size)
    columns = question.columns
    agrees = _agrees(columns, [wish for vm in vms for wish in wishes_of(vm)])
    for vm in vms:
        for row in np.flatnonzero(question.is_here(vm)).tolist():
            rest = [wish for other in vms if not question.is_on(other, row) for wish in wishes_of(other)]
            agrees[row] = not rest or find_assignment(rest, question.account(row).nodes) is not None
    return np.where(agrees & columns.flag("supports_numa"), 1.0, question.config.max_weight)


def _is_literal(vm: Vm) -> bool:
    return vm.intent.cpu_pinning_policy is not CpuPinningPolicy.KEEP_SHAPE


def wishes_of(vm: Vm) -> list[NodeWish]:
    """Its virtual nodes as they are meant to be on host nodes, with the CPUs their vCPUs are pinned to."""
    pins = intended_pins(vm)
    pinning = dict(vm.pinning.vcpus) or dict(vm.intent.cpu_pinning)
    return [
        NodeWish(
            memory_kib=node.memory_kib,
            allowed=pins[node.node_id].host_nodes if node.node_id in pins else (),
            page_kib=node.page_kib or vm.huge_page_kib,
            cpu_masks=tuple(pinning[vcpu].bits for vcpu in node.vcpus if vcpu in pinning),
        )
        for node in vm.virtual_nodes
    ]


def _agrees(columns: HostColumns, wishes: list[NodeWish]) -> Bools:
    """Whether every pinned wish has a place where its CPUs are: `find_assignment` for all hosts at once."""
    pinned = [wish for wish in wishes if wish.allowed]
    needs = tuple(
        NodeNeed(
            memory_kib=0 if wish.page_kib else wish.memory_kib,
            page_kib=wish.page_kib,
            pages=wish.pages,
            allowed_nodes=wish.allowed,
        )
        for wish in pinned
    )
    width = node_columns.node_ids(columns).shape[1]
    suits = [_suited_nodes(columns, wish, width) for wish in pinned]
    return assignable(columns, Demand(_NOBODY, node_needs=needs), suits)


def _suited_nodes(columns: HostColumns, wish: NodeWish, width: int) -> Bools:
    """The nodes that hold at least one CPU of each pinned vCPU; asked once for each host model."""
    coded = columns.coded("layout")
    table = np.zeros((len(coded.values), width), np.bool_)
    for code, layout in enumerate(coded.values):
        for position, (_, bits) in enumerate(layout[:width]):
            table[code, position] = all(mask & bits for mask in wish.cpu_masks)
    suited: Bools = table[coded.codes]
    return suited


_NOBODY = Vm(uuid="", name="")


# Fit VM to single host NUMA node


def _single_node(question: Question) -> Floats:
    weights = question.zeros()
    columns = question.columns
    for vm in question.vms:
        if vm.virtual_nodes:
            weights += 1
            continue
        fits = (node_columns.node_total_kib(columns) >= vm.memory_kib) & (node_columns.node_cpus(columns) >= vm.vcpus)
        alone = fits.any(axis=1) | ~columns.flag("supports_numa")
        weights += np.where(alone, 1.0, question.config.max_weight)
    return weights


# Performance forecast (ours)


def _performance(question: Question) -> Floats | None:
    """What the exact placement costs on each host: one search per host, so only where a policy asks for it."""
    if question.penalty is None or all(demand.is_free for demand in question.demands):
        return None
    return np.array([question.penalty(question, row) for row in range(question.size)], np.float64)


PERFORMANCE = Weight(
    "Performance forecast",
    _performance,
    "Placements that keep virtual nodes, caches and cores together; looks at every host exactly.",
)
HIGH_PERFORMANCE_CPU = Weight(
    "CPU for high performance VMs",
    _high_performance,
    "Hosts whose sockets, cores and threads hold the VM's; for whole CPUs the fewest sockets and cores.",
)
CPU_AND_NUMA = Weight(
    "CPU and NUMA pinning compatibility",
    _cpu_and_numa,
    "Hosts where the virtual nodes can be where their vCPUs are pinned.",
)
SINGLE_NODE = Weight(
    "Fit VM to single host NUMA node", _single_node, "Hosts with a NUMA node that holds a VM without virtual nodes."
)
