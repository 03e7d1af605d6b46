"""What the NUMA Topology dialog has computed for it: every host's verdict, the best assignment. On a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpconsole.core.machines.checking_pinning import nodes_on
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.editing import host_map
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.numa_rules import check_host
from hpconsole.ui.vm_editor.survey import compared, xml_difference
from hpconsole.ui.vm_editor.view import ChangeLine

if TYPE_CHECKING:
    from hpconsole.core.machines.checking import Problem
    from hpconsole.core.machines.verdicts import HostVerdict
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation
    from hpconsole.ui.vm_editor.machines import HostMachines


Changed = tuple[tuple[VmDraft, VmDraft], ...]  # (as opened, as it is to be) of each VM


@dataclass(frozen=True)
class Written:
    """What became of a save. `problem`: empty, or what was and what was not written; `drafts`: those written, anew."""

    problem: str = ""
    drafts: tuple[VmDraft, ...] = ()


@dataclass(frozen=True)
class NumaQuestion:
    """Calling it computes. `drafts` are the VMs under edit."""

    drafts: tuple[VmDraft, ...]
    hosts: tuple[str, ...]
    snapshot: ClusterSnapshot
    policy: Callable[[], Policy]
    reservations: Callable[[], Sequence[Reservation]]

    def __call__(self) -> NumaAnswer:
        """Compute. Raises: HpconsoleError."""
        from hpconsole.core.machines.checking import check
        from hpconsole.core.machines.surroundings import Surroundings
        from hpconsole.core.machines.verdicts import numa_verdicts

        around = Surroundings(self.snapshot, "", tuple(self.reservations()), self.policy())
        verdicts: dict[str, list[HostVerdict]] = {host: [] for host in self.hosts}
        broken: dict[str, list[str]] = {host: [] for host in self.hosts}
        problems: list[tuple[VmDraft, Problem]] = []
        for draft in self.drafts:
            for verdict in numa_verdicts(draft, around, self.hosts):
                verdicts.setdefault(verdict.host, []).append(verdict)
            for name in self.hosts:
                whose = f"{draft.name}: " if len(self.drafts) > 1 else ""
                broken[name] += [f"{whose}{rule}" for rule in _broken_rule(draft, self.snapshot.hosts[name])]
            problems += [
                (draft, problem)
                for problem in check(draft, around)
                if problem.field.partition(".")[0] in ("numa_nodes", "per_host")
            ]
        return NumaAnswer(
            self,
            {host: tuple(found) for host, found in verdicts.items()},
            {host: tuple(found) for host, found in broken.items() if found},
            tuple(problems),
        )


@dataclass(frozen=True)
class NumaAnswer:
    """What a question brought."""

    question: NumaQuestion
    verdicts: Mapping[str, tuple[HostVerdict, ...]]
    broken: Mapping[str, tuple[str, ...]]  # rules about pins (behaviour.md B8) that a host breaks: sentences
    problems: tuple[tuple[VmDraft, Problem], ...]  # of which VM


def _broken_rule(draft: VmDraft, host: Host) -> list[str]:
    """Whether the pins name nodes that this host has, and that are large enough."""
    nodes = nodes_on(draft.numa_nodes, host_map(draft, host.name))
    if not any(node.host_nodes for node in nodes):
        return []
    problem = check_host(nodes, host.name, {node.node_id: node.memory_kib for node in host.topology.nodes})
    return [problem.sentence] if problem is not None else []


def several(changed: Changed) -> tuple[tuple[ChangeLine, ...], str]:
    """What saving several VMs together changes: field by field, and as a difference of the XML."""
    lines: list[ChangeLine] = []
    differences = []
    for before, after in changed:
        lines += [replace(line, label=f"{before.name}: {line.label}") for line in compared(before, after, None)]
        differences.append(xml_difference(before, after))
    return tuple(lines), "\n".join(differences)


def written(changed: Changed, machines: HostMachines, places: Mapping[str, str]) -> Written:
    """Write these VMs in one step. `places`: where each is defined, by UUID.

    Raises:
        HpconsoleError: nothing was written.
    """
    from hpconsole.core.machines.saving_several import VmEdit

    done = machines.save_all([VmEdit(places[before.uuid], before, after) for before, after in changed])
    if not done.problem:
        return Written()
    return Written(done.problem, tuple(machines.open_vm(one.host, one.uuid) for one in done.saved))


def assigned(
    draft: VmDraft,
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
    host: str,
) -> VmDraft | str:
    """The draft with the best legal assignment on a host, or why there is none."""
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.machines.verdicts import auto_assign

    return auto_assign(draft, Surroundings(snapshot, host, tuple(reservations), policy), host)
