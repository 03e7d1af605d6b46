"""One host of a lab: its own namespaces, /etc, state folders, libvirtd and sshd, and a topology it claims.

Knows how to start, stop and enter a host; knows nothing of other hosts' faults, of guests, or of who started the lab.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.lab.commands import CLEAN_ENVIRONMENT, LabError, is_alive, parent_of, run, wait_until
from tests.lab.network import Network
from tests.lab.topology import HUGE_1G_KIB, HUGE_2M_KIB, HostSpec, pack_sysfs

TCP_PORT, TLS_PORT, SSH_PORT = 16509, 16514, 22
# Kept between labs and runs, beside other things that are made anew whenever they are missing.
KNOWN_CAPABILITIES = Path(__file__).resolve().parents[2] / "build/lab-capabilities"

LIBVIRTD_CONF = """\
listen_tls = 1
listen_tcp = 1
auth_tcp = "none"
auth_tls = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_addr = "{address}"
host_uuid = "{uuid}"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

QEMU_CONF = f"""\
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
migration_address = "0.0.0.0"
migrate_tls_x509_cert_dir = "/etc/pki/qemu"
hugetlbfs_mount = [ "/run/hugepages-{HUGE_2M_KIB}", "/run/hugepages-{HUGE_1G_KIB}" ]
"""

SSHD_CONFIG = """\
ListenAddress {address}
HostKey {folder}/etc/ssh/host_key
AuthorizedKeysFile {folder}/home/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
MaxStartups 100
PidFile /run/sshd.pid
"""

# Process 1 of a host: makes its private file systems, says its id as seen from outside (before it has a /proc of its
# own), then reaps whatever dies. The mounts are cut off from the machine's at the namespace's root, where `nsenter`
# goes: in a chroot, / is no mount point. The console's files are hidden: a real host does not have them either.
INIT = """\
set -e
read -r pid rest < /proc/self/stat
nsenter --mount=/proc/self/ns/mnt mount --make-rprivate /
mount -t proc proc /proc
mount --rbind /etc {folder}/machine-etc
mount --bind {folder}/etc /etc
for part in lib cache log; do
    mount --bind {folder}/$part /var/$part/libvirt
done
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs {folder}/sys
tar -x -f {folder}/sys.tar -C {folder}/sys
mount --bind {folder}/sys /sys/devices/system
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/libvirt /run/lock /run/sshd {huge_folders}
mount -t tmpfs tmpfs {lab}/client
hostname {name}
echo "$pid" > {folder}/init.pid.new
mv {folder}/init.pid.new {folder}/init.pid
exec env --ignore-signal=CHLD sleep infinity
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a lab. `folder`: its files; `lab_folder`: the lab's. Any thread may use it."""

    spec: HostSpec
    index: int
    network: Network
    lab_folder: Path

    @property
    def name(self) -> str:
        """Its name, which is its host name too."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """Its /etc, state and log folders."""
        return self.lab_folder / "hosts" / self.name

    @property
    def address(self) -> str:
        """Its address on the lab's network."""
        return self.network.address(self.index)

    @property
    def uri(self) -> str:
        """The libvirt URI without encryption."""
        return f"qemu+tcp://{self.address}/system"

    @property
    def uri_ssh(self) -> str:
        """The URI through ssh; needs the lab's environment (`Lab.environment`)."""
        return f"qemu+ssh://root@{self.address}/system"

    @property
    def uri_tls(self) -> str:
        """The URI through TLS, with the folder of the console's certificate."""
        return f"qemu+tls://{self.address}/system?pkipath={self.lab_folder / 'client/pki'}"

    @property
    def init_pid(self) -> int:
        """The host's process 1, as this process sees it; LabError while the host is down."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.folder / "init.pid").read_text())
        raise LabError(f"host {self.name} of the lab is down")

    @property
    def is_up(self) -> bool:
        """Whether the host runs at all (its daemon may be dead or frozen)."""
        with contextlib.suppress(LabError):
            return is_alive(self.init_pid)
        return False

    def prepare(self) -> None:
        """Write everything the host finds in its files, except keys."""
        for part in ("lib", "cache", "log", "machine-etc", "sys", "etc/libvirt", "etc/ssh", "home/.ssh"):
            (self.folder / part).mkdir(parents=True)
        if KNOWN_CAPABILITIES.is_dir():
            shutil.copytree(KNOWN_CAPABILITIES, self._capabilities)
        pack_sysfs(self.spec, self.folder / "sys.tar")
        self._copy_machine_etc()
        host_uuid = uuid.uuid4()
        (self.folder / "etc/libvirt/libvirtd.conf").write_text(
            LIBVIRTD_CONF.format(address=self.address, uuid=host_uuid)
        )
        (self.folder / "etc/libvirt/qemu.conf").write_text(f"{QEMU_CONF}keepalive_interval = {self.spec.keepalive_s}\n")
        (self.folder / "etc/ssh/sshd_config").write_text(SSHD_CONFIG.format(address=self.address, folder=self.folder))
        huge_folders = " ".join(f"/run/hugepages-{size}" for size in (HUGE_2M_KIB, HUGE_1G_KIB))
        script = INIT.format(folder=self.folder, lab=self.lab_folder, name=self.name, huge_folders=huge_folders)
        (self.folder / "init.sh").write_text(script)

    def _copy_machine_etc(self) -> None:
        """The machine's /etc as links, except what a host has of its own."""
        etc = self.folder / "etc"
        own = {"libvirt", "ssh", "pki", "hosts", "hostname", "passwd", "shadow", "mtab", "resolv.conf"}
        for entry in os.scandir("/etc"):
            if entry.name in own:
                continue
            target = os.readlink(entry.path) if entry.is_symlink() else self.folder / "machine-etc" / entry.name
            (etc / entry.name).symlink_to(target)
        (etc / "mtab").symlink_to("/proc/self/mounts")
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "resolv.conf").write_text("# nobody to ask\n")
        # root of a host has a home and a shell of its own, so that no profile of this machine's root interferes
        others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
        (etc / "passwd").write_text("\n".join([f"root:x:0:0:root:{self.folder}/home:/bin/sh", *others, ""]))
        (etc / "shadow").write_text("root:*:19000:0:99999:7:::\n")

    def boot(self) -> None:
        """Start the host's namespaces, plug it in, start its daemons; returns when libvirtd answers."""
        (self.folder / "init.pid").unlink(missing_ok=True)
        namespaces = "--mount --propagation unchanged --uts --ipc --net --pid --fork"
        log = self.folder / "init.log"
        command = f"setsid unshare {namespaces} sh {self.folder}/init.sh > {log} 2>&1 < /dev/null &"
        run("nsenter", "-t", str(self.network.switch_pid), "-p", "sh", "-c", command)
        try:
            wait_until(lambda: self.is_up, within_s=15, complaint=f"host {self.name}: its namespaces did not come up")
        except LabError as error:
            raise LabError(f"{error}: {log.read_text().strip()}") from error
        self.network.connect(self.index, self.init_pid)
        self.run("/usr/sbin/sshd", "-f", "/etc/ssh/sshd_config", "-E", f"{self.folder}/log/sshd.log")
        self.start_daemon()

    def enter(self, *command: str) -> tuple[str, ...]:
        """The command line that runs a command inside the host."""
        return ("nsenter", "-t", str(self.init_pid), "-m", "-u", "-i", "-n", "-p", "-r", *command)

    def run(self, *command: str, check: bool = True, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command inside the host, whatever state its network is in; LabError where it outlasts its time."""
        environment = {**CLEAN_ENVIRONMENT, "HOME": f"{self.folder}/home"}
        # ended by a program inside the host: killing nsenter from here would leave the command running there
        limited = self.enter("timeout", "-s", "KILL", f"{timeout_s:g}", *command)
        done = run(*limited, check=False, timeout_s=timeout_s + 10, environment=environment)
        if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):  # `timeout` kills itself, too
            raise LabError(f"host {self.name}: `{' '.join(command)}` did not end within {timeout_s:g} s")
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"host {self.name}: `{' '.join(command)}` ended with {done.returncode}: {said}")
        return done

    def virsh(self, *words: str, check: bool = True, timeout_s: float = 30) -> str:
        """What virsh says on the host itself, over its local socket: independent of network and of hpconsole."""
        return self.run("virsh", "-q", "-c", "qemu:///system", *words, check=check, timeout_s=timeout_s).stdout.strip()

    # --- libvirtd -----------------------------------------------------------------------------------------------

    def start_daemon(self) -> None:
        """Start libvirtd and wait till it answers."""
        self.run("rm", "-f", "/run/libvirtd.pid")
        shim = f"LD_PRELOAD={self.lab_folder / 'topology_shim.so'}"
        self.run("env", shim, "/usr/sbin/libvirtd", "--listen", "--daemon", timeout_s=60)
        wait_until(
            self.answers,
            within_s=60,
            complaint=f"host {self.name}: libvirtd does not answer: {self.folder}/log/libvirtd.log",
        )
        self._keep_capabilities()

    @property
    def _capabilities(self) -> Path:
        """What its libvirtd found out about this machine's QEMU programs."""
        return self.folder / "cache/qemu/capabilities"

    def _keep_capabilities(self) -> None:
        """Spare later hosts the asking of every QEMU program, 2 s each; libvirt checks what it is given."""
        if KNOWN_CAPABILITIES.exists():
            return
        self.virsh("capabilities")
        KNOWN_CAPABILITIES.parent.mkdir(exist_ok=True)
        whole = KNOWN_CAPABILITIES.with_name(f"{KNOWN_CAPABILITIES.name}.{os.getpid()}")
        shutil.copytree(self._capabilities, whole)
        try:
            whole.rename(KNOWN_CAPABILITIES)
        except OSError:  # another lab was first
            shutil.rmtree(whole)

    def answers(self) -> bool:
        """Whether libvirtd answers on its local socket now (within 5 s)."""
        with contextlib.suppress(LabError):
            return self.run("virsh", "-c", "qemu:///system", "nodeinfo", check=False, timeout_s=5).returncode == 0
        return False

    def is_reachable(self) -> bool:
        """Whether a TCP connection to its libvirtd is accepted from this machine (within 1 s)."""
        try:
            socket.create_connection((self.address, TCP_PORT), timeout=1).close()
        except OSError:
            return False
        return True

    def daemon_pid(self) -> int | None:
        """The daemon's process id as this process sees it; None where it does not run."""
        for pid, line in self.processes().items():
            # a child of libvirtd that has not yet become another program looks like libvirtd, too
            if line[0].endswith("/libvirtd") and parent_of(pid) == self.init_pid:
                return pid
        return None

    def signal_daemon(self, number: signal.Signals) -> None:
        """Send libvirtd a signal; LabError where it does not run."""
        pid = self.daemon_pid()
        if pid is None:
            raise LabError(f"host {self.name}: no libvirtd is running")
        os.kill(pid, number)

    # --- processes ----------------------------------------------------------------------------------------------

    def processes(self) -> dict[int, list[str]]:
        """Every live process of the host: id as this process sees it -> command line."""
        try:
            namespace = os.readlink(f"/proc/{self.init_pid}/ns/pid")
        except (LabError, FileNotFoundError):
            return {}
        found = {}
        for entry in os.listdir("/proc"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if entry.isdecimal() and os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                    line = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
                    if line[0]:  # a zombie has none
                        found[int(entry)] = line
        return found

    def qemu_processes(self) -> dict[str, int]:
        """The live QEMU processes of the host: guest UUID -> process id."""
        return {
            line[line.index("-uuid") + 1]: pid
            for pid, line in self.processes().items()
            if "qemu-system" in line[0] and "-uuid" in line
        }

    def crash(self) -> None:
        """Switch the host off without a word: guests, daemons and network end at once. `boot` starts it again."""
        pid = self.init_pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), within_s=10, complaint=f"host {self.name} would not die")
        (self.folder / "init.pid").unlink(missing_ok=True)
