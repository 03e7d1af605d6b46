"""What becomes of NVRAM and TPM state when a definition is removed: the flags libvirt gets, newest first."""

from __future__ import annotations

from contextlib import closing

import libvirt
import pytest

from hpconsole.core.errors import HypervisorError
from hpconsole.core.hypervisor.libvirt_host import LibvirtHost, open_libvirt

UUID = "6695eb01-f6a4-8304-79aa-97f2502e1931"
DEFINITION = f"""<domain type='test'><name>forgotten</name><uuid>{UUID}</uuid>
<memory unit='KiB'>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"""
NVRAM, KEEP_NVRAM, TPM, KEEP_TPM = 4, 8, 32, 64


class _Refusal(libvirt.libvirtError):
    def __init__(self, code: int) -> None:
        super().__init__("unsupported flags")
        self.err = (code, 12, "unsupported flags", 2, None, None, None, -1, -1)


def undefined(monkeypatch: pytest.MonkeyPatch, known: int, code: int, *, keep: bool) -> list[int]:
    """The flags of each try, by a host that knows only some (`known`) and refuses others with this code."""
    tries: list[int] = []
    really = libvirt.virDomain.undefineFlags

    def undefine(domain: libvirt.virDomain, flags: int = 0) -> int:
        tries.append(flags)
        if flags & ~known:
            raise _Refusal(code)
        return int(really(domain, 0))

    monkeypatch.setattr(libvirt.virDomain, "undefineFlags", undefine)
    with closing(open_libvirt("test:///default")) as host:
        host.define(DEFINITION)
        try:
            host.undefine(UUID, keep_nvram=keep)
        finally:
            monkeypatch.undo()
            _forget(host)
    return tries


def _forget(host: LibvirtHost) -> None:
    try:
        host.undefine(UUID)
    except HypervisorError:
        return


@pytest.mark.parametrize("code", [libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED])
def test_the_keys_of_a_tpm_stay_with_the_nvram(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    both = KEEP_NVRAM | KEEP_TPM
    assert undefined(monkeypatch, both, code, keep=True) == [both]
    assert undefined(monkeypatch, KEEP_NVRAM, code, keep=True) == [both, KEEP_NVRAM]
    assert undefined(monkeypatch, 0, code, keep=True) == [both, KEEP_NVRAM, 0]


def test_on_request_both_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert undefined(monkeypatch, NVRAM | TPM, libvirt.VIR_ERR_INVALID_ARG, keep=False) == [NVRAM | TPM]


def test_another_refusal_is_no_reason_to_try_with_less(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HypervisorError):
        undefined(monkeypatch, KEEP_NVRAM, libvirt.VIR_ERR_OPERATION_INVALID, keep=True)
