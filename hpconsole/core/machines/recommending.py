"""What would make this VM faster, is it done, and what exactly would be filled in? Pure.

What the reference only advises on after OK (behaviour.md B5), each as a recommendation with a draft in which it is
done, computed from the real topology and what is free on the hosts now. Nothing is filled in by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hpconsole.core.machines.draft import CpuPinningPolicy, NodeDraft, VmDraft
from hpconsole.core.machines.editing import with_huge_pages, with_iothreads, with_topology
from hpconsole.core.machines.field_labels import counted, shown, size
from hpconsole.core.machines.layout import Layout, NoLayout, best_layout, fits_topology
from hpconsole.core.machines.migration_mode import settled
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import NumaMode
from hpconsole.core.planning.pinning_text import format_pinning


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One line of the Performance panel.

    `filled`: the draft with this done (and what it rests on: pins need virtual nodes); None where it is done already
    or cannot be done now, and then `obstacle` says why.
    """

    key: str
    title: str
    is_done: bool
    why: str
    detail: str = ""  # what is there, or what would be filled in
    filled: VmDraft | None = None
    obstacle: str = ""


Fill = Callable[[VmDraft, Layout], VmDraft]


def recommend(draft: VmDraft, around: Surroundings) -> tuple[Recommendation, ...]:
    """Every recommendation, done or missing, in the order in which they are best followed.

    Threads: any; tens of milliseconds on hosts of usual size: dialogs ask off their own thread.
    """
    layout = best_layout(draft, around)
    hosts = around.specific(draft) or ((layout.host,) if isinstance(layout, Layout) else ())
    return (
        _topology(draft, layout, hosts),
        _nodes(draft, layout, hosts),
        _pages(draft, layout, hosts),
        _cpu_pinning(draft, layout),
        _numa_pinning(draft, layout),
        _iothreads(draft),
        _helpers(draft, layout),
        _sharing(draft),
    )


def fill_all(draft: VmDraft, around: Surroundings) -> VmDraft:
    """The draft with every recommendation that can be followed now. What the user decided stays."""
    layout = best_layout(draft, around)
    filled = draft if draft.iothreads else with_iothreads(draft, 1)
    if isinstance(layout, Layout):
        for missing, fill in _FILLS:
            if missing(filled, layout):
                filled = fill(filled, layout)
    return settled(draft, replace(filled, shares_pages=False))


# --- the single ones --------------------------------------------------------------


def _topology(draft: VmDraft, layout: Layout | NoLayout, hosts: tuple[Host, ...]) -> Recommendation:
    too_small = [host for host in hosts if not fits_topology(draft.topology, host)]
    is_done = bool(hosts) and not too_small
    return _line(
        draft,
        layout,
        key="topology",
        title="Virtual sockets, cores and threads within the host's",
        is_done=is_done,
        why="The guest's scheduler then knows which vCPUs share a core and a cache.",
        there=shown("topology", draft.topology),
        fill=_fill_topology,
        field="topology",
    )


def _nodes(draft: VmDraft, layout: Layout | NoLayout, hosts: tuple[Host, ...]) -> Recommendation:
    most = min((len(host.topology.nodes) for host in hosts), default=0)
    is_done = bool(draft.numa_nodes) and (not most or len(draft.numa_nodes) <= most)
    return _line(
        draft,
        layout,
        key="numa_nodes",
        title="Virtual NUMA nodes like the host's",
        is_done=is_done,
        why="The guest then keeps threads and their memory together; one virtual node lies on one host node.",
        there=counted(len(draft.numa_nodes), "virtual node"),
        fill=_fill_nodes,
        field="numa_nodes",
    )


def _pages(draft: VmDraft, layout: Layout | NoLayout, hosts: tuple[Host, ...]) -> Recommendation:
    line = _line(
        draft,
        layout,
        key="huge_pages",
        title="Huge pages",
        is_done=draft.huge_page_kib is not None,
        why="Fewer TLB misses, and memory that is set aside for the VM and never swapped.",
        there=f"pages of {size(draft.huge_page_kib or 0)}",
        fill=_fill_pages,
        field="huge_page_kib",
    )
    if line.filled is None or not isinstance(layout, Layout) or layout.draft.huge_page_kib is not None:
        return line
    obstacle = (
        f"{layout.host.name} has no free huge pages for {size(draft.memory_kib)}: set some aside on the host "
        f"(for example {-(-draft.memory_kib // 2048):,} pages of 2 MiB), then fill this in."
    )
    return replace(line, filled=None, detail="", obstacle=obstacle)


def _cpu_pinning(draft: VmDraft, layout: Layout | NoLayout) -> Recommendation:
    return _line(
        draft,
        layout,
        key="cpu_pinning",
        title="vCPUs pinned to whole cores",
        is_done=draft.cpu_pinning_policy is not CpuPinningPolicy.NONE,
        why="No other VM's work gets between, and caches stay warm; on each host the VM gets cores of its own.",
        there=shown("cpu_pinning_policy", draft.cpu_pinning_policy),
        fill=_fill_pinning,
        field="pinning_text",
    )


def _numa_pinning(draft: VmDraft, layout: Layout | NoLayout) -> Recommendation:
    pinned = sum(1 for node in draft.numa_nodes if node.host_nodes)
    chooses = draft.cpu_pinning_policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)
    is_done = bool(draft.numa_nodes) and pinned == len(draft.numa_nodes)
    return _line(
        draft,
        layout,
        key="numa_pinning",
        title="Memory on the nodes of the vCPUs",
        is_done=is_done or chooses or draft.cpu_pinning_policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA,
        why="Memory of another node is slower to reach, often by half.",
        there="the policy binds it" if chooses else f"{pinned} of {len(draft.numa_nodes)} virtual nodes are pinned",
        fill=_fill_numa,
        field="numa_nodes",
    )


def _iothreads(draft: VmDraft) -> Recommendation:
    is_done = draft.iothreads > 0
    return Recommendation(
        "iothreads",
        "An IO thread of its own for the disks",
        is_done,
        "Disk requests then do not wait for the emulator's main loop.",
        detail=counted(draft.iothreads, "IO thread") if is_done else "1 IO thread, serving the virtio disks",
        filled=None if is_done else with_iothreads(draft, 1),
    )


def _helpers(draft: VmDraft, layout: Layout | NoLayout) -> Recommendation:
    threads = dict(draft.iothread_texts)
    is_done = bool(draft.emulator_text) and all(thread in threads for thread in range(1, draft.iothreads + 1))
    line = _line(
        draft,
        layout,
        key="helper_threads",
        title="Emulator and IO threads beside the vCPUs' cores",
        is_done=is_done,
        why="Otherwise they run on the vCPUs' cores, and a vCPU waits while they do.",
        there=f"emulator threads on CPUs {draft.emulator_text}",
        fill=_fill_helpers,
        field="emulator_text",
    )
    if line.filled is None or not isinstance(layout, Layout) or layout.helper_cpus:
        return line
    obstacle = f"On {layout.host.name} no core is left beside those of the vCPUs: use fewer vCPUs, or another host."
    return replace(line, filled=None, detail="", obstacle=obstacle)


def _sharing(draft: VmDraft) -> Recommendation:
    is_done = not draft.shares_pages
    return Recommendation(
        "ksm",
        "No page sharing (KSM)",
        is_done,
        "Merging pages costs CPU time, mixes NUMA nodes, and makes writes slow at times nobody chose.",
        detail="its pages are not merged" if is_done else "its pages will not be merged",
        filled=None if is_done else replace(draft, shares_pages=False),
    )


def _line(
    draft: VmDraft,
    layout: Layout | NoLayout,
    *,
    key: str,
    title: str,
    is_done: bool,
    why: str,
    there: str,
    fill: Fill,
    field: str,
) -> Recommendation:
    if is_done:
        return Recommendation(key, title, True, why, detail=there)
    if isinstance(layout, NoLayout):
        return Recommendation(key, title, False, why, obstacle=layout.sentence)
    filled = settled(draft, fill(draft, layout))
    detail = f"on {layout.host.name}: {shown(field, getattr(filled, field))}"
    return Recommendation(key, title, False, why, detail=detail, filled=filled)


# --- filling in -------------------------------------------------------------------


def _fill_topology(draft: VmDraft, layout: Layout) -> VmDraft:
    return with_topology(draft, layout.draft.topology)


def _fill_nodes(draft: VmDraft, layout: Layout) -> VmDraft:
    nodes = tuple(replace(node, host_nodes=()) for node in layout.draft.numa_nodes)
    return replace(draft, topology=layout.draft.topology, numa_nodes=nodes)


def _fill_pages(draft: VmDraft, layout: Layout) -> VmDraft:
    return with_huge_pages(draft, layout.draft.huge_page_kib)


def _fill_pinning(draft: VmDraft, layout: Layout) -> VmDraft:
    """The map found, and keeping its shape on every host: the numbers themselves mean nothing elsewhere."""
    return replace(
        draft,
        topology=layout.draft.topology,
        cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
        pinning_text=format_pinning(layout.placement.pinning.vcpus),
        shape_host=layout.host.name,
        numa_nodes=_bound(draft, layout),
    )


def _fill_numa(draft: VmDraft, layout: Layout) -> VmDraft:
    return replace(draft, topology=layout.draft.topology, numa_nodes=_bound(draft, layout))


def _bound(draft: VmDraft, layout: Layout) -> tuple[NodeDraft, ...]:
    """The layout's virtual nodes, bound where they lie; pins the user made stay."""
    places = {binding.node_id: binding for binding in layout.placement.bindings}
    own = {node.index: node for node in draft.numa_nodes if node.host_nodes}
    bound = []
    for node in layout.draft.numa_nodes:
        place = places.get(node.index)
        new = node if place is None else replace(node, host_nodes=place.host_nodes, mode=NumaMode.STRICT)
        bound.append(replace(new, host_nodes=own[node.index].host_nodes) if node.index in own else new)
    return tuple(bound)


def _fill_helpers(draft: VmDraft, layout: Layout) -> VmDraft:
    text = layout.helper_cpus.format()
    threads = dict(draft.iothread_texts)
    texts = tuple((thread, threads.get(thread, text)) for thread in range(1, draft.iothreads + 1))
    return replace(draft, emulator_text=draft.emulator_text or text, iothread_texts=texts)


_FILLS: tuple[tuple[Callable[[VmDraft, Layout], bool], Fill], ...] = (
    (lambda draft, layout: not fits_topology(draft.topology, layout.host), _fill_topology),
    (lambda draft, layout: draft.huge_page_kib is None and layout.draft.huge_page_kib is not None, _fill_pages),
    (lambda draft, layout: not draft.numa_nodes, _fill_nodes),
    (lambda draft, layout: draft.cpu_pinning_policy is CpuPinningPolicy.NONE, _fill_pinning),
    (
        lambda draft, layout: (
            draft.cpu_pinning_policy is CpuPinningPolicy.MANUAL
            and not all(node.host_nodes for node in draft.numa_nodes)
        ),
        _fill_numa,
    ),
    (lambda draft, layout: bool(layout.helper_cpus), _fill_helpers),
)
