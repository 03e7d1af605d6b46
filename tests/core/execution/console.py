"""A console over a small simulated cluster, for tests of the executor: hosts a, b, c, everything real but the hosts."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from hpconsole.core.events import Event, MigrationProgress, PlanFinished, StepFinished, StepProgressed
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.executor import Executor
from hpconsole.core.execution.journal import Journal, MemoryJournal
from hpconsole.core.execution.migration import Timings
from hpconsole.core.execution.step_queue import Limits
from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel, GuestNode
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB, HostModel, MachineShape
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.plan import Plan
from hpconsole.core.polling import Poller
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.store import Store

TWO_NODES = MachineShape(2, 1, 8, 2, gib_per_node=16)
SIX_CPUS = MachineShape(1, 1, 6, 1, gib_per_node=32)
FOUR_NODES = MachineShape(2, 2, 4, 2, gib_per_node=8)
QUIET = LoadCharacter(0.1, 0.1, 1, 0.05, resident_share=0.5)
FAST = Timings(poll_s=0.02, call_s=1.0, settle_s=0.3, patience_s=1.0)
WAIT_S = 60.0
_T = TypeVar("_T")


def uuid_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def a_guest(name: str = "web-1", **changes: object) -> GuestModel:
    """1 GiB, no pinning, hardly writes."""
    facts: dict[str, object] = {"vcpus": 2, "memory_kib": GIB, "character": QUIET, "uuid": uuid_of(name)}
    return GuestModel(name=name, **(facts | changes))  # type: ignore[arg-type]  # tests say what they mean


def a_pinned_guest(name: str = "db-1", first: Sequence[int] = (1, 9)) -> GuestModel:
    """4 vCPUs on two virtual nodes, strictly on host nodes 0 and 1; two CPUs from `first[node]` on for each."""
    return a_guest(
        name,
        vcpus=4,
        nodes=tuple(GuestNode(CpuSet.of([2 * node, 2 * node + 1]), GIB // 2, CpuSet.of([node])) for node in range(2)),
        vcpu_pins=tuple(CpuSet.of([first[node] + i]) for node in range(2) for i in range(2)),
        emulator_pin=CpuSet.of([0]),
    )


class EventLog:
    """Every event, and a way to wait for one."""

    def __init__(self, store: Store) -> None:
        self._changed = threading.Condition()
        self.events: list[Event] = []
        store.subscribe_events(self._add)

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[_T]) -> list[_T]:
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def wait(self, kind: type[_T], check: Callable[[_T], bool] = lambda _event: True, *, seconds: float = WAIT_S) -> _T:
        """The first event of this kind that passes the check."""
        found: list[_T] = []

        def look() -> bool:
            found[:] = [event for event in self.events if isinstance(event, kind) and check(event)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, seconds), f"no {kind.__name__} among {self.events}"
            return found[0]


class Console:
    """One run of the program over a cluster that others may share. Close it, or use it in a `with`."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        journal: Journal | None = None,
        *,
        timings: Timings = FAST,
        limits: Limits | None = None,
        policy: Callable[[], Policy] = lambda: DEFAULT_POLICY,
        identity: ConsoleIdentity | None = None,
    ) -> None:
        self.cluster = cluster
        self.journal = journal or MemoryJournal()
        self.store = Store()
        self.log = EventLog(self.store)
        self.pool = ConnectionPool(cluster.open)
        self.poller = Poller(self.pool, self.store, interval_s=0.1)
        self.executor = Executor(
            self.pool,
            self.store,
            self.journal,
            policy=policy,
            timings=timings,
            limits=limits,
            refresh=self.poller.refresh,
            console=identity,
        )
        for name, uri in cluster.uris().items():
            self.pool.add(name, uri)
        self.poller.start()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.executor.close(2)
        self.poller.close()
        self.pool.close()

    def wait_for(self, check: Callable[[ClusterSnapshot], bool], *, seconds: float = WAIT_S) -> ClusterSnapshot:
        """The first snapshot that passes the check."""
        event = threading.Event()
        stop = self.store.subscribe(lambda snapshot: event.set() if check(snapshot) else None)
        try:
            deadline = time.monotonic() + seconds
            while not check(self.store.snapshot):
                assert time.monotonic() < deadline, f"no such snapshot: {self.store.snapshot}"
                event.wait(0.1)
            return self.store.snapshot
        finally:
            stop()

    def ready(self, hosts: Sequence[str] | None = None) -> ClusterSnapshot:
        """Wait until these hosts (all) are connected and were polled."""
        wanted = set(hosts or self.cluster.uris())

        def is_ready(snapshot: ClusterSnapshot) -> bool:
            links = {name: host.link for name, host in snapshot.hosts.items()}
            # the load of CPUs is known from the second poll on
            return wanted <= links.keys() and all(
                links[name].state is LinkState.CONNECTED and snapshot.hosts[name].usage.cpu_pct is not None
                for name in wanted
            )

        return self.wait_for(is_ready)

    def plan(self, *names: str, to: str | None = None) -> Plan:
        """A plan from the newest snapshot."""
        uuids = tuple(uuid_of(name) for name in names)
        snapshot = self.wait_for(lambda found: all(vm in found.vms for vm in uuids))
        return plan_migration(MigrationIntent(uuids, to), snapshot, DEFAULT_POLICY, self.executor.reservations())

    def submit(self, *names: str, to: str | None = None) -> Plan:
        """Plan and run."""
        self.ready()
        plan = self.plan(*names, to=to)
        self.executor.submit(plan)
        return plan

    def end_of(self, plan: Plan) -> list[StepFinished]:
        """Wait until the plan is over; how its steps ended, in the plan's order."""
        self.log.wait(PlanFinished, lambda event: event.plan.plan_id == plan.plan_id)
        steps = [event for event in self.log.of(StepFinished) if event.plan_id == plan.plan_id]
        return sorted(steps, key=lambda event: event.index)

    def run(self, *names: str, to: str | None = None) -> StepFinished:
        """Move one VM; how it ended."""
        return self.end_of(self.submit(*names, to=to))[0]

    def wait_for_progress(
        self, check: Callable[[MigrationProgress], bool] = lambda progress: progress.pass_number >= 1
    ) -> None:
        """Wait until memory is being sent."""
        self.log.wait(StepProgressed, lambda event: check(event.progress))

    def vm_on(self, host: str, name: str, *, inactive: bool = False) -> Vm:
        """What the host's libvirt says of a VM, asked past the console."""
        hypervisor = self.cluster.open(self.cluster.uris()[host])
        record = next(record for record in hypervisor.sample().domains if record.name == name)
        vm = read_vm(record, hypervisor.domain_xml(record.uuid, inactive=inactive), host=host)
        hypervisor.close()
        return vm

    def names_on(self, host: str) -> set[str]:
        """The VMs, running or defined, that the host's libvirt knows, asked past the console."""
        hypervisor = self.cluster.open(self.cluster.uris()[host])
        names = {record.name for record in hypervisor.sample().domains}
        hypervisor.close()
        return names


def a_cluster(
    *guests: GuestModel, link_mib_s: int = 2_800, hosts: Sequence[str] = "abc", b: MachineShape = FOUR_NODES
) -> SimulatedCluster:
    """Hosts a (2 nodes, where the guests are), b (4 nodes) and c (2 nodes), ten times as fast as life."""
    shapes = {"b": b}
    models = [HostModel(name, shapes.get(name, TWO_NODES), link_mib_s=link_mib_s) for name in hosts]
    return SimulatedCluster(clock=lambda: time.monotonic() * 10, hosts=models, guests={"a": guests})
