"""How busy the shared CPUs of every host are (behaviour.md A5.11). Loads in percent of one CPU."""

from __future__ import annotations

import numpy as np

from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.columns import Bools, Floats
from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.question import Question


def effective_cpus(question: Question) -> Floats:
    """Threads where the cluster counts them as cores, else cores; NaN = unknown."""
    return question.columns.number("threads" if question.settings.count_threads_as_cores else "cores")


def is_measured(question: Question) -> Bools:
    """Whether the host says how busy it is and how many CPUs it has."""
    known: Bools = np.isfinite(question.columns.number("cpu_pct")) & (effective_cpus(question) > 0)
    return known


def shared_cpus(question: Question) -> Floats:
    """CPUs that no VM has for its own; without a known topology all of them."""
    columns = question.columns
    return np.where(columns.flag("has_topology"), columns.number("shared_cpus"), effective_cpus(question))


def shared_load(question: Question) -> Floats:
    """Load on the shared CPUs, promises and the manager role included."""
    columns, config = question.columns, question.config
    measured = columns.number("shared_usage_pct")
    # Where single CPUs are not told, the host's load is taken to lie on them evenly. (The reference counts cores here
    # and threads below, which halves the load of a host with two threads a core.)
    load = np.where(measured > 0, measured, columns.number("cpu_pct") * shared_cpus(question))
    manager = columns.number("is_manager") * config.manager_vcpus * config.starting_vcpu_load_pct
    return load + columns.number("pending_load_pct") + manager


def effective_load_pct(question: Question) -> Floats:
    """Load of an average shared CPU, rounded up to whole percent."""
    cpus = shared_cpus(question)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.ceil(np.where(cpus > 0, shared_load(question) / cpus, np.inf))


def added_load(question: Question) -> Floats:
    """What the shared VMs of the question add to each host they are not on yet."""
    added = np.zeros(question.size)
    for vm in question.vms:
        if question.own_demand(vm) is None:
            added += np.where(question.is_here(vm), 0, question.load_pct(vm))
    return added


def added_shared_vcpus(question: Question) -> Floats:
    """Their vCPUs."""
    added = np.zeros(question.size)
    for vm in question.vms:
        if question.own_demand(vm) is None:
            added += np.where(question.is_here(vm), 0, vm.vcpus)
    return added


def added_exclusive_cpus(question: Question) -> Floats:
    """CPUs that VMs of the question will take for their own on each host they are not on yet."""
    added = np.zeros(question.size)
    for vm in question.vms:
        if question.own_demand(vm) is not None:
            added += np.where(question.is_here(vm), 0, exclusive_cpus_needed(question, vm))
    return added


def exclusive_cpus_needed(question: Question, vm: Vm) -> Floats:
    """CPUs one VM takes for its own on each host: what its blocks need, a whole core for each with isolated threads."""
    demand = question.own_demand(vm)
    columns = question.columns
    if demand is None:
        return np.zeros(question.size)
    if demand.rule is CoreRule.WHOLE_CORES:
        cpus: Floats | float = demand.blocks_needed * columns.number("threads_per_core")
    else:
        blocks = [*(block for need in demand.node_needs for block in need.blocks), *sum(demand.sockets, ())]
        cpus = float(sum(block.size for block in blocks))
    return np.where(columns.flag("has_topology"), cpus, 0)
