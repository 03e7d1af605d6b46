"""The lab's network: a free subnet of this machine, a switch in the lab's own namespace, a cable to each host.

The only thing in the machine's own network is one end of a cable, `hpclabN`. Making it claims slot N, since the
kernel makes each name once; it vanishes with the lab's namespace. So any number of labs run side by side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.lab.commands import LabError, run

LINK = "hpclab"
SLOTS = 200


@dataclass(frozen=True, slots=True)
class Network:
    """One lab's network. `switch_pid`: process 1 of the lab, in whose network namespace the switch is."""

    slot: int
    switch_pid: int

    @classmethod
    def claim(cls, switch_pid: int) -> Network:
        """Take a free slot, and plug the machine into the lab's switch as address .254."""
        routes = run("ip", "-json", "route", "show", "table", "all").stdout
        used = {str(route.get("dst", "")) for route in json.loads(routes or "[]")}
        for slot in range(SLOTS):
            network = cls(slot, switch_pid)
            prefix = f"{network.subnet}."
            if Path(f"/sys/class/net/{LINK}{slot}").exists() or any(route.startswith(prefix) for route in used):
                continue
            peer = ("peer", "name", "uplink", "netns", str(switch_pid))
            done = run("ip", "link", "add", f"{LINK}{slot}", "type", "veth", *peer, check=False)
            if done.returncode == 0:
                network._plug_in()
                return network
            if "exists" not in done.stderr:
                raise LabError(f"the lab's network could not be made: {done.stderr.strip()}")
        raise LabError(f"no network slot is free: {SLOTS} labs are running, or their links were left behind")

    @property
    def subnet(self) -> str:
        """The first three numbers of every address."""
        return f"10.78.{self.slot}"

    def address(self, index: int) -> str:
        """The address of the host with this index (from 0)."""
        return f"{self.subnet}.{index + 1}"

    def _plug_in(self) -> None:
        link = f"{LINK}{self.slot}"
        self.on_switch(
            "link add switch type bridge", "link set uplink master switch up", "link set lo up", "link set switch up"
        )
        run("ip", "-batch", "-", stdin=f"addr add {self.subnet}.254/24 dev {link}\nlink set {link} up\n")

    def on_switch(self, *commands: str) -> None:
        """Run `ip` commands in the switch's namespace."""
        run("nsenter", "-t", str(self.switch_pid), "-n", "ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def connect(self, index: int, host_pid: int) -> None:
        """Lay the cable between the switch (port hN) and a host (eth0)."""
        port, mac = f"h{index}", f"02:48:50:{self.slot:02x}:00:{index:02x}"
        enter = ("nsenter", "-t", str(self.switch_pid), "-n")
        # The port of a host that has crashed lives on as long as its network namespace, which connections that were
        # never closed may hold for a minute.
        run(*enter, "ip", "link", "del", port, check=False)
        self.on_switch(
            f"link add {port} type veth peer name eth0 address {mac} netns {host_pid}",
            f"link set {port} master switch up",
        )
        commands = f"addr add {self.address(index)}/24 dev eth0\nlink set eth0 up\nlink set lo up\n"
        run("nsenter", "-t", str(host_pid), "-n", "ip", "-batch", "-", stdin=commands)
