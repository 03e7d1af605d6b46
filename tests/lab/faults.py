"""What can go wrong with a host: each fault, how it is made, and how everything is made well again.

Knows hosts and their network; knows nothing of guests beyond killing their QEMU.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

from tests.lab import scarcity
from tests.lab.commands import LabError, is_alive, run, wait_until
from tests.lab.host import SSH_PORT, TCP_PORT, TLS_PORT, Host
from tests.lab.network import Network


class Faults:
    """`lab.fault`. Every method returns when the fault (or its end) is in effect. For one thread at a time."""

    def __init__(self, hosts: Mapping[str, Host], network: Network) -> None:
        """The hosts by name, and the network they are on."""
        self._hosts = hosts
        self._network = network
        self._hurt: set[str] = set()
        self._is_console_cut = False

    def _hurting(self, name: str) -> Host:
        host = self._hosts[name]
        self._hurt.add(name)
        return host

    # --- network ------------------------------------------------------------------------------------------------

    def cut(self, host: str) -> None:
        """Pull the host's network cable: packets vanish, nobody is told. `heal` plugs it in again."""
        self._network.on_switch(f"link set h{self._hurting(host).index} down")

    def shape(self, host: str, rate: str) -> None:
        """Limit what the host sends and what it gets to this rate each (tc's words: 50mbit); `heal` lifts it."""
        target = self._hurting(host)
        limit = ("root", "tbf", "rate", rate, "burst", "256kb", "latency", "200ms")
        switch = ("nsenter", "-t", str(self._network.switch_pid), "-n")
        run(*switch, "tc", "qdisc", "replace", "dev", f"h{target.index}", *limit)
        target.run("tc", "qdisc", "replace", "dev", "eth0", *limit)

    def block_management(self, source: str, destination: str) -> None:
        """Let the source reach no libvirtd and no sshd of the destination; QEMU's migration still gets through."""
        host = self._hurting(source)
        to = self._hosts[destination].address
        for port in (TCP_PORT, TLS_PORT, SSH_PORT):
            host.run("ip", "rule", "add", "to", to, "ipproto", "tcp", "dport", str(port), "type", "unreachable")

    def part(self, one: str, other: str) -> None:
        """Let no packet get from one host to the other or back; everybody else reaches both. `heal` both to end it."""
        for host, to in ((one, other), (other, one)):
            self._hurting(host).run("ip", "rule", "add", "to", self._hosts[to].address, "type", "blackhole")

    def heal(self, host: str) -> None:
        """End every network fault of the host."""
        target = self._hosts[host]
        if not target.is_up:
            return
        self._network.on_switch(f"link set h{target.index} up")
        switch = ("nsenter", "-t", str(self._network.switch_pid), "-n")
        run(*switch, "tc", "qdisc", "del", "dev", f"h{target.index}", "root", check=False)
        target.run("tc", "qdisc", "del", "dev", "eth0", "root", check=False)
        for line in target.run("ip", "rule", "show").stdout.splitlines():
            if "unreachable" in line or "blackhole" in line:
                target.run("ip", "rule", "del", "pref", line.partition(":")[0])

    def cut_console(self) -> None:
        """Cut this machine off from all hosts, which go on reaching each other. `heal_console` ends it."""
        self._is_console_cut = True
        self._network.on_switch("link set uplink down")

    def heal_console(self) -> None:
        """Let this machine reach the hosts again."""
        if self._is_console_cut:
            self._network.on_switch("link set uplink up")
            self._is_console_cut = False

    # --- daemon -------------------------------------------------------------------------------------------------

    def kill_daemon(self, host: str) -> None:
        """Kill libvirtd (SIGKILL); guests go on."""
        target = self._hurting(host)
        pid = target.daemon_pid()
        target.signal_daemon(signal.SIGKILL)
        wait_until(lambda: pid is None or not is_alive(pid), within_s=10, complaint=f"{host}'s libvirtd would not die")

    def start_daemon(self, host: str) -> None:
        """Start libvirtd where it does not run; returns when it answers."""
        if self._hosts[host].daemon_pid() is None:
            self._hosts[host].start_daemon()

    def freeze_daemon(self, host: str) -> None:
        """Stop libvirtd (SIGSTOP): connections are accepted by the kernel, and nothing ever answers."""
        self._hurting(host).signal_daemon(signal.SIGSTOP)

    def thaw_daemon(self, host: str) -> None:
        """Let a frozen libvirtd go on."""
        self._hosts[host].signal_daemon(signal.SIGCONT)

    # --- host and guests ----------------------------------------------------------------------------------------

    def crash(self, host: str) -> None:
        """Switch the host off: its guests, daemons and network end at once. `boot` switches it on."""
        self._hurting(host).crash()

    def boot(self, host: str) -> None:
        """Switch a crashed host on: definitions are there, no guest runs."""
        self._hosts[host].boot()

    def kill_qemu(self, host: str, guest: str) -> None:
        """Kill a guest's QEMU process (SIGKILL). `guest`: its UUID or the UUID's owner's name on this host."""
        target = self._hosts[host]
        uuid = guest if guest in target.qemu_processes() else target.virsh("domuuid", guest)
        pid = target.qemu_processes().get(uuid)
        if pid is None:
            raise LabError(f"host {host}: no QEMU runs {guest}")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), within_s=10, complaint=f"the QEMU of {guest} would not die")

    def freeze_qemu(self, host: str, uuid: str) -> None:
        """Stop a guest's QEMU process (SIGSTOP); `thaw_qemu` lets it go on."""
        os.kill(self._qemu(host, uuid), signal.SIGSTOP)

    def thaw_qemu(self, host: str, uuid: str) -> None:
        """Let a stopped QEMU process go on; nothing where there is none any more."""
        with contextlib.suppress(LabError, ProcessLookupError):
            os.kill(self._qemu(host, uuid), signal.SIGCONT)

    def _qemu(self, host: str, uuid: str) -> int:
        pid = self._hosts[host].qemu_processes().get(uuid)
        if pid is None:
            raise LabError(f"host {host}: no QEMU runs {uuid}")
        return pid

    # --- scarcity -----------------------------------------------------------------------------------------------

    def fill_disk(self, host: str) -> None:
        """Leave not a byte where the host's libvirt writes definitions, states and logs. `free_disk` makes room."""
        scarcity.fill_disk(self._hurting(host))

    def free_disk(self, host: str) -> None:
        """End `fill_disk`."""
        if self._hosts[host].is_up:
            scarcity.free_disk(self._hosts[host])

    def starve(self, host: str, guest_uuid: str | None = None) -> None:
        """Leave the host no memory: the kernel kills this guest's QEMU, or (without one) what starts next."""
        scarcity.PoorMemory(self._hurting(host)).starve(guest_uuid)

    def feed(self, host: str) -> None:
        """End `starve`."""
        scarcity.PoorMemory(self._hosts[host]).feed()

    def take_cpu_feature(self, host: str, feature: str) -> None:
        """Let the host offer its next guests no CPU with this feature. `give_cpu_back` ends it."""
        scarcity.take_cpu_feature(self._hurting(host), feature)

    def give_cpu_back(self, host: str) -> None:
        """End `take_cpu_feature`."""
        if self._hosts[host].is_up:
            scarcity.give_cpu_back(self._hosts[host])

    # --- all ----------------------------------------------------------------------------------------------------

    def heal_all(self) -> None:
        """Make every host well that a fault has hurt, whatever the fault was."""
        self.heal_console()
        for name in sorted(self._hurt):
            host = self._hosts[name]
            if not host.is_up:
                self.boot(name)
            self.heal(name)
            self.feed(name)
            self.free_disk(name)
            if (host.folder / "qemu-poor").exists():
                self.give_cpu_back(name)
            with contextlib.suppress(LabError):
                self.thaw_daemon(name)
            self.start_daemon(name)
            wait_until(host.answers, within_s=30, complaint=f"{name}'s libvirtd does not answer after its faults")
            wait_until(host.is_reachable, within_s=10, complaint=f"{name} is not reachable after its faults")
        self._hurt.clear()
