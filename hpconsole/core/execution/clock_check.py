"""Does the guest's clock stand the move? The TSC frequencies of both hosts, as they tell them now, against its XML."""

from __future__ import annotations

from hpconsole.core.hypervisor.capabilities_xml import read_capabilities
from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.model.host import HostCpuModel
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.preflight_findings import Finding, Severity

_TOLERANCE_PPM = 250  # as the scheduler's filter, and as KVM: what NTP corrects


def clock_findings(vm: Vm, destination: str, domain_xml: str, here_xml: str, there_xml: str) -> list[Finding]:
    """What the hosts' clocks mean for this guest; nothing where it does not depend on the TSC.

    Args:
        domain_xml: its live XML.
        here_xml, there_xml: the capabilities of source and destination.

    Raises:
        InvalidXml: one of the three cannot be read.
    """
    root = parse(domain_xml, what="The VM's definition")
    frequency = _set_frequency(root)
    if _is_invariant(root) and frequency is None:
        words = f"{vm.name} has an invariant TSC without a frequency in its definition: QEMU does not migrate it."
        remedy = "Give its clock a TSC frequency (<timer name='tsc' frequency=...>), and start it anew."
        return [Finding("tsc", Severity.ERROR, words, remedy)]
    if frequency is None and not vm.intent.needs_tsc_frequency:
        return []
    here, there = read_capabilities(here_xml).cpu, read_capabilities(there_xml).cpu
    wanted = frequency or here.tsc_frequency_hz
    if wanted is None:
        words = f"{vm.host} does not tell its TSC frequency, which {vm.name} must keep."
        return [Finding("tsc", Severity.WARNING, words, "Compare the frequencies of the two hosts yourself.")]
    return [_compared(vm, destination, wanted, there)]


def _compared(vm: Vm, destination: str, wanted: int, there: HostCpuModel) -> Finding:
    its = f"{vm.name} runs with a TSC of {wanted:,} Hz"
    if there.has_tsc_scaling:
        return Finding("tsc", Severity.NOTE, f"{its}; {destination} can scale its own to that.")
    if there.tsc_frequency_hz is None:
        words = f"{its}; {destination} does not tell its frequency, nor that it can scale it."
        return Finding("tsc", Severity.WARNING, words, "Compare the frequencies of the two hosts yourself.")
    if abs(there.tsc_frequency_hz - wanted) <= wanted * _TOLERANCE_PPM // 1_000_000:
        return Finding("tsc", Severity.NOTE, f"{its}; {destination} has {there.tsc_frequency_hz:,} Hz, close enough.")
    words = f"{its}; {destination} has {there.tsc_frequency_hz:,} Hz and cannot scale it."
    remedy = "Choose a host of the same frequency, or one that scales it."
    return Finding("tsc", Severity.ERROR, words, remedy)


def _set_frequency(root: Element) -> int | None:
    for timer in root.iterfind("clock/timer"):
        text = timer.get("frequency", "")
        if timer.get("name") == "tsc" and text.isdigit() and len(text) <= 12:
            return int(text) or None
    return None


def _is_invariant(root: Element) -> bool:
    features = root.iterfind("cpu/feature")
    return any(one.get("name") == "invtsc" and one.get("policy") in ("require", "force") for one in features)
