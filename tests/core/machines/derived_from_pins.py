"""What follows from pinned virtual nodes, asked of the VM dialog: the published cases as a user's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpconsole.core.hypervisor.domain_xml import with_placement
from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.reading import vm_from_xml
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.machines.verdicts import host_verdicts
from hpconsole.core.machines.writing import render
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostCpu, HostNumaNode, HostTopology
from hpconsole.core.model.vm import VcpuTopology
from tests.builders import a_host, a_snapshot
from tests.conformance.adapters_planning import node_draft, tuned_node
from tests.conformance.expectations import Answer
from tests.conformance.shapes import MIB, Case


def through_the_dialog(case: Case) -> Answer:
    """The answer to a case of `numa_derived_settings`, from the verdict of the VM dialog, whose map a start writes."""
    draft, around = pinned_draft(case["vnuma_nodes"], case.get("host_numa_nodes") or _ANY_HOST)
    (verdict,) = host_verdicts(draft, around, ["host-a"])
    placement = verdict.placement
    assert placement is not None, verdict.sentence
    if case["operation"] == "memory_tuning":
        tuned = vm_from_xml(with_placement(render(draft), placement) if not placement.is_free else render(draft))
        return {"tuned_nodes": [tuned_node(node) for node in tuned.virtual_nodes if node.host_nodes]}
    return {
        "pinned_vcpu_count": len(placement.pinning.vcpus),
        "pcpu_ranges": {str(vcpu): cpus.format() for vcpu, cpus in placement.pinning.vcpus},
    }


def pinned_draft(nodes: Sequence[Case], host_nodes: Sequence[Case]) -> tuple[VmDraft, Surroundings]:
    """A VM with these virtual nodes and no CPU pinning, and a host with these nodes, as the dialogs have them."""
    vcpus = sum(len(node.get("vcpus") or ()) for node in nodes)
    memory = sum(int(node["memory_mb"] * MIB) for node in nodes)
    plain = replace(new_draft("vm"), disks=(), nics=(), memory_kib=memory, memory_now_kib=memory)
    draft = editing.with_topology(plain, VcpuTopology(sockets=1, cores=vcpus, threads=1))
    return replace(draft, numa_nodes=tuple(node_draft(node) for node in nodes)), Surroundings(
        a_snapshot([a_host("host-a", topology=_host_topology(host_nodes))]), "host-a"
    )


def _host_topology(nodes: Sequence[Case]) -> HostTopology:
    ids = [node["index"] for node in nodes]
    cpus = [
        HostCpu(cpu, node["index"], node["index"], 0, cpu, CpuSet.of([cpu])) for node in nodes for cpu in node["cpus"]
    ]
    return HostTopology(
        cpus=tuple(sorted(cpus, key=lambda cpu: cpu.cpu_id)),
        nodes=tuple(
            HostNumaNode(
                node["index"],
                64 * MIB * MIB,
                CpuSet.of(node["cpus"]),
                tuple((other, 10 if other == node["index"] else 21) for other in ids),
            )
            for node in nodes
        ),
        sockets=len(ids),
        cores=len(cpus),
        threads=len(cpus),
    )


_ANY_HOST: tuple[Case, ...] = ({"index": 0, "cpus": range(8)},)  # where a case is about the VM alone
