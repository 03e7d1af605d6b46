"""What does this machine lack for the lab? Answers in sentences, without changing anything."""

from __future__ import annotations

import os
import shutil
import sys

from tests.lab.commands import CLEAN_ENVIRONMENT, run

# program -> the Debian package it is in
_PROGRAMS = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "ip": "iproute2",
    "tc": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "certtool": "gnutls-bin",
    "gcc": "gcc",
    "as": "binutils",
    "ld": "binutils",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}


def missing() -> str:
    """Empty where the lab can run; otherwise one sentence that says all that is missing and how to get it."""
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux"
    if os.geteuid() != 0:
        return "the lab needs root: it makes network namespaces and runs libvirtd"
    path = CLEAN_ENVIRONMENT["PATH"]
    packages = sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program, path=path)})
    if packages:
        return f"the lab needs Debian packages that are not installed: apt-get install {' '.join(packages)}"
    if not os.path.exists("/proc/self/ns/mnt"):
        return "the lab needs /proc: mount it (in a chroot: mount -t proc proc /proc)"
    namespaces = ("unshare", "--mount", "--propagation", "unchanged", "--uts", "--ipc", "--net", "--pid", "--fork")
    mounts = "nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / && mount -t tmpfs tmpfs /tmp"
    done = run(*namespaces, "sh", "-c", mounts, check=False)
    if done.returncode:
        return f"the lab needs namespaces and mounts, which are not allowed here: {done.stderr.strip()}"
    return ""
