"""The scenario of the maintenance proofs: host a with 8 guests, 4 of them pinned, one of which cannot leave.

Made for the command line's test and the window's: `a_full_host(lab)`; `check_untouched` says that no guest but the
chosen one lost its run state.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.guests import HPCONSOLE_NAMESPACE, Guest
from tests.lab.lab import Lab
from tests.lab.proof import check_goes_on

_NOT_TO_BE_MIGRATED = (
    f"<hpc:vm xmlns:hpc='{HPCONSOLE_NAMESPACE}'><hpc:migration mode='do_not_migrate' chosen='yes'/></hpc:vm>"
)

_WIDE = 18  # vCPUs: no host of the lab but a has as many CPUs


@dataclass(frozen=True, slots=True)
class FullHost:
    """The guests of host a, and how far each had counted when all ran."""

    plain: tuple[Guest, ...]
    pinned: tuple[Guest, ...]  # may be migrated
    stuck: Guest  # pinned, and may not be migrated, or fits nowhere else
    ticks: dict[str, int]  # by UUID

    @property
    def movable(self) -> tuple[Guest, ...]:
        """Those that are to leave alive."""
        return (*self.pinned, *self.plain)


def a_full_host(
    lab: Lab, *, plain: int = 4, pinned: int = 3, dirty_mib_s: float = 2, is_too_wide: bool = False
) -> FullHost:
    """Start the guests on host a. The pinned ones have two vCPUs on one CPU each and their memory on one node.

    The one that cannot leave is in mode “do not migrate”; with `is_too_wide` it may be migrated, but has a CPU of its
    own for more vCPUs than any other host has CPUs.
    """

    def start(name: str, number: int | None, metadata: str = "") -> Guest:
        node = 0 if number is None else number % 2
        first = 0 if number is None else 8 * node + 2 * (number // 2) + 1
        return lab.guest(
            "a",
            name,
            vcpus=2,
            memory_mib=64,
            dirty_mib=8,
            dirty_mib_s=dirty_mib_s,
            pins={} if number is None else {0: str(first), 1: str(first + 1)},
            nodes={} if number is None else {0: str(node)},
            metadata=metadata,
        )

    with_pins = tuple(start(f"db-{i + 1}", i) for i in range(pinned))
    stuck = _too_wide(lab) if is_too_wide else start("stuck", pinned, _NOT_TO_BE_MIGRATED)
    without = tuple(start(f"web-{i + 1}", None) for i in range(plain))
    ticks = {guest.uuid: lab.heartbeat("a", guest) for guest in (*with_pins, *without)}
    return FullHost(without, with_pins, stuck, ticks)


def _too_wide(lab: Lab) -> Guest:
    spec = lab.host("a").spec
    cpus = [cpu for node in range(spec.nodes) for cpu in spec.node_cpus(node)[-_WIDE // spec.nodes :]]
    pins = {vcpu: str(cpu) for vcpu, cpu in enumerate(cpus)}
    return lab.guest("a", "stuck", vcpus=_WIDE, cells=spec.nodes, memory_mib=64, dirty_mib=0, pins=pins,
                     nodes={node: str(node) for node in range(spec.nodes)})  # fmt: skip


def check_untouched(lab: Lab, full: FullHost, *, not_on: str = "a") -> dict[str, str]:
    """Every guest that was to leave runs exactly once, elsewhere, and counts on from where it was; where, by name."""
    processes = lab.qemu_processes()
    places: dict[str, str] = {}
    for guest in full.movable:
        (host,) = processes[guest.uuid]
        assert host != not_on, f"{guest.name} is still there"
        assert lab.virsh(host, "domstate", guest.uuid).strip() == "running"
        check_goes_on(lab, host, guest, since=full.ticks[guest.uuid])
        places[guest.name] = host
    return places
