"""What simulated hosts answer before a migration: dirty rate, CPU, files. Guarded by the cluster's lock."""

from __future__ import annotations

import math

from hpconsole.core.hypervisor.port import DirtyRate
from hpconsole.core.hypervisor.safe_xml import parse
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.domain import Domain
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err, State
from hpconsole.core.hypervisor.simulated.loads import MIB
from hpconsole.core.hypervisor.simulated.machine_xml import every_flag, flags, usable_models
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.world import World


def start_dirty_rate(world: World, daemon: Daemon, uuid: str, seconds: int) -> None:
    """Begin to measure, as libvirt does: one measurement of a guest at a time."""
    domain = daemon.active(uuid)
    if not 1 <= seconds <= 60:
        words = f"seconds={seconds} is invalid, please choose value within [1, 60]."
        raise refused(daemon.name, Err.INVALID_ARG, words, vm=domain.name)
    if _is_under_way(world, domain):
        words = "internal error: unable to execute QEMU command 'calc-dirty-rate': still measuring"
        raise refused(daemon.name, Err.OPERATION_FAILED, words, vm=domain.name)
    domain.dirty_rate_from_s, domain.dirty_rate_period_s = world.now_s, seconds


def dirty_rate(world: World, daemon: Daemon, uuid: str) -> DirtyRate:
    """What was found, once the period is over: distinct memory only, as page sampling sees it."""
    domain = daemon.active(uuid)
    if domain.dirty_rate_from_s is None or _is_under_way(world, domain):
        return DirtyRate(is_measured=False)
    period_s = domain.dirty_rate_period_s
    written = _written_bytes(domain, period_s) if domain.state is State.RUNNING else 0.0
    return DirtyRate(True, int(domain.dirty_rate_from_s), period_s, written / MIB // period_s)


def _is_under_way(world: World, domain: Domain) -> bool:
    began_s = domain.dirty_rate_from_s
    return began_s is not None and world.now_s < began_s + domain.dirty_rate_period_s


def _written_bytes(domain: Domain, seconds: float) -> float:
    """As in `precopy`: writes hit the working set at random."""
    character = domain.character
    working_set = max(1.0, domain.demand.memory_kib * 1024 * character.working_set_share)
    return working_set * -math.expm1(-character.dirty_mib_s * MIB * seconds / working_set)


def why_no_way(world: World, daemon: Daemon, destination: Daemon | None) -> str:
    """Why the one cannot connect to the other, in libvirt's words; empty if it can."""
    if destination is None:
        return "unable to resolve address"
    if destination.is_crashed or frozenset((daemon.name, destination.name)) in world.cuts:
        return f"unable to connect to server at '{destination.name}:16509': No route to host"
    return ""


def compare_cpu(daemon: Daemon, cpu_xml: str) -> str:
    """Why a guest with this CPU cannot run here, in libvirt's words; empty if it can."""
    root = parse(cpu_xml, what="The CPU", subject=daemon.name)
    own = frozenset(flags(daemon.model.generation))
    wanted = {
        feature.get("name", "") for feature in root.findall("feature") if feature.get("policy") in ("require", "force")
    }
    lacking = sorted((wanted & every_flag()) - own)
    if lacking:
        return f"Host CPU does not provide required features: {', '.join(lacking)}"
    model = root.findtext("model", "")
    if root.get("mode") == "custom" and model not in usable_models(daemon.model.generation) | {""}:
        return f"Host CPU does not provide all features of the model {model}"
    return ""
