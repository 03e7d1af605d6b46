"""Guards one lab: holds the namespace all its processes live in, and leaves nothing when the lab's owner is gone.

A program of its own (`python supervisor.py FOLDER OWNER_PID LOCK_FD`), standard library only. Everything the lab
starts lives below one PID namespace whose process 1 this program starts: killing that process ends them all, and the
kernel takes network namespaces, mounts and links away with them. It tears down when the owner ends in whatever way
(SIGKILL too), or on SIGTERM. If this program itself is killed, process 1 gets SIGKILL from the kernel; only the folder
stays, and the next lab sweeps it (the lock on it is free then).
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys

# Process 1 of the lab: says its id as seen from outside (this /proc is the outside's), then reaps what dies.
_INIT = "read pid rest < /proc/self/stat; echo $pid; exec env --ignore-signal=CHLD sleep infinity"


def _await_the_end(owner_pid: int, wake_up: int) -> None:
    """Return when the owner has ended (0: there is none) or a signal asked for the end."""
    waiting = select.poll()
    waiting.register(wake_up, select.POLLIN)
    if owner_pid:
        try:
            waiting.register(os.pidfd_open(owner_pid), select.POLLIN)
        except ProcessLookupError:
            return
        if os.getppid() != owner_pid:
            return
    waiting.poll()


def main(folder: str, owner_pid: int) -> None:
    """Start the lab's namespace, report its process 1 on standard output, guard it, tear it down."""
    wake_up, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who may want to clean up in order
    unshare = ("unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", _INIT)
    outer = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *unshare], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert outer.stdout is not None
    line = outer.stdout.readline().strip()
    if line:
        os.write(1, f"{line}\n".encode())
        os.close(1)
        _await_the_end(owner_pid, wake_up)
        # the cable to the machine goes at once: the kernel takes it only a little after the last process
        subprocess.run(["nsenter", "-t", line, "-n", "ip", "link", "del", "uplink"], check=False)
        os.kill(int(line), signal.SIGKILL)
    outer.wait()  # ends after process 1, which ends after everything below it
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
