"""Makes the definitions in `domain-xml/` with Debian's virt-install, from the lines of `virt-install.txt`.

Run where virtinst is installed:

    python3 tests/data/make_domain_xml.py ../shared/data/capabilities-xml

The folder holds capabilities of machines of several architectures (libvirt's own test data): virt-install then writes
what it would write there. The definitions are kept in the repository, so that tests need neither.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OUT = Path(__file__).parent / "domain-xml"
ARCHITECTURES = {
    "x86_64": ("kvm-x86_64.xml", "kvm-x86_64-domcaps-latest.xml"),
    "aarch64": ("kvm-aarch64.xml", "kvm-aarch64-domcaps.xml"),
    "s390x": ("kvm-s390x.xml", "kvm-s390x-domcaps.xml"),
    "ppc64le": ("kvm-ppc64le.xml", "kvm-ppc64le-domcaps.xml"),
    "riscv64": ("qemu-riscv64.xml", "qemu-riscv64-domcaps.xml"),
}


def made(case: tuple[str, str, str], capabilities: Path) -> str:
    """What virt-install writes; UUID and MAC address depend on the name only."""
    name, arch, options = case
    host, domain = (capabilities / file for file in ARCHITECTURES[arch])
    virt_type = ["--virt-type", "qemu"] if arch == "riscv64" else []
    own = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    words = shlex.split(options)
    mac = f"default,mac=52:54:00:{own[0:2]}:{own[2:4]}:01"
    defaults = {"--memory": "2048", "--vcpus": "4", "--disk": "none", "--network": mac}
    for option, value in defaults.items():
        if option not in words:
            words += [option, value]
    uri = f"__virtinst_test__test:///default,fakeuri=qemu:///system,caps={host},domcaps={domain}"
    command = ["virt-install", "--connect", uri, "--name", name, "--uuid", own, "--arch", arch, "--import", *virt_type]
    command += ["--osinfo", "detect=off,require=off", "--print-xml", "--dry-run", "--check", "all=off", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{name}: {done.stderr}")
        return ""
    return done.stdout


def main() -> None:
    """Write those that are not there (delete one to have it made again)."""
    capabilities = Path(sys.argv[1]).resolve()
    OUT.mkdir(exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        lines = (Path(__file__).parent / "virt-install.txt").read_text().splitlines()[1:]
        cases = [(name, arch, options) for name, arch, options in (line.split(" | ", 2) for line in lines)]
        missing = [case for case in cases if not (OUT / f"{case[0]}.xml").exists()]
        for (name, *_), xml in zip(missing, pool.map(lambda case: made(case, capabilities), missing), strict=True):
            if xml:
                (OUT / f"{name}.xml").write_text(xml)


if __name__ == "__main__":
    main()
