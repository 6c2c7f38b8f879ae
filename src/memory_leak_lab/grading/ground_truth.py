"""The ground truth of a host: what setup, reset, observations and cleanup recorded on the controller."""

from __future__ import annotations

import json
import math
from bisect import bisect
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from memory_leak_controller.contract import OUTCOMES, GroundTruthLine
from memory_leak_controller.report import records
from memory_leak_controller.schema import misfit

MIB = 1024**2
PYTHON_MIB = 10
FILE_PAGES_MIB = 16  # shared file pages: part of RSS, but not counted by the ceiling
LEAKER = "leaker"
DAY_S = 86400
MOST_DAYS = 12  # the longest expiry is 7
NOT_DONE = ("failed", "refused")


@dataclass(frozen=True)
class Run:
    """One run of the leaker on a host: PID, command, start (Unix time), rate, ceiling and samples."""

    pid: int
    command: str
    began: float
    target_rate_mib_per_min: float
    ceiling_bytes: int | None
    samples: tuple[tuple[float, int], ...]  # Unix time in seconds, RSS in bytes; sorted

    def rss_mib(self, at: float) -> float | None:
        """Return the RSS in MiB at a Unix time, interpolated or extrapolated by the rate; None if it was not running."""
        if at < self.began - 1 or not self.samples:
            return None
        place = bisect(self.samples, (at, math.inf))
        if 0 < place < len(self.samples):
            (earlier, low), (later, high) = self.samples[place - 1], self.samples[place]
            share = (at - earlier) / (later - earlier) if later > earlier else 0.0
            return (low + share * (high - low)) / MIB
        time, rss = self.samples[0] if place == 0 else self.samples[-1]
        size = rss / MIB + (at - time) / 60 * self.target_rate_mib_per_min
        if place == 0:  # just after its start it has the size of a bare Python
            size = max(size, min(rss / MIB, PYTHON_MIB))
        most = self.ceiling_bytes / MIB + FILE_PAGES_MIB if self.ceiling_bytes else math.inf
        return size if size <= most else None


@dataclass(frozen=True)
class Repair:
    """Effect of a fix in the last observation: `durable`, `temporary` or `none`; the host's outcome, and time (ISO 8601)."""

    effect: str
    outcome: str
    time: str


@dataclass(frozen=True)
class GroundTruth:
    """All runs of the leaker on a host in order, the host's variant, and the effect of a fix, if observed."""

    host: str
    variant: str
    runs: tuple[Run, ...]
    repair: Repair | None = None

    @property
    def pids(self) -> set[int]:
        """Return every PID that the leaker had."""
        return {run.pid for run in self.runs}

    def rss_mib_at(self, second_of_day: float, offset_s: float = 0) -> list[tuple[float, float, float]]:
        """Return Unix time, RSS (MiB) and rate for each run in which a clock `offset_s` ahead of UTC showed a time of day."""
        found = []
        for run in self.runs:
            first_day = int(run.began // DAY_S) - 1
            last_day = int((run.samples[-1][0] if run.samples else run.began) // DAY_S) + 2
            for day in range(max(first_day, last_day - MOST_DAYS), last_day + 1):
                at = day * DAY_S + second_of_day - offset_s
                size = run.rss_mib(at)
                if size is not None:
                    found.append((at, size, run.target_rate_mib_per_min))
        return found


def load(directory: Path, problems: list[str] | None = None) -> dict[str, GroundTruth]:
    """Return the ground truth of each host that has a HOST.jsonl in a directory.

    An invalid line is skipped, and a message with file, line and field is appended to `problems`. Raises ValueError instead if
    `problems` is None.
    """
    found = [_load(path, problems) for path in sorted(directory.glob("*.jsonl"))]
    return {truth.host: truth for truth in found}


def _load(path: Path, problems: list[str] | None) -> GroundTruth:
    lines = []
    for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            lines.append(_line(path, number, text))
        except ValueError as error:
            if problems is None:
                raise
            problems.append(str(error))
    runs: dict[tuple[int, str], list[GroundTruthLine]] = {}
    for line in lines:
        if line["pid"] is not None:
            runs.setdefault((line["pid"], str(line["started_at"])), []).append(line)
    variant = _variant(lines)
    return GroundTruth(
        host=_host(path, lines),
        variant=variant,
        # On a leaking host, a run that was measured as flat is the service after a fix.
        runs=tuple(
            _run(pid, started_at, records)
            for (pid, started_at), records in runs.items()
            if variant != LEAKER or all(OUTCOMES[record["outcome"]].repair != "durable" for record in records)
        ),
        repair=_repair(lines) if variant == LEAKER else None,
    )


def _line(path: Path, number: int, text: str) -> GroundTruthLine:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}, is truncated or not JSON: {error}") from error
    complaint = misfit(found, GroundTruthLine)
    if complaint:
        raise ValueError(f"{path}, line {number}: {complaint}")
    try:
        datetime.fromisoformat(found["started_at"] or found["time"])
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: started_at is {found['started_at']!r}: {error}") from error
    return cast(GroundTruthLine, found)


def _variant(lines: list[GroundTruthLine]) -> str:
    """Return the variant from the last successful setup or reset, else from the last line with a variant, else leaker.

    A line has no variant if its run knew of no setup, as after a cleanup or on another controller.
    """
    named = [line for line in lines if line["variant"]]
    decided = [line for line in named if line["event"] in ("setup", "reset") and line["outcome"] not in NOT_DONE]
    return str((decided or named)[-1]["variant"]) if named else LEAKER


def _host(path: Path, lines: list[GroundTruthLine]) -> str:
    """Return the host that a file is about: the one in its lines, unless the file is named after another, as a copy may be."""
    named = lines[-1]["host"] if lines else ""
    return named if records.file_name(named) == path.name else unquote(path.stem)


def _repair(lines: list[GroundTruthLine]) -> Repair | None:
    """Return the effect of a fix from the last line, or None if it is not an observation or measured nothing."""
    started = [line for line in lines if line["event"] in ("setup", "reset") and line["outcome"] not in NOT_DONE]
    if not started or lines[-1]["event"] != "observation":
        return None
    last = lines[-1]
    effect = OUTCOMES[last["outcome"]].repair
    if effect == "restarted":
        effect = "none" if last["pid"] == started[-1]["pid"] else "temporary"
    return Repair(effect, last["outcome"], last["time"]) if effect else None


def _run(pid: int, started_at: str, records: list[GroundTruthLine]) -> Run:
    samples = sorted({(float(time), int(rss)) for record in records for time, rss in record["samples"]})
    last = records[-1]
    return Run(
        pid=pid,
        command=str(last["command"] or ""),
        began=datetime.fromisoformat(started_at).timestamp(),
        target_rate_mib_per_min=float(last["target_rate_mib_per_min"] or 0),
        ceiling_bytes=last["ceiling_bytes"],
        samples=tuple(samples),
    )
