"""Read files with the privileges of a process's owner: a file that the process names is read only if its owner can read it.

Root must not act for a user whose process has the command line `python3 /etc/shadow`, or root's file as its stdout.
"""

from __future__ import annotations

import os
import select
import stat
import time

from memory_leak_host import proc

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    Owner = tuple[int, int, list[int]]  # UID, GID, supplementary GIDs

ROOT = (0, 0, [0])
NOBODY = (65534, 65534, [65534])
TIMEOUT_S = 5.0  # a file system that a user mounted may never answer
O_PATH = getattr(os, "O_PATH", 0o10000000)


def owner(pid: int) -> Owner | None:
    """Return the UID, GID and supplementary GIDs of a process; None if it has exited.

    If its UIDs or GIDs differ, the first that is not root's counts: anyone can choose the arguments of a setuid program.
    """
    try:
        fields = dict(line.split(":", 1) for line in proc.text(f"/proc/{pid}/status").splitlines() if ":" in line)
        users, own_groups, groups = ([int(each) for each in fields[name].split()] for name in ("Uid", "Gid", "Groups"))
    except (OSError, KeyError, ValueError):
        return None
    return next(filter(None, users), 0), next(filter(None, own_groups), 0), groups


def stdout(pid: int) -> str:
    """Return a path by which `read` reaches the file behind a process's stdout, wherever that file is now."""
    return f"/proc/{pid}/fd/1"


def read(path: str, most_bytes: int, of: Owner, offset: int = 0, root: str = "/") -> bytes | None:
    """Read a regular file from an offset, `most_bytes` at most. Return None if this owner can't read it.

    A negative offset counts from the end. `root` is the root directory of the path: `/proc/PID/root` is what a process sees. A
    child process permanently drops all other privileges before it resolves the path and reads the file. Only a path in /proc
    is resolved earlier: it leads through a file descriptor of a process (see `stdout`).
    """
    output, inlet = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            close_all_but(inlet)
            # O_PATH does not open the file itself: it never blocks and does not affect a device.
            place = os.open(path, O_PATH) if path.startswith("/proc/") else None
            descriptors = os.open("/proc/self/fd", O_PATH)  # the new root may have no /proc
            if root != "/":
                os.chroot(root)
                os.chdir("/")
            user, group, groups = of
            os.setgroups(groups)
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            if place is None:
                place = os.open(path, O_PATH)
            _copy(place, descriptors, most_bytes, offset, inlet)
            status = 0
        finally:
            os._exit(status)
    os.close(inlet)
    received = _receive(output)
    os.close(output)
    is_complete = end_child(child, is_stuck=received is None) == 0
    return received if is_complete else None


def close_all_but(descriptor: int) -> None:
    """Close a child's inherited file descriptors except one.

    A child that is stuck for good must neither hold the lock nor the connection, whose end the controller waits for.
    """
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, descriptor + 100)


def end_child(child: int, is_stuck: bool) -> int | None:
    """Wait for a child and return its status. If it is stuck, also on exit, kill it, do not wait for it, and return None."""
    deadline = time.monotonic() + (0 if is_stuck else TIMEOUT_S)
    delay_s = 0.0005
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, os.WNOHANG)
            return None
        time.sleep(delay_s)
        delay_s = min(0.05, delay_s * 2)


def _copy(place: int, descriptors: int, most_bytes: int, offset: int, inlet: int) -> None:
    """Copy part of a file to a pipe. Raises OSError for anything but a regular file, without opening it for reading."""
    size = os.fstat(place).st_size
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise OSError("not a regular file")
    source = os.open(str(place), os.O_RDONLY | os.O_NONBLOCK, dir_fd=descriptors)
    os.lseek(source, max(0, size + offset) if offset < 0 else offset, os.SEEK_SET)
    left = most_bytes
    while left > 0:
        part = os.read(source, min(left, 65536))
        if not part:
            return
        left -= len(part)
        while part:
            part = part[os.write(inlet, part) :]


def _receive(output: int) -> bytes | None:
    received = b""
    while select.select([output], [], [], TIMEOUT_S)[0]:
        part = os.read(output, 65536)
        if not part:
            return received
        received += part
    return None
