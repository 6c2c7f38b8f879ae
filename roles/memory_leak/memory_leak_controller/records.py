"""The machine-readable results of a run: status.json, status.csv, and the ground truth, one line per host and event.

status.json holds `generated_at` (ISO 8601, UTC), `playbook` and `hosts`, a list of records with the keys of FIELDS;
docs/status.schema.json describes it. A field that was not measured, or that no host can have now, is null.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

FIELDS = (
    "host",
    "state",
    "pid",
    "unit",
    "rss_bytes",
    "rate_mib_per_min",
    "rate_ci95_mib_per_min",
    "r_squared",
    "cpu_percent",
    "requests_per_s",
    "uptime_s",
    "ceiling_bytes",
    "oom_in_s",
    "mem_available_bytes",
    "samples",
    "reason",
)
Record = dict[str, Any]


def record(host: str, outcome: str, result: dict[str, Any]) -> Record:
    """Return the record of a host, from its outcome and what the role's action returned, if anything."""
    values = {name: result.get(name) for name in FIELDS}
    return values | {
        "promised_mib_per_min": result.get("promised_mib_per_min"),
        "host": host,
        "state": outcome,
        "samples": result.get("samples") or [],
        "reason": str(result.get("msg") or "").strip(),
    }


def write(directory: Path, playbook: str, hosts: list[Record], now: datetime) -> dict[str, Any]:
    """Write status.json and status.csv, and return the contents of the first."""
    directory.mkdir(parents=True, exist_ok=True)
    status = {"generated_at": now.isoformat(timespec="seconds"), "playbook": playbook, "hosts": hosts}
    replace(directory / "status.json", json.dumps(status, indent=1) + "\n")
    replace(directory / "status.csv", _csv(hosts))
    return status


def _csv(hosts: list[Record]) -> str:
    """Return the records as CSV with a heading: the interval in two columns, no samples."""
    columns = [name for name in FIELDS if name not in ("samples", "rate_ci95_mib_per_min")]
    place = columns.index("rate_mib_per_min") + 1
    columns[place:place] = ["rate_ci95_low_mib_per_min", "rate_ci95_high_mib_per_min"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    for host in hosts:
        low, high = host["rate_ci95_mib_per_min"] or (None, None)
        writer.writerow(host | {"rate_ci95_low_mib_per_min": low, "rate_ci95_high_mib_per_min": high})
    return text.getvalue()


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, so that a reader beside us never sees half of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    mask = os.umask(0)
    os.umask(mask)
    Path(file.name).chmod(0o666 & ~mask)
    Path(file.name).replace(path)


def append_ground_truth(
    directory: Path, event: str, host: str, outcome: str, result: dict[str, Any], now: datetime
) -> None:
    """Append what is known of a host after an event to HOST.jsonl, in a directory that only its owner reads."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    taken = result.get("samples") or []
    samples = [[round(now.timestamp() - taken[-1][0] + seconds, 3), rss] for seconds, rss, _available in taken]
    if not samples and result.get("rss_bytes"):
        samples = [[round(now.timestamp(), 3), result["rss_bytes"]]]
    line = {
        "time": now.isoformat(timespec="milliseconds"),
        "event": event,
        "host": host,
        "role": result["part"],
        "state": outcome,
        "pid": result.get("pid"),
        "command": result.get("command"),
        "started_at": result.get("started_at"),
        "rate_mib_per_min": result.get("promised_mib_per_min"),
        "ceiling_bytes": result.get("ceiling_bytes"),
        "samples": samples,
    }
    descriptor = os.open(directory / f"{quote(host, safe='')}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(json.dumps(line) + "\n")


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
