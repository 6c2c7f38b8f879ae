"""Runs a command for a limited time with limited output. Runs on a host, alone: Python 3.9, standard library."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would cost more than the rest
    from typing import Any

SET_CHILD_SUBREAPER = 36
SIGKILL, SIGPIPE, SIGSTOP, SIGXFSZ = 9, 13, 19, 25  # importing signal imports enum, a fifth of a short command's time
END_S = 5  # how long killed processes may take to end
READ_BYTES = 65536
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}
ACCOUNT = "nobody"
GROUPS = ("adm", "systemd-journal")  # who may read logs and the journal


class Kept:
    """The beginning and the end of an output, half of `most_bytes` each, and how much there was between them."""

    def __init__(self, most_bytes: int) -> None:
        self.half = most_bytes // 2
        self.head = b""
        self.tail = b""
        self.total = 0

    def add(self, found: bytes) -> None:
        """Take what was read."""
        self.total += len(found)
        room = self.half - len(self.head)
        self.head += found[:room]
        self.tail = (self.tail + found[room:])[-self.half :]


def unprivileged(arguments: list[str]) -> list[str]:
    """Return arguments that run a command as ACCOUNT, which can gain no privilege by anything it runs."""
    existing = {each.gr_name: str(each.gr_gid) for each in grp.getgrall()}
    account = pwd.getpwnam(ACCOUNT)
    groups = [existing[name] for name in GROUPS if name in existing]
    return [
        *("setpriv", "--reuid=%d" % account.pw_uid, "--regid=%d" % account.pw_gid),
        "--groups=" + ",".join(groups) if groups else "--clear-groups",
        *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
        *arguments,
    ]


def descendants() -> set[int]:
    """Return the PIDs of all processes below this one."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while True:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        if not below:
            return found - {os.getpid()}
        found |= below


def end_tree() -> bool:
    """Kill all processes below this one, also those that left its session; tell whether all have ended."""
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        # Stopped first: what is stopped starts nothing new.
        for number in (SIGSTOP, SIGKILL):
            for pid in descendants():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
        time.sleep(0.01)
    return False


def run(command: str, timeout_s: float, most_bytes: int, root: bool) -> dict[str, Any]:
    """Run a command with bash, as root or as an account without privileges; return its exit code and its output.

    It ends with the time-out, and so does all that it started. When it ends by itself, what it left in the background goes on.
    """
    if os.geteuid() and not root:
        return {"refused": "not root"}  # the login account may hold keys and sudo rights: nobody is lent it
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what is orphaned stays below this process
    arguments = ["bash", "-c", command]
    os.chdir("/")
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    began = time.monotonic()
    child = os.posix_spawnp(
        "bash" if root else "setpriv",
        arguments if root else unprivileged(arguments),
        {**ENVIRONMENT, "HOME": "/root" if root else "/"},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, nothing, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_DUP2, writing, 2),
        ],
        setsid=True,
        setsigdef=[SIGPIPE, SIGXFSZ],  # which Python ignores
    )
    os.close(writing)
    os.set_blocking(reading, False)
    ended = os.pidfd_open(child)
    events = select.poll()
    events.register(reading, select.POLLIN)
    events.register(ended, select.POLLIN)
    events.register(1, 0)  # reports when nobody is there any more to read the answer
    kept, code, timed_out = Kept(most_bytes), None, False
    while code is None:
        left_s = began + timeout_s - time.monotonic()
        ready = dict(events.poll(max(left_s, 0) * 1000))
        if reading in ready and not drain(reading, kept, READ_BYTES):
            events.unregister(reading)
        if 1 in ready:
            end_tree()
            os._exit(1)
        if ended in ready:
            drain(reading, kept, READ_BYTES * 16)  # what a pipe can hold
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        elif left_s <= 0:
            timed_out = True
            break
    return {
        "exit_code": code if code is None or code >= 0 else 128 - code,
        "beginning": kept.head.decode("utf-8", "replace"),
        "end": kept.tail.decode("utf-8", "replace"),
        "cut_bytes": kept.total - len(kept.head) - len(kept.tail),
        "duration_s": round(time.monotonic() - began, 3),
        "timed_out": timed_out,
        "all_ended": end_tree() if timed_out else True,
    }


def drain(reading: int, kept: Kept, most_bytes: int) -> bool:
    """Take what there is to read, up to a number of bytes; tell whether there may be more later."""
    while most_bytes > 0:
        try:
            found = os.read(reading, READ_BYTES)
        except BlockingIOError:
            return True
        if not found:
            return False
        kept.add(found)
        most_bytes -= len(found)
    return True
