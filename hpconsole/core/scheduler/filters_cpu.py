"""CPU-Level, CPUTopology, CPU and CPUOverloaded: does the host have the CPU features, the shape and the room?"""

from __future__ import annotations

import numpy as np

from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler import cpu_load
from hpconsole.core.scheduler.columns import Bools, Floats
from hpconsole.core.scheduler.needs import cores
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Parameter, Refusal, Shortage
from hpconsole.core.scheduler.wording import counted, listed

HIGH_UTILIZATION = Parameter("HighUtilization", 80, 50, 99, "%", "CPU load above which a host is overloaded.")
OVERLOAD_DURATION = Parameter(
    "CpuOverCommitDurationMinutes", 2, 1, None, "min", "How long a host must be overloaded before it counts."
)


# CPU-Level


def needed_features(question: Question, vm: Vm) -> frozenset[str]:
    """CPU flags a destination must have: those the guest saw when it started, or those it asks for.

    None for an emulated guest (`qemu`): the emulator makes its CPU, whatever the host's can do.
    """
    if vm.virt_type == "qemu":
        return frozenset()
    if vm.cpu.is_passthrough:
        source = question.source_of(vm)
        return source.features if source is not None else frozenset()
    return vm.cpu.required_features


def needed_model(question: Question, vm: Vm) -> str:
    """The named CPU model a destination must offer; empty where its list says nothing of this VM.

    The lists are those of guests under KVM: an emulated one (`qemu`) runs any model. And a VM whose own host does not
    list its model runs there all the same (without the features that are missing): the list proves nothing then.
    """
    if vm.cpu.mode != "custom" or not vm.cpu.model or vm.virt_type == "qemu":
        return ""
    source = question.source_of(vm)
    is_listed = source is None or not source.usable_models or vm.cpu.model in source.usable_models
    return vm.cpu.model if is_listed else ""


def _has_level(question: Question, vm: Vm) -> Bools:
    columns = question.columns
    accepted = columns.all()
    needed = needed_features(question, vm)
    if needed:
        accepted = columns.coded("features").test(lambda features: needed <= features)
    if model := needed_model(question, vm):
        accepted = accepted & columns.coded("usable_models").test(lambda models: not models or model in models)
    if vm.arch:
        accepted = accepted & columns.coded("arch").test(lambda arch: arch in ("", vm.arch))
    return accepted | question.is_here(vm)


def _accepts_level(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        accepted &= _has_level(question, vm)
    return accepted


def _because_level(question: Question, row: int) -> Refusal:
    host = question.account(row)
    for vm in question.arriving(row):
        if vm.arch and host.arch not in ("", vm.arch):
            return Refusal(
                "CPU-Level", f"{vm.name} is an {vm.arch} VM, {host.name} an {host.arch} host.", "LOW_CPU_LEVEL"
            )
        missing = sorted(needed_features(question, vm) - host.features)
        if missing:
            kind = "CPU_FLAGS_NOT_IDENTICAL" if vm.cpu.is_passthrough else "LOW_CPU_LEVEL"
            sentence = (
                f"{host.name} tells no CPU flags, {vm.name} needs {counted(len(missing), 'of them', 'of them')}."
                if not host.features
                else f"The CPU of {host.name} lacks flags {vm.name} uses: {listed(missing)}."
            )
            return Refusal("CPU-Level", sentence, kind, (Shortage("CPU flags", len(missing), 0, "flags"),))
        model = needed_model(question, vm)
        if model and host.usable_models and model not in host.usable_models:
            return Refusal("CPU-Level", f"{host.name} cannot run CPU model {model}.", "LOW_CPU_LEVEL")
    return Refusal("CPU-Level", f"The CPU of {host.name} does not suit.", "LOW_CPU_LEVEL")


# CPUTopology


def _accepts_topology(question: Question) -> Bools:
    columns = question.columns
    accepted = columns.is_topology_known.copy()
    for vm in question.vms:
        policy = vm.intent.cpu_pinning_policy
        with np.errstate(divide="ignore", invalid="ignore"):
            if policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
                nodes = columns.number("node_count")
                per_socket = columns.number("cores") // columns.number("sockets")
                accepted &= (per_socket > 1) & (columns.number("sockets") == nodes)
            elif policy is CpuPinningPolicy.DEDICATED:
                accepted &= columns.number("threads") // columns.number("cores") >= vm.topology.threads
    return accepted


def _because_topology(question: Question, row: int) -> Refusal:
    host = question.account(row)
    if not host.sockets or not host.cores or not host.threads:
        return Refusal(
            "CPUTopology",
            f"{host.name} does not tell its sockets, cores and threads.",
            "NO_HOST_CPU_DATA",
            is_unknown=True,
        )
    for vm in question.vms:
        policy = vm.intent.cpu_pinning_policy
        if policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
            per_socket = host.cores // host.sockets
            if per_socket <= 1:
                shortage = Shortage("cores per socket", 2, per_socket, "cores")
                sentence = f"{host.name} has one core per socket; resize and pin needs two or more."
                return Refusal("CPUTopology", sentence, "NOT_ENOUGH_CORES_PER_SOCKET_FOR_RESIZE_AND_PIN", (shortage,))
            if host.sockets != len(host.nodes):
                sentence = (
                    f"{host.name} has {counted(host.sockets, 'socket')} and {counted(len(host.nodes), 'NUMA node')}; "
                    "resize and pin needs as many of one as of the other."
                )
                return Refusal("CPUTopology", sentence, "SOCKETS_UNEQUAL_NUMA")
        if policy is CpuPinningPolicy.DEDICATED and host.threads // host.cores < vm.topology.threads:
            have, need = host.threads // host.cores, vm.topology.threads
            sentence = f"{host.name} has {counted(have, 'thread')} per core, {vm.name} needs {need} for its own cores."
            shortage = Shortage("threads per core", need, have, "threads")
            return Refusal("CPUTopology", sentence, "NOT_ENOUGH_THREADS_PER_CORE_FOR_DEDICATED", (shortage,))
    return Refusal("CPUTopology", f"The CPU topology of {host.name} does not suit.", "NOT_ENOUGH_CORES")


# CPU


def _unavailable_cpus(question: Question) -> Floats:
    """CPUs (or cores) that belong to other VMs, and to those of this group once they are there."""
    columns = question.columns
    taken = columns.number("exclusive_cpus")
    coming = cpu_load.added_exclusive_cpus(question)
    if question.settings.count_threads_as_cores:
        return taken + coming
    whole = columns.number("exclusive_cores")
    per_core = np.maximum(1, columns.number("threads_per_core"))
    # Threads of their own that do not fill a core leave the core to others.
    return whole + coming // per_core


def _shared_need(question: Question) -> Floats:
    columns = question.columns
    need = np.maximum(1, np.maximum(columns.number("shared_vm_cores"), columns.number("pending_shared_cores")))
    for vm in question.vms:
        if question.own_demand(vm) is None:
            need = np.maximum(need, cores(vm))
    return need


def _room(question: Question) -> Floats:
    return cpu_load.effective_cpus(question) - _unavailable_cpus(question) - _shared_need(question)


def _accepts_cpu(question: Question) -> Bools:
    with np.errstate(invalid="ignore"):
        known = cpu_load.effective_cpus(question) > 0
        fits: Bools = known & (_room(question) >= 0)
    return fits


def _because_cpu(question: Question, row: int) -> Refusal:
    host = question.account(row)
    word = "thread" if question.settings.count_threads_as_cores else "core"
    total = float(cpu_load.effective_cpus(question)[row])
    if not total > 0:
        return Refusal(
            "CPU", f"{host.name} does not tell how many {word}s it has.", "NOT_ENOUGH_CORES", is_unknown=True
        )
    taken = float(_unavailable_cpus(question)[row])
    need = float(_shared_need(question)[row])
    if not taken:
        sentence = f"{host.name} has {counted(total, word)}, {need:.0f} are needed."
        shortage = Shortage(f"{word}s", need, total, f"{word}s")
    else:
        sentence = (
            f"{host.name} has {counted(total, word)}; VMs with CPUs of their own would take {taken:.0f}, "
            f"and {need:.0f} must be left for the largest VM without CPUs of its own."
        )
        shortage = Shortage(f"{word}s not taken by VMs with CPUs of their own", need + taken, total, f"{word}s")
    return Refusal("CPU", sentence, "NOT_ENOUGH_CORES", (shortage,))


# CPUOverloaded


def high_utilization_pct(question: Question) -> float:
    """The load above which a host is overloaded."""
    value = question.parameter(HIGH_UTILIZATION.name)
    return question.config.high_utilization_pct if value is None else value


def _overload_min(question: Question) -> float:
    value = question.parameter(OVERLOAD_DURATION.name)
    return question.config.overload_duration_min if value is None else value


def _accepts_load(question: Question) -> Bools:
    since = question.columns.number("overloaded_since_s")
    with np.errstate(invalid="ignore"):
        long_enough = question.now_s - since >= _overload_min(question) * 60
        busy = cpu_load.effective_load_pct(question) > high_utilization_pct(question)
    calm: Bools = cpu_load.is_measured(question) & ~(busy & long_enough)
    return calm


def _because_load(question: Question, row: int) -> Refusal:
    host = question.account(row)
    if not cpu_load.is_measured(question)[row]:
        return Refusal(
            "CPUOverloaded", f"{host.name} does not tell how busy its CPUs are.", "CPU_OVERLOADED", is_unknown=True
        )
    load, limit = float(cpu_load.effective_load_pct(question)[row]), high_utilization_pct(question)
    minutes = (question.now_s - (host.overloaded_since_s or question.now_s)) / 60
    sentence = f"The CPUs of {host.name} have been {load:.0f} % busy for {minutes:.0f} min, {limit:g} % is the limit."
    return Refusal("CPUOverloaded", sentence, "CPU_OVERLOADED", (Shortage("CPU load allowed", load, limit, "%"),))


CPU_LEVEL = Filter(
    "CPU-Level", _accepts_level, _because_level, "The CPU flags, model and architecture the VM uses.", is_mandatory=True
)
CPU_TOPOLOGY = Filter(
    "CPUTopology",
    _accepts_topology,
    _because_topology,
    "Sockets, cores and threads as the CPU-pinning policy needs them.",
    is_mandatory=True,
)
CPU = Filter("CPU", _accepts_cpu, _because_cpu, "Never more virtual cores than the host has left.")
CPU_OVERLOADED = Filter(
    "CPUOverloaded",
    _accepts_load,
    _because_load,
    "Not on hosts that have been overloaded for some time.",
    parameters=(HIGH_UTILIZATION, OVERLOAD_DURATION),
)
