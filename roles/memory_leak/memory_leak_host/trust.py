"""Detect users other than root who could redirect a write or removal at a path, and what prevents a removal."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from types import TracebackType

# The shells of accounts without login.
NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt")
FIRST_GROUP_OF_USERS = 1000  # lower GIDs are those of the system
MOST_LINKS = 40
ACCESS_LIST = "system.posix_acl_access"
# ioctl_iflags(2), the same on all 64-bit architectures; 32-bit ones have another size in the number.
GET_FLAGS = 0x80086601
IMMUTABLE, APPEND_ONLY = 0x10, 0x20


class Untrusted(OSError):
    """Another user could redirect the path; the message says who."""


class Directory:
    """Open a directory component by component from /, and check each of them. A context manager for its file descriptor.

    Follows only root's symlinks, also component by component. Raises Untrusted if another user could redirect the path.
    """

    def __init__(self, path: str):
        self._descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        way, names, links = "/", path.split("/")[::-1], 0
        try:
            while names:
                name = names.pop()
                if name in ("", "."):
                    continue
                status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if status.st_uid != 0 or links > MOST_LINKS:
                        raise Untrusted(f"{os.path.join(way, name)} is a symlink of user {status.st_uid}: not followed")
                    target = os.readlink(name, dir_fd=self._descriptor)
                    names += target.split("/")[::-1]
                    if target.startswith("/"):
                        way = self._step("/", "/")
                else:
                    way = self._step(os.path.normpath(os.path.join(way, name)), name)
                    problem = directory_problem(way, os.fstat(self._descriptor))
                    if problem:
                        raise Untrusted(f"{problem}: a local user could redirect {path}")
        except OSError:
            os.close(self._descriptor)
            raise

    def _step(self, way: str, name: str) -> str:
        """Replace the descriptor by that of a directory in the current one, and return its path."""
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._descriptor)
        os.close(self._descriptor)
        self._descriptor = inner
        return way

    def __enter__(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


def path_problem(path: str) -> str | None:
    """Return why users other than root could redirect a write or removal at a path, or None.

    Checks all parent directories that exist, and the symlinks among them.
    """
    directory = os.path.dirname(path)
    for way in dict.fromkeys([*_parents(directory), *_parents(os.path.realpath(directory))]):
        try:
            status = os.lstat(way)
        except (FileNotFoundError, NotADirectoryError):
            continue
        problem = directory_problem(way, status)
        if problem:
            return f"{problem}: a local user could redirect {path}"
    return None


def _parents(path: str) -> list[str]:
    found = []
    while path != "/":
        found.append(path)
        path = os.path.dirname(path)
    return found


def directory_problem(path: str, status: os.stat_result) -> str | None:
    """Return why users other than root may change the entries of a directory (or the target of a symlink), or None.

    In a sticky directory such as /tmp, users may only rename their own files, so root's stay in place.
    """
    if status.st_uid != 0:
        return f"{path} belongs to user {status.st_uid}, not to root"
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return None
    if status.st_mode & stat.S_IWOTH:
        return f"{path} is world-writable"
    if status.st_mode & stat.S_IWGRP:
        return _group_problem(path, status.st_gid)
    return None


def _group_problem(path: str, group: int) -> str | None:
    """Return who may write to a group-writable directory, or None if no login account can."""
    # With an access control list the group bits are only its mask.
    if ACCESS_LIST in os.listxattr(path):
        return f"{path} has an access control list that lets others write"
    if group >= FIRST_GROUP_OF_USERS:
        return f"{path} is writable by group {group}"
    import grp  # imported late: both are rarely needed
    import pwd

    try:
        name, members = grp.getgrgid(group).gr_name, set(grp.getgrgid(group).gr_mem)
    except KeyError:
        return f"{path} is writable by group {group}, which has no name"
    accounts = pwd.getpwall()
    # A directory service such as LDAP may not list its accounts.
    unknown = members - {account.pw_name for account in accounts}
    if unknown:
        return f"{path} is writable by group {name}, to which {min(unknown)} belongs"
    for account in accounts:
        is_member = account.pw_gid == group or account.pw_name in members
        if is_member and account.pw_uid != 0 and os.path.basename(account.pw_shell) not in NO_LOGIN:
            return f"{path} is writable by group {name}, to which {account.pw_name} belongs"
    return None


def is_sticky(directory: str) -> bool:
    """Return whether a directory is like /tmp: world-writable, but only owners may rename or remove their files."""
    try:
        mode = os.stat(directory).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)


def removal_problem(path: str) -> str | None:
    """Return why root can't remove or replace the file at a path, or None."""
    if path in mount_points():
        return f"{path} is a mount point"
    if not os.path.lexists(path):
        return None
    for part in (path, os.path.dirname(path)):
        if os.path.islink(part):
            continue
        if os.statvfs(part).f_flag & os.ST_RDONLY:
            return f"the file system is read-only at {part}"
        if _flags(part) & (IMMUTABLE | APPEND_ONLY):
            return f"{part} is immutable or append-only (lsattr shows it)"
    return None


def mount_points() -> set[str]:
    """Return the mount points. os.path.ismount misses bind mounts within a file system."""
    with open("/proc/self/mountinfo", "rb") as file:
        fields = (line.split(b" ")[4] for line in file)
        return {os.fsdecode(field.replace(b"\\040", b" ")) for field in fields}


def _flags(path: str) -> int:
    """Return the attribute flags of a file or directory, 0 if its file system has none."""
    import fcntl

    if not stat.S_ISREG(os.lstat(path).st_mode) and not stat.S_ISDIR(os.lstat(path).st_mode):
        return 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, GET_FLAGS, bytes(8))[:4], "little")
    except OSError:
        return 0
    finally:
        os.close(descriptor)
