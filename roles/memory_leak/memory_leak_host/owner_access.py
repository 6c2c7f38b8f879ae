"""Files read with somebody else's rights: what a process names is read only if its owner could read it.

Root must not be the deputy of a user whose process is called `python3 /etc/shadow`, or whose stdout is a file of root's.
"""

from __future__ import annotations

import os
import select
import stat

from memory_leak_host import proc

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    Owner = tuple[int, int, list[int]]  # user, group, further groups

ROOT = (0, 0, [0])
NOBODY = (65534, 65534, [65534])
TIMEOUT_S = 5.0  # a file system of a user's own may never answer
O_PATH = getattr(os, "O_PATH", 0o10000000)


def owner(pid: int) -> Owner | None:
    """Return whose process it is: user, group and further groups; None if it has ended.

    Where it has several users or groups it is not root's: anyone chooses the arguments of a setuid program.
    """
    try:
        fields = dict(line.split(":", 1) for line in proc.text(f"/proc/{pid}/status").splitlines() if ":" in line)
        users, own_groups, groups = ([int(each) for each in fields[name].split()] for name in ("Uid", "Gid", "Groups"))
    except (OSError, KeyError, ValueError):
        return None
    return next(filter(None, users), 0), next(filter(None, own_groups), 0), groups


def stdout(pid: int) -> str:
    """Return the path by which `read` reaches the file that a process writes its stdout to, wherever that file is now."""
    return f"/proc/{pid}/fd/1"


def read(path: str, most_bytes: int, of: Owner, offset: int = 0, root: str = "/") -> bytes | None:
    """Return what a regular file holds from an offset on, `most_bytes` at most, or None where this owner can't read it.

    A negative offset counts from the end. `root` is where the path starts: `/proc/PID/root` is what a process sees. A child
    reads it, which has given up all other rights for good. It finds the file with these rights too, but for one that is reached
    through a descriptor of a process (see `stdout`).
    """
    output, inlet = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            close_all_but(inlet)
            # O_PATH opens nothing: neither does it wait for anyone, nor does a device notice.
            place = os.open(path, O_PATH) if path.startswith("/proc/") else None
            descriptors = os.open("/proc/self/fd", O_PATH)  # the process may see no /proc
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
    """Close the descriptors that a child has of its parent, all but one: a child that is stuck for good must hold no lock."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, descriptor + 100)


def end_child(child: int, is_stuck: bool) -> int | None:
    """Wait for a child that ends by itself and return its status; kill one that is stuck, and leave it if it can't die."""
    if is_stuck:
        os.kill(child, 9)
        os.waitpid(child, os.WNOHANG)
        return None
    return os.waitpid(child, 0)[1]


def _copy(place: int, descriptors: int, most_bytes: int, offset: int, inlet: int) -> None:
    """Copy a part of a file to a pipe. Raises OSError for what is no regular file, which is never opened for reading."""
    size = os.fstat(place).st_size
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise OSError("no regular file")
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
