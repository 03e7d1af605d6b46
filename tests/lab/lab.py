"""Several real libvirt hosts on one Linux machine: `with Lab() as lab: lab.host("a").uri`.

Each host is a set of namespaces with its own address, libvirtd, sshd and an invented NUMA topology; guests are real
QEMU processes, and migrations between hosts are QEMU's own. A lab belongs to the process that starts it and is gone
when that process is, however it ends (supervisor.py); any number of labs run side by side (network.py). Needs root.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.lab.certificates import SSH_CONFIG, Authority, ssh_key
from tests.lab.commands import LabError, run, wait_until
from tests.lab.faults import Faults
from tests.lab.guests import HEARTBEAT_ADDRESS, Guest, GuestSpec, assemble, disk_image, domain_xml
from tests.lab.host import Host
from tests.lab.network import Network
from tests.lab.topology import DEFAULT_HOSTS, HostSpec

FOLDER_PREFIX = "hpconsole-lab-"
_HERE = Path(__file__).parent
_UNSETTLED_S = 60  # a folder younger than this may belong to a lab that is just starting


class Lab:
    """A running lab. Made by `start` (or `with`), or found again by `attach`. For one thread at a time."""

    fault: Faults

    def __init__(
        self, folder: Path, network: Network, hosts: Sequence[Host], supervisor_pid: int, outlives_owner: bool = False
    ) -> None:
        """Use `Lab.start` or `Lab.attach`."""
        self.folder = folder
        self.network = network
        self.hosts = tuple(hosts)
        self.supervisor_pid = supervisor_pid
        self.outlives_owner = outlives_owner
        self._supervisor: subprocess.Popen[str] | None = None
        self._by_name = {host.name: host for host in hosts}
        self.fault = Faults(self._by_name, network)

    # --- life ---------------------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls, specs: Iterable[HostSpec | str] = DEFAULT_HOSTS, *, resolves_names: bool = True, outlives_me: bool = False
    ) -> Lab:
        """Start hosts (specs, or texts for `HostSpec.parse`); returns when all answer.

        `resolves_names`: whether the hosts know each other's names (/etc/hosts). `outlives_me`: the lab stays until
        somebody closes it; otherwise it ends with this process at the latest.
        """
        sweep()
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        folder.chmod(0o755)
        supervisor = _start_supervisor(folder, 0 if outlives_me else os.getpid())
        try:
            assert supervisor.stdout is not None
            switch_pid = supervisor.stdout.readline().strip()
            supervisor.stdout.close()
            if not switch_pid:
                said = (folder / "supervisor.log").read_text().strip()
                raise LabError(f"the lab's namespace did not come up: {said}")
            network = Network.claim(int(switch_pid))
            parsed = [HostSpec.parse(spec) if isinstance(spec, str) else spec for spec in specs]
            hosts = [Host(spec, index, network, folder) for index, spec in enumerate(parsed)]
            lab = cls(folder, network, hosts, supervisor.pid, outlives_me)
            lab._supervisor = supervisor
            lab._build(resolves_names)
        except BaseException:
            supervisor.terminate()
            supervisor.wait()
            raise
        return lab

    @classmethod
    def attach(cls, folder: Path) -> Lab:
        """A lab that another process started; LabError where the folder holds none that is ready."""
        try:
            saved = json.loads((folder / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"{folder} holds no lab that is up") from None
        network = Network(saved["slot"], saved["switch_pid"])
        hosts = [Host(HostSpec(**spec), index, network, folder) for index, spec in enumerate(saved["hosts"])]
        return cls(folder, network, hosts, saved["supervisor_pid"], saved["outlives_owner"])

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the lab and remove its folder; returns when nothing is left. May be called twice."""
        if self._supervisor is not None:
            self._supervisor.terminate()
            self._supervisor.wait()
            self._supervisor = None
        elif _is_guarded(self.folder):
            os.kill(self.supervisor_pid, signal.SIGTERM)
            wait_until(lambda: not self.folder.exists(), within_s=30, complaint=f"{self.folder} was not removed")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _build(self, resolves_names: bool) -> None:
        """Everything between an empty folder and hosts that answer."""
        client = self.folder / "client"
        client.mkdir()
        (self.folder / "guests").mkdir()
        with ThreadPoolExecutor(max_workers=8) as pool:
            shim = pool.submit(self._compile_shim)
            authority = pool.submit(Authority, self.folder / "authority")
            keys = [pool.submit(ssh_key, folder / "id_ed25519") for folder in self._key_folders()]
            _together(pool, [host.prepare for host in self.hosts])
            host_keys = [pool.submit(ssh_key, host.folder / "etc/ssh/host_key") for host in self.hosts]
            self._install_ssh([key.result() for key in keys], [key.result() for key in host_keys])
            self._write_names(resolves_names)
            issue = authority.result()
            pool.submit(issue.install_for_client, client / "pki").result()
            shim.result()
            _together(pool, [partial(self._finish, host, issue) for host in self.hosts])
        self._save()

    def _finish(self, host: Host, authority: Authority) -> None:
        authority.install_for_host(host.name, host.address, host.folder / "etc/pki")
        host.boot()

    def _compile_shim(self) -> None:
        options = ("-shared", "-fPIC", "-O2", "-o", str(self.folder / "topology_shim.so"))
        run("gcc", *options, str(_HERE / "topology_shim.c"), "-ldl")

    def _key_folders(self) -> list[Path]:
        """Who logs in: the console, and (with one key for all) root of the hosts."""
        return [self.folder / "client/ssh", self.folder / "authority/hosts-ssh"]

    def _install_ssh(self, public_keys: list[str], host_keys: list[str]) -> None:
        known = "".join(
            f"{host.address},{host.name} {' '.join(key.split()[:2])}\n"
            for host, key in zip(self.hosts, host_keys, strict=True)
        )
        console, shared = self._key_folders()
        bin_folder = self.folder / "client/bin"
        bin_folder.mkdir()
        config = SSH_CONFIG.format(subnet=self.network.subnet, folder=console, known_hosts=console / "known_hosts")
        (console / "config").write_text(config)
        (console / "known_hosts").write_text(known)
        ssh = bin_folder / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {console}/config "$@"\n')
        ssh.chmod(0o755)
        for host in self.hosts:
            folder = host.folder / "home/.ssh"
            folder.chmod(0o700)
            shutil.copy(shared / "id_ed25519", folder)
            (folder / "authorized_keys").write_text("\n".join([*public_keys, ""]))
            (folder / "known_hosts").write_text(known)
            (host.folder / "etc/ssh/ssh_config").write_text("Host *\n    BatchMode yes\n    ConnectTimeout 10\n")

    def _write_names(self, resolves_names: bool) -> None:
        everybody = "".join(f"{host.address} {host.name}\n" for host in self.hosts)
        for host in self.hosts:
            others = everybody if resolves_names else f"{host.address} {host.name}\n"
            (host.folder / "etc/hosts").write_text(f"127.0.0.1 localhost\n{others}")

    def _save(self) -> None:
        saved = {
            "slot": self.network.slot,
            "switch_pid": self.network.switch_pid,
            "supervisor_pid": self.supervisor_pid,
            "outlives_owner": self.outlives_owner,
            "hosts": [asdict(host.spec) for host in self.hosts],
        }
        (self.folder / "lab.json").write_text(json.dumps(saved, indent=1))

    # --- hosts --------------------------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """The host of this name; KeyError where there is none."""
        return self._by_name[name]

    def uris(self) -> dict[str, str]:
        """Host name -> qemu+tcp URI."""
        return {host.name: host.uri for host in self.hosts}

    def environment(self) -> dict[str, str]:
        """The variables a process needs for `uri_ssh`: a PATH whose `ssh` uses the lab's keys and known hosts."""
        own = str(self.folder / "client/bin")
        rest = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part != own]
        return {"PATH": os.pathsep.join([own, *rest])}

    def virsh(self, host: str, *words: str, check: bool = True, timeout_s: float = 30) -> str:
        """What virsh says on the host, over its local socket (so also while its network is cut)."""
        return self.host(host).virsh(*words, check=check, timeout_s=timeout_s)

    # --- guests -------------------------------------------------------------------------------------------------

    def guest(
        self,
        host: str,
        name: str,
        *,
        vcpus: int = 2,
        cells: int = 1,
        memory_mib: int = 128,
        dirty_mib: int = 16,
        dirty_mib_s: float | None = 20,
        pin: bool = False,
        pins: Mapping[int, str] | None = None,
        nodes: Mapping[int, str] | None = None,
        numa_mode: str = "strict",
        emulator_pin: str = "",
        iothread_pins: Mapping[int, str] | None = None,
        huge_pages: int | None = None,
        metadata: str = "",
        ha: bool = False,
        disk: bool = False,
        start: bool = True,
    ) -> Guest:
        """Define a guest on a host and start it (`start`).

        Its program keeps changing `dirty_mib` of its memory at `dirty_mib_s` (None: as fast as it can, which costs a
        whole CPU of this machine; `dirty_mib=0`: not at all). `pin`: cell N's vCPUs one by one, and its memory
        (`numa_mode`), to the host's node N; `pins` (vCPU -> CPU list) and `nodes` (cell -> node list) say it literally.
        `huge_pages`: page size in KiB. `metadata`: XML inside `<metadata>`; `ha`: hpconsole's own metadata that asks
        for high availability (where `metadata` is empty). `disk`: one it can write to, so that QEMU locks it: two hosts
        cannot run the guest at once.
        """
        spec = GuestSpec(
            name,
            vcpus=vcpus,
            cells=cells,
            memory_mib=memory_mib,
            dirty_mib=dirty_mib,
            dirty_mib_s=dirty_mib_s,
            pin=pin,
            pins=pins or {},
            nodes=nodes or {},
            numa_mode=numa_mode,
            emulator_pin=emulator_pin,
            iothread_pins=iothread_pins or {},
            huge_pages_kib=huge_pages,
            metadata=metadata,
            ha=ha,
            disk=disk,
        )
        guest = Guest(name, str(uuid.uuid4()), host)
        self.virsh(host, "define", str(self._definition(spec, guest)))
        if start:
            self.virsh(host, "start", guest.uuid)
        return guest

    def _definition(self, spec: GuestSpec, guest: Guest) -> Path:
        """The file with the guest's XML; the images it names are there, too."""
        image = assemble(spec, self.folder / "guests")
        if spec.disk:
            file = disk_image(image, guest.uuid)
            file.parent.mkdir(exist_ok=True)
            with file.open("wb") as opened:
                opened.truncate(1 << 20)
        definition = self.folder / f"guests/{guest.uuid}.xml"
        definition.write_text(domain_xml(spec, self.host(guest.host).spec, image, guest.uuid))
        return definition

    def qemu_processes(self) -> dict[str, tuple[str, ...]]:
        """Guest UUID -> the hosts on which a live QEMU process runs it, as /proc says it: one, if all is well."""
        found: dict[str, tuple[str, ...]] = {}
        for host in self.hosts:
            for guest in host.qemu_processes():
                found[guest] = (*found.get(guest, ()), host.name)
        return found

    def heartbeat(self, host: str, guest: Guest) -> int:
        """How many timer ticks the guest has counted since it booted: goes on over a live migration."""
        answer = self.virsh(host, "qemu-monitor-command", guest.uuid, "--hmp", f"xp /1dx {HEARTBEAT_ADDRESS:#x}")
        return int(answer.rpartition(":")[2].strip(), 16)

    def clear(self) -> None:
        """Make the lab as new: end all faults, then destroy and undefine every guest on every host."""
        self.fault.heal_all()
        with ThreadPoolExecutor(max_workers=8) as pool:
            _together(pool, [partial(_remove_guests, host) for host in self.hosts])


def sweep() -> None:
    """Remove folders of labs whose supervisor was killed together with their owner."""
    for folder in running_folders(guarded=False):
        shutil.rmtree(folder, ignore_errors=True)


def running_folders(*, guarded: bool = True) -> list[Path]:
    """The folders of all labs of this machine that run (or, not `guarded`, that were left behind)."""
    now = time.time()
    return [
        folder
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"))
        if _is_guarded(folder) == guarded and (guarded or now - folder.stat().st_mtime > _UNSETTLED_S)
    ]


def _start_supervisor(folder: Path, owner_pid: int) -> subprocess.Popen[str]:
    """Start the lab's guard, which holds the lock on the folder as long as it lives."""
    with (folder / "guarded").open("w") as lock, (folder / "supervisor.log").open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = (sys.executable, "-I", "-S", str(_HERE / "supervisor.py"), str(folder), str(owner_pid))
        return subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            text=True,
        )


def _is_guarded(folder: Path) -> bool:
    """Whether the supervisor of this lab lives."""
    try:
        with (folder / "guarded").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _together(pool: ThreadPoolExecutor, actions: Sequence[Callable[[], None]]) -> None:
    """Do these at the same time; raises the first failure after all have ended."""
    futures = [pool.submit(action) for action in actions]
    errors = [error for error in (future.exception() for future in futures) if error is not None]
    if errors:
        raise errors[0]


def _remove_guests(host: Host) -> None:
    """Destroy and undefine all guests of a host; kills a QEMU that its libvirtd cannot get rid of."""
    if not host.is_up:
        return
    deadline = time.monotonic() + 15
    while uuids := host.virsh("list", "--all", "--uuid").split():
        for guest in uuids:
            host.virsh("destroy", guest, check=False)
            host.virsh("undefine", guest, "--nvram", "--managed-save", "--snapshots-metadata", check=False)
            if time.monotonic() > deadline and (pid := host.qemu_processes().get(guest)):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline + 15:
            raise LabError(f"host {host.name}: guests that cannot be removed: {', '.join(uuids)}")
