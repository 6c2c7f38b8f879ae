"""The machine-readable results of a run: status.json, status.csv, and the ground truth, one line per host and event.

status.json is a contract.StatusReport, which docs/status.schema.json describes.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import quote

from ..contract import GroundTruthLine, Record, StatusReport
from ..schema import fields

INTERVAL = "rate_ci95_mib_per_min"


def base_directory(role: Path) -> Path:
    """Return where relative report paths start: the project's root in a checkout, else the current directory."""
    project = role.parent.parent
    return project if (project / "setup.yml").exists() and "ansible_collections" not in project.parts else Path.cwd()


def write(directory: Path, operation: str, hosts: list[Record], now: datetime) -> StatusReport:
    """Write status.json and status.csv, and return the contents of the first."""
    directory.mkdir(parents=True, exist_ok=True)
    status = {"generated_at": now.isoformat(timespec="seconds"), "operation": operation, "hosts": hosts}
    replace(directory / "status.json", json.dumps(status, indent=1) + "\n")
    replace(directory / "status.csv", _csv(hosts))
    return cast(StatusReport, status)


def _csv(hosts: list[Record]) -> str:
    """Return the records as CSV with a heading: the interval in two columns, no samples."""
    columns = [name for name in fields(Record) if name not in ("samples", INTERVAL)]
    place = columns.index("rate_mib_per_min") + 1
    columns[place:place] = ["rate_ci95_low_mib_per_min", "rate_ci95_high_mib_per_min"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    for host in hosts:
        low, high = host["rate_ci95_mib_per_min"] or (None, None)
        writer.writerow({**host, "rate_ci95_low_mib_per_min": low, "rate_ci95_high_mib_per_min": high})
    return text.getvalue()


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, so that a reader beside us never sees half of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    mask = os.umask(0)
    os.umask(mask)
    Path(file.name).chmod(0o666 & ~mask)
    Path(file.name).replace(path)


def append_ground_truth(directory: Path, event: str, record: Record, arrived: datetime) -> None:
    """Append what is known of a host after an event to HOST.jsonl, in a directory that only its owner reads.

    `arrived`: when the host's answer arrived, which is when its last sample was taken.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    arrived_s = arrived.timestamp()
    taken = record["samples"]
    samples = [[round(arrived_s - taken[-1][0] + seconds, 3), rss] for seconds, rss, _available in taken]
    if not samples and record["rss_bytes"]:
        samples = [[round(arrived_s, 3), record["rss_bytes"]]]
    known = {name: record.get(name) for name in fields(GroundTruthLine)}
    line = known | {"time": arrived.isoformat(timespec="milliseconds"), "event": event, "samples": samples}
    name = f"{quote(record['host'], safe='')}.jsonl"
    descriptor = os.open(directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(json.dumps(line) + "\n")


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
