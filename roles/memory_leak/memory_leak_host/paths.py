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
# What mktemp makes of a path whose file is being written.
TEMPORARY_SUFFIX = ".new-XXXXXXXX"


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


def untrusted_directory(path: str) -> str | None:
    """Return why others than root could redirect what we write or remove at a path, or None.

    They could if a directory on the way belongs to them, or if they may rename what lies in it. In a directory like /tmp,
    where each may only rename what is his own, what belongs to root stays where it is.
    """
    directory = os.path.dirname(path)
    for above in dict.fromkeys([*parents(directory), *parents(os.path.realpath(directory))]):
        try:
            status = os.lstat(above)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if status.st_uid != 0:
            return f"{above} does not belong to root: its owner could lead what is done at {path} elsewhere"
        if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return f"anyone can write to {above}, and so lead what is done at {path} elsewhere"
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


def removable_directories(directory: str, emptied: list[str]) -> list[str]:
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


def half_written(path: str) -> list[str]:
    """Return the temporary files (named path + TEMPORARY_SUFFIX) that a service killed while it wrote this file has left."""
    directory, name = os.path.split(path)
    prefix = name + TEMPORARY_SUFFIX.rstrip("X")
    try:
        found = [sibling for sibling in os.listdir(directory) if sibling.startswith(prefix)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    files = [os.path.join(directory, sibling) for sibling in found if len(sibling) == len(name + TEMPORARY_SUFFIX)]
    return [file for file in files if is_plain_file(file) and os.lstat(file).st_uid == 0]


def is_plain_file(path: str) -> bool:
    """Tell whether a regular file, not a link to one, lies at a path."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def content(path: str, most_bytes: int) -> bytes | None:
    """Return the end of what a plain file holds, `most_bytes` of it at most, or None if there is none.

    Anything else at the path is not read, and can't hold us up (a pipe would, opened in the usual way).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(max(0, status.st_size - most_bytes))
            return file.read(most_bytes)
    finally:
        os.close(descriptor)


def is_present(path: str) -> bool:
    """Tell whether anything but a directory lies at a path."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
