"""Files and directories on the host: obstacles in the way, safe writes, and removal that leaves other people's things."""

from __future__ import annotations

import os
import stat

# Directories that stay although they are empty, whoever made them: the standard ones of a Linux system.
STANDARD_DIRECTORIES = frozenset(
    """
    / /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /var
    /usr/bin /usr/lib /usr/libexec /usr/local /usr/sbin /usr/share /usr/src
    /usr/local/bin /usr/local/etc /usr/local/lib /usr/local/libexec /usr/local/sbin /usr/local/share /usr/local/src
    /var/cache /var/lib /var/local /var/log /var/opt /var/spool /var/tmp
    """.split()
)


def parents(path: str) -> list[str]:
    """Return a path and the directories above it, innermost first, without the root."""
    found = []
    while path != "/":
        found.append(path)
        path = os.path.dirname(path)
    return found


def obstacle(workload: str, replaceable: list[str]) -> str | None:
    """Return why the files can't be put in place, or None.

    Whatever lies at a replaceable path (the log, the PID file) is replaced, except for a directory.
    """
    for path in [workload, *replaceable]:
        if os.path.isdir(path) and not os.path.islink(path):
            return f"a directory is in the way at {path}"
        for above in parents(os.path.dirname(path)):
            if os.path.lexists(above) and not os.path.isdir(above):
                return f"{above} is not a directory"
    for path in replaceable:
        if not os.path.isdir(os.path.dirname(path)):
            return f"{os.path.dirname(path)} does not exist"
    return None


def shortage(directory: str, needed_bytes: int) -> str | None:
    """Return why a file of this size can't be written in (or below) a directory, or None."""
    existing = next((path for path in parents(directory) if os.path.isdir(path)), "/")
    room = os.statvfs(existing)
    if room.f_bfree * room.f_frsize < needed_bytes or (room.f_files and not room.f_ffree):
        return f"the disk is full at {existing}"
    if room.f_flag & os.ST_RDONLY:
        return f"the file system is read-only at {existing}"
    return None


def create(path: str, content: bytes = b"") -> None:
    """Create a file, world-readable whatever the umask is, in place of what lies there, never following a link."""
    remove(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o644)
        file.write(content)


def create_directories(directory: str) -> None:
    """Create a directory and those above it that are missing, searchable by all whatever the umask is."""
    for path in reversed(parents(directory)):
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chmod(path, 0o755)


def remove(path: str) -> None:
    """Remove a file, or a link without following it, if there is one."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        pass


def removable_directories(directory: str, emptied: set[str]) -> list[str]:
    """Return the directory and those above it that are empty once `emptied` is gone, innermost first.

    Standard directories of the system stay, and so do those that do not belong to root.
    """
    gone = set(emptied)
    found = []
    for path in parents(directory):
        if path in STANDARD_DIRECTORIES or os.path.islink(path) or os.path.ismount(path):
            break
        try:
            status = os.stat(path)
            others = {os.path.join(path, name) for name in os.listdir(path)} - gone
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            break
        if others or status.st_uid != 0:
            break
        found.append(path)
        gone.add(path)
    return found


def is_plain_file(path: str) -> bool:
    """Tell whether a regular file, not a link to one, lies at a path."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def content(path: str) -> bytes | None:
    """Return what a plain file holds, or None if there is none. Anything else at the path (a pipe, say) is not opened."""
    if not is_plain_file(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def is_present(path: str) -> bool:
    """Tell whether anything but a directory lies at a path."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
