"""A host that runs out of disk or memory, or whose QEMU offers a poorer CPU: how each is made, and undone.

Knows one host at a time; nothing of guests beyond their processes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.lab.commands import LabError, is_alive, run, wait_until
from tests.lab.host import Host

# Where libvirt keeps what must survive a boot; /run is no disk.
_ON_DISK = ("/etc/libvirt/qemu", "/var/lib/libvirt", "/var/log/libvirt")
_QEMU = "/usr/bin/qemu-system-x86_64"
_ASIDE = "/usr/bin/qemu-img"  # a program the hosts do not need, in whose place QEMU stands while it is wrapped
_CGROUP = Path("/sys/fs/cgroup/memory")
_MIB = 1024 * 1024


def fill_disk(host: Host) -> None:
    """Put libvirt's folders on a small disk of their own (until the next boot), and leave not a byte on it."""
    script = [f"mkdir -p {host.folder}/disk", f"mount -t tmpfs -o size=64m tmpfs {host.folder}/disk"]
    for number, folder in enumerate(_ON_DISK):
        part = f"{host.folder}/disk/{number}"
        script += [f"mkdir -p {folder}", f"cp -a {folder} {part}", f"mount --bind {part} {folder}"]
    if host.run("mountpoint", "-q", f"{host.folder}/disk", check=False).returncode != 0:
        host.run("sh", "-ec", "\n".join(script))
    host.run("sh", "-c", f"dd if=/dev/zero of={host.folder}/disk/full bs=4k 2>/dev/null || true")


def free_disk(host: Host) -> None:
    """Make room again."""
    host.run("rm", "-f", f"{host.folder}/disk/full")


class PoorMemory:
    """A host's libvirtd and guests in a memory cgroup of this machine, so small that the kernel kills one of them."""

    def __init__(self, host: Host) -> None:
        """Nothing is limited yet."""
        self._host = host
        self._group = _CGROUP / f"{host.lab_folder.name}-{host.name}"

    def starve(self, uuid: str | None = None) -> None:
        """Leave no memory. With `uuid`: the kernel kills that QEMU at once; without: none is left for a new one."""
        daemon = self._host.daemon_pid()
        if daemon is None:
            raise LabError(f"host {self._host.name}: no libvirtd is running")
        victim = self._host.qemu_processes().get(uuid or "")
        if victim is None:
            # what it starts is limited likewise: a QEMU needs five times as much data as a libvirtd
            run("prlimit", "--pid", str(daemon), f"--data={600 * _MIB}:")
            return
        self._group.mkdir(exist_ok=True)
        (self._group / "cgroup.procs").write_text(str(victim))
        Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
        self._limit(int((self._group / "memory.usage_in_bytes").read_text()) + 6 * _MIB)
        # fills memory and waits; ends by itself once the victim is dead
        eat = f"x=$(head -c {24 * _MIB} /dev/zero | tr '\\0' x); while kill -0 {victim} 2>/dev/null; do :; done"
        hog = f"echo $$ > {self._group}/cgroup.procs; {eat}"
        os.spawnlp(os.P_NOWAIT, "timeout", "timeout", "40", "sh", "-c", hog)
        wait_until(lambda: not is_alive(victim), within_s=60, complaint=f"the kernel did not kill QEMU {victim}")

    def feed(self) -> None:
        """Give memory back."""
        daemon = self._host.daemon_pid() if self._host.is_up else None
        if daemon is not None:
            run("prlimit", "--pid", str(daemon), "--data=unlimited:")
        if not self._group.exists():
            return
        self._limit(-1)
        for _ in range(3):
            with contextlib.suppress(OSError):
                for pid in (self._group / "cgroup.procs").read_text().split():
                    (_CGROUP / "cgroup.procs").write_text(pid)
        with contextlib.suppress(OSError):
            self._group.rmdir()

    def _limit(self, size: int) -> None:
        (self._group / "memory.limit_in_bytes").write_text(str(size))


def take_cpu_feature(host: Host, feature: str) -> None:
    """Let the host's QEMU offer guests no CPU with this feature, as an older processor would."""
    wrapper = host.folder / "qemu-poor"
    switches = " ".join(f"-global {model}-x86_64-cpu.{feature}=off" for model in ("qemu64", "max"))
    wrapper.write_text(f'#!/bin/bash\nexec -a "$0" {_ASIDE} "$@" {switches}\n')
    wrapper.chmod(0o755)
    # in a folder of its own QEMU would not find its modules
    host.run("sh", "-ec", f"mount --bind {_QEMU} {_ASIDE}; mount --bind {wrapper} {_QEMU}")


def give_cpu_back(host: Host) -> None:
    """End `take_cpu_feature`."""
    host.run("sh", "-c", f"umount {_QEMU}; umount {_ASIDE}", check=False)
    (host.folder / "qemu-poor").unlink(missing_ok=True)
