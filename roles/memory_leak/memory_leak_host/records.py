"""Start records: the paths that setup uses, kept on the host until cleanup, so that cleanup misses nothing.

One file per unit, in a directory that only root can read. It survives a reboot, an edited unit file and changed variables. On
the host it reads like the manifest of an installed service.
"""

from __future__ import annotations

import os
import stat

from memory_leak_host import paths

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from memory_leak_controller.contract import InstallLocation

DIRECTORY = "/var/lib/session-cache"
UNFINISHED = ".new"
KEYS = ("unit", "directory", "file_name", "log_file", "pid_file")
MOST_BYTES = 4096


def path(unit: str) -> str:
    """Return the path of a unit's record."""
    return os.path.join(DIRECTORY, unit.removesuffix(".service"))


def write(unit: str, location: InstallLocation) -> None:
    """Write a unit's record atomically."""
    unfinished = path(unit) + UNFINISHED
    paths.create(unfinished, content(location), 0o600)
    os.rename(unfinished, path(unit))


def files() -> list[str]:
    """Return the records on this host, and the leftovers of interrupted writes."""
    if not _is_roots_alone():
        return []
    recorded = found()
    names = (os.path.join(DIRECTORY, name) for name in sorted(os.listdir(DIRECTORY)))
    return [path for path in names if path in recorded or path.endswith(UNFINISHED)]


def _is_roots_alone() -> bool:
    """Return whether only root can write to the directory. Otherwise the records could be anyone's."""
    try:
        status = os.lstat(DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022


def content(location: InstallLocation) -> bytes:
    """Return the content of the record of a location."""
    values = dict(location)
    return "".join(f"{key}={values[key]}\n" for key in KEYS).encode()


def found() -> dict[str, InstallLocation]:
    """Return the locations in this host's records, by the path of the record."""
    locations: dict[str, InstallLocation] = {}
    for name in sorted(os.listdir(DIRECTORY)) if _is_roots_alone() else []:
        record = os.path.join(DIRECTORY, name)
        lines = os.fsdecode(paths.content(record, MOST_BYTES) or b"").splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        if set(values) == set(KEYS) and record == path(values["unit"]):
            locations[record] = values  # type: ignore[assignment]
    return locations
