"""A hypervisor of values for tests of the poller: what it answers is set by the test, what it was asked is counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpconsole.core.errors import HypervisorError, VmNotFound
from hpconsole.core.hypervisor.port import DomainEvent, DomainRecord, HostSample, HypervisorFacts, NodeMemory

GIB = 1024 * 1024  # KiB
CAPABILITIES = """<capabilities><host><uuid>{uuid}</uuid><cpu><arch>x86_64</arch><model>EPYC</model></cpu>
<iommu support='yes'/><topology><cells num='2'>
<cell id='0'><memory unit='KiB'>8388608</memory><pages unit='KiB' size='4'>2097152</pages>
<pages unit='KiB' size='2048'>512</pages><cpus num='2'>
<cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0'/>
<cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1'/></cpus></cell>
<cell id='2'><memory unit='KiB'>8388608</memory><pages unit='KiB' size='4'>2097152</pages>
<pages unit='KiB' size='2048'>512</pages><cpus num='2'>
<cpu id='4' socket_id='1' die_id='0' core_id='0' siblings='4'/>
<cpu id='5' socket_id='1' die_id='0' core_id='1' siblings='5'/></cpus></cell>
</cells></topology></host></capabilities>"""


def domain_xml(name: str, uuid: str, *, vcpus: int = 2) -> str:
    """A VM without anything special."""
    return (
        f"<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>{GIB}</memory>"
        f"<vcpu>{vcpus}</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )


def record(
    name: str, *, state: int = 1, reason: int = 1, is_persistent: bool = True, autostart: bool = False
) -> DomainRecord:
    """A line of a domain list; the UUID is made from the name."""
    return DomainRecord(uuid_of(name), name, state, reason, is_persistent, autostart)


def uuid_of(name: str) -> str:
    """The UUID of the fake VM of this name."""
    return f"00000000-0000-4000-8000-{name.encode().hex():0>12.12}"


class FakeHypervisor:
    """One host. Change the public attributes between rounds."""

    def __init__(self, uri: str = "qemu+ssh://a/system") -> None:
        self.uri = uri
        self.records: list[DomainRecord] = []
        self.xml: dict[str, str] = {}
        self.cpu_time_ns: Mapping[str, int] = {"user": 0, "kernel": 0, "idle": 0, "iowait": 0}
        self.vm_time_ns: dict[str, int] = {}
        self.capabilities = CAPABILITIES.format(uuid=uuid_of(uri[-8:]))
        self.device_xml: Mapping[str, Sequence[str]] = {}
        self.errors: dict[str, HypervisorError] = {}  # by method
        self.asked: Counter[str] = Counter()
        self.read: list[str] = []  # names of the VMs whose XML was read
        self.handlers: list[Callable[[DomainEvent], None]] = []
        self.on_sample: Callable[[], None] = lambda: None
        self.sampled = threading.Semaphore(0)
        self.is_up = True

    def run(self, *names: str) -> None:
        """Have these VMs running."""
        for name in names:
            self.records.append(record(name))
            self.xml[uuid_of(name)] = domain_xml(name, uuid_of(name))

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if what in self.errors:
            raise self.errors[what]

    def facts(self) -> HypervisorFacts:
        self._ask("facts")
        return HypervisorFacts("a.example", "QEMU", 8_000_000, 9_000_000, True, self.capabilities, "")

    def devices(self) -> Mapping[str, Sequence[str]]:
        self._ask("devices")
        return self.device_xml

    def sample(self) -> HostSample:
        self._ask("sample")
        self.on_sample()
        sample = HostSample(
            cpu_time_ns=dict(self.cpu_time_ns),
            memory=NodeMemory(-1, 16 * GIB, 8 * GIB, GIB, GIB),
            cells=(NodeMemory(0, 8 * GIB, 4 * GIB), NodeMemory(2, 8 * GIB, 6 * GIB)),
            free_pages={0: {2048: 100}, 2: {2048: 512}},
            online_cpus=(True,) * 6,
            domains=tuple(self.records),
            domain_stats={
                one.uuid: {"state.state": one.state, "balloon.rss": GIB}
                | ({"cpu.time": self.vm_time_ns[one.name]} if one.name in self.vm_time_ns else {})
                for one in self.records
            },
        )
        self.sampled.release()
        return sample

    def domain_xml(self, uuid: str, *, inactive: bool = False) -> str:
        self._ask("domain_xml")
        name = next((one.name for one in self.records if one.uuid == uuid), "")
        self.read.append(name)
        if uuid not in self.xml:
            raise VmNotFound("no such VM", subject=uuid)
        return self.xml[uuid]

    def listen(self, handler: Callable[[DomainEvent], None]) -> Callable[[], None]:
        self.handlers.append(handler)
        return lambda: self.handlers.remove(handler)

    def is_alive(self) -> bool:
        return self.is_up

    def close(self) -> None:
        self.is_up = False

    def __getattr__(self, name: str) -> Any:
        """The verbs that change something, which the poller must never use."""
        raise AssertionError(f"the poller called {name}")
