"""Start records: what a setup puts where, kept on the host until a cleanup, so that nothing is forgotten.

One file for each unit, in a directory that only root reads. It outlives a reboot, an edited service file and other variables;
on the host it reads like the manifest of an installed service.
"""

from __future__ import annotations

import os

from memory_leak_host import paths

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from memory_leak_controller.contract import InstallLocation

DIRECTORY = "/var/lib/session-cache"
KEYS = ("unit", "directory", "file_name", "log_file", "pid_file")
MOST_BYTES = 4096


def path(unit: str) -> str:
    """Return the path of the record of a unit."""
    return os.path.join(DIRECTORY, unit.removesuffix(".service"))


def content(location: InstallLocation) -> bytes:
    """Return what a record says of a location."""
    values = dict(location)
    return "".join(f"{key}={values[key]}\n" for key in KEYS).encode()


def found() -> dict[str, InstallLocation]:
    """Return the locations that the records on this host name, by the path of the record."""
    locations: dict[str, InstallLocation] = {}
    try:
        status = os.lstat(DIRECTORY)
        names = os.listdir(DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return locations
    if status.st_uid != 0 or status.st_mode & 0o022:
        return locations  # not as we made it: anyone's word
    for name in sorted(names):
        record = os.path.join(DIRECTORY, name)
        lines = os.fsdecode(paths.content(record, MOST_BYTES) or b"").splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        if set(values) == set(KEYS) and record == path(values["unit"]):
            locations[record] = values  # type: ignore[assignment]
    return locations
