"""Files and directories on the host: detect obstacles, write safely, and remove without touching other people's files.

Every file to write or remove is reached through file descriptors of its parent directories (see trust.Directory).
"""

from __future__ import annotations

import os
import stat

from memory_leak_host import trust

# The standard directories of a Linux system: kept even if they are empty, whoever created them.
STANDARD_DIRECTORIES = frozenset(
    """
    / /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /var
    /usr/bin /usr/lib /usr/libexec /usr/local /usr/sbin /usr/share /usr/src
    /usr/local/bin /usr/local/etc /usr/local/lib /usr/local/libexec /usr/local/sbin /usr/local/share /usr/local/src
    /var/cache /var/lib /var/local /var/log /var/opt /var/spool /var/tmp
    """.split()
)
# The mktemp suffix of a file that is being written.
TEMPORARY_SUFFIX = ".new-XXXXXXXX"


def parents(path: str) -> list[str]:
    """Return a path and its parents, innermost first, without /."""
    found = []
    while path != "/":
        found.append(path)
        path = os.path.dirname(path)
    return found


def obstacle(workload: str, replaceable: list[str]) -> str | None:
    """Return why the files can't be created, or None."""
    for path in [workload, *replaceable]:
        if is_directory(path):
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


def create(path: str, content: bytes = b"", mode: int = 0o644) -> None:
    """Create a file with this mode, whatever the umask. Replaces an existing file and never follows a symlink."""
    remove(path)
    with trust.Directory(os.path.dirname(path)) as parent:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(os.path.basename(path), flags, mode, dir_fd=parent)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)


def create_directories(directory: str, mode: int = 0o755) -> None:
    """Create a directory with this mode, and its missing parents with mode 0755, whatever the umask."""
    mask = os.umask(0)  # each has its mode from the start, even if this run is killed
    try:
        for path in reversed(parents(directory)):
            if not os.path.isdir(path):
                with trust.Directory(os.path.dirname(path)) as parent:
                    os.mkdir(os.path.basename(path), mode if path == directory else 0o755, dir_fd=parent)
    finally:
        os.umask(mask)


def remove(path: str) -> None:
    """Remove a file if it exists. A symlink is removed, not followed."""
    try:
        with trust.Directory(os.path.dirname(path)) as parent:
            os.unlink(os.path.basename(path), dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        pass


def remove_directory(path: str) -> None:
    """Remove an empty directory."""
    with trust.Directory(os.path.dirname(path)) as parent:
        os.rmdir(os.path.basename(path), dir_fd=parent)


def removable_directories(directory: str, emptied: list[str]) -> list[str]:
    """Return the directory and its parents that are empty once `emptied` is removed, innermost first.

    Standard directories, symlinks, mount points and directories that root does not own are kept.
    """
    gone = set(emptied)
    found: list[str] = []
    for path in parents(directory):
        if path in STANDARD_DIRECTORIES or os.path.islink(path):
            break
        try:
            status = os.stat(path)
            others = {os.path.join(path, name) for name in os.listdir(path)} - gone
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            break
        if others or status.st_uid != 0 or os.path.realpath(path) in trust.mount_points():
            break
        found.append(path)
        gone.add(path)
    return found


def half_written(path: str) -> list[str]:
    """Return the temporary files (path + TEMPORARY_SUFFIX) of a service that was killed while writing this file."""
    directory, name = os.path.split(path)
    prefix = name + TEMPORARY_SUFFIX.rstrip("X")
    try:
        found = [sibling for sibling in os.listdir(directory) if sibling.startswith(prefix)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    files = [os.path.join(directory, sibling) for sibling in found if len(sibling) == len(name + TEMPORARY_SUFFIX)]
    return [file for file in files if is_plain_file(file) and os.lstat(file).st_uid == 0]


def is_plain_file(path: str) -> bool:
    """Return whether a path is a regular file, not a symlink to one."""
    return stat.S_ISREG(_mode(path))


def is_directory(path: str) -> bool:
    """Return whether a path is a directory, not a symlink to one."""
    return stat.S_ISDIR(_mode(path))


def is_present(path: str) -> bool:
    """Return whether a path exists and is not a directory."""
    mode = _mode(path)
    return bool(mode) and not stat.S_ISDIR(mode)


def _mode(path: str) -> int:
    """Return the mode of a path, 0 if it does not exist."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:  # in a file system that a user mounted
        return stat.S_IFSOCK


def content(path: str, most_bytes: int, from_end: bool = True) -> bytes | None:
    """Read the end (or the beginning) of a regular file, `most_bytes` at most. Return None if there is none.

    Anything else at the path is not read and can't block this run, as opening a FIFO in the usual way would.
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
            if from_end:
                file.seek(max(0, status.st_size - most_bytes))
            return file.read(most_bytes)
    finally:
        os.close(descriptor)
