"""Write the machine-readable results of a run: status.json, status.csv, and the ground truth, one line per host and event.

status.json is a contract.StatusReport, which docs/status.schema.json describes.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

from ..contract import VARIANTS, GroundTruthLine, Record, StatusReport, Variant
from ..escaping import cell, printable_values
from ..schema import fields

LONGEST_NAME = 150  # of a file named after a host
BLOCK_BYTES = 1 << 16
INTERVAL = "rate_ci95_mib_per_min"


class NotPrivateError(OSError):
    """Others can access the directory for the answer key, or a file in it."""


class RecordedSetup(NamedTuple):
    """What the last setup or reset of a host recorded."""

    variant: Variant
    target_rate_mib_per_min: float | None


def recorded_setup(directory: Path, host: str) -> RecordedSetup | None:
    """Return what the last setup or reset of a host recorded, or None if there was none since the last cleanup.

    An operation that was refused or failed did not change the host, so it does not count.
    """
    for text in _lines_backwards(directory / file_name(host)):
        if b'"event": "observation"' in text:
            continue
        try:
            line = json.loads(text)
            event, variant, outcome = line["event"], line["variant"], line["outcome"]
            rate = line.get("target_rate_mib_per_min")
        except (ValueError, TypeError, KeyError, RecursionError):  # a torn line
            continue
        if event in ("setup", "reset", "cleanup") and outcome not in ("failed", "refused"):
            if event == "cleanup" or variant not in VARIANTS:
                return None
            return RecordedSetup(variant, rate if isinstance(rate, float) else None)
    return None


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, last first; none if the file does not exist."""
    try:
        descriptor = _open_own(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return
    with os.fdopen(descriptor, "rb") as file:
        place, rest = file.seek(0, os.SEEK_END), b""
        while place > 0:
            size = min(BLOCK_BYTES, place)
            place -= size
            rest, *lines = (os.pread(descriptor, size, place) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _open_own(path: Path, flags: int) -> int:
    """Open a regular file of the operator and return its descriptor. Raises OSError for any other file, without blocking."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in _operators() or status.st_mode & 0o022:
        os.close(descriptor)
        raise NotPrivateError(
            f"{path} must be a regular file that is yours and only you can write: use chown or chmod, or another directory"
        )
    return descriptor


def _operators() -> set[int]:
    """Return the UIDs whose files count as the operator's: this user, root, and the user who called sudo."""
    caller = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return {0, os.geteuid(), *([int(caller)] if caller.isdecimal() else [])}


def file_name(host: str) -> str:
    """Return the name of a host's ground truth file, escaped and shortened if the host name is not a valid file name."""
    name = quote(host, safe="")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(host.encode(errors='surrogatepass')).hexdigest()[:16]}"
    return f"{name}.jsonl"


def base_directory(role: Path) -> Path:
    """Return the base of relative report paths: the project's root in a checkout, else the current directory."""
    project = role.parent.parent
    return project if (project / "setup.yml").exists() and "ansible_collections" not in project.parts else Path.cwd()


def write(directory: Path, operation: str, hosts: list[Record], now: datetime) -> StatusReport:
    """Write status.json and status.csv, and return the contents of status.json."""
    make_directory(directory)
    status = {"generated_at": now.isoformat(timespec="seconds"), "operation": operation, "hosts": hosts}
    replace(directory / "status.json", json.dumps(status, indent=1, allow_nan=False) + "\n")
    replace(directory / "status.csv", _csv(hosts))
    return cast(StatusReport, status)


def _csv(hosts: list[Record]) -> str:
    """Return the records as CSV with a header: the interval in two columns, no samples."""
    columns = [name for name in fields(Record) if name not in ("samples", INTERVAL)]
    place = columns.index("rate_mib_per_min") + 1
    columns[place:place] = ["rate_ci95_low_mib_per_min", "rate_ci95_high_mib_per_min"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    for host in hosts:
        low, high = host["rate_ci95_mib_per_min"] or (None, None)
        row = {**host, "rate_ci95_low_mib_per_min": low, "rate_ci95_high_mib_per_min": high}
        writer.writerow({name: cell(printable_values(value)) for name, value in row.items()})
    return text.getvalue()


def replace(path: Path, text: str, private: bool = False) -> None:
    """Write a file atomically; only its owner can read a `private` one."""
    options = {"dir": path.parent, "prefix": f".{path.name}.", "delete": False, "encoding": "utf-8"}
    with tempfile.NamedTemporaryFile("w", **options) as file:  # type: ignore[call-overload]
        try:
            file.write(text)
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                os.fchmod(file.fileno(), 0o666 & ~mask)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def make_directory(directory: Path) -> None:
    """Create a directory. Raises OSError, also if its path contains another user's symlink, as is possible in /tmp."""
    for way in (directory, *directory.parents):
        if way.is_symlink() and way.lstat().st_uid not in _operators():
            raise PermissionError(f"{way} is a symlink of user {way.lstat().st_uid}: choose another directory")
    directory.mkdir(parents=True, exist_ok=True)


def append_ground_truth(directory: Path, event: str, record: Record, arrived: datetime) -> None:
    """Append the known state of a host after an event to HOST.jsonl, in a directory that only its owner can read.

    `arrived` is when the host's answer arrived, taken as the time of its last sample.
    """
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    make_directory(directory)
    status = directory.stat()
    if status.st_uid not in _operators():
        raise NotPrivateError(
            f"memory_leak_ground_truth_dir {directory} belongs to user {status.st_uid}: it holds the answer key, so it must be "
            "yours. Choose another directory"
        )
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise NotPrivateError(
            f"memory_leak_ground_truth_dir {directory} has mode {mode:04o}: it holds the answer key, so others must not have "
            f"access. chmod 0700 {directory}, or choose another directory"
        )
    arrived_s = arrived.timestamp()
    taken = record["samples"]
    samples = [[round(arrived_s - taken[-1][0] + seconds, 3), rss] for seconds, rss, _available in taken]
    if not samples and record["rss_bytes"]:
        samples = [[round(arrived_s, 3), record["rss_bytes"]]]
    known = {name: record.get(name) for name in fields(GroundTruthLine)}
    line = known | {"time": arrived.isoformat(timespec="milliseconds"), "event": event, "samples": samples}
    path = directory / file_name(record["host"])
    text = json.dumps(line, allow_nan=False).encode() + b"\n"
    descriptor = _open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    with os.fdopen(descriptor, "r+b") as file:
        # Append whole lines only, despite concurrent writers and the torn line of a killed one.
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        is_torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        file.write(b"\n" + text if is_torn else text)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
