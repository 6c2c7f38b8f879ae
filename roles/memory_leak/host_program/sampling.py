"""The workload watched for a while: its memory, processor time and requests, by this host's monotonic clock."""

from __future__ import annotations

import os
import stat
import time

from host_program import processes
from host_program.observation import memory

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

MOST_SAMPLES = 120
SHORTEST_INTERVAL_S = 0.5
RATE_WORD = "requests_per_second="
MOST_LOG_BYTES = 1 << 20
LAST_LINES_BYTES = 500
REQUESTS_PER_SECOND = 10  # the workload's own
START_S = 15  # until it serves, on a busy computer and with a buffer to set up
MOST_WAIT_S = 60


def observe(pid: int, seconds: float) -> Record:
    """Watch a process and return `samples`, `request_rates` and `ended`; the controller says what they show.

    A sample is a list: seconds since the first one, RSS in bytes, available memory in bytes, processor seconds used.
    `request_rates` are the requests per second that the service logged meanwhile, one value for each of its intervals.
    """
    interval_s = max(SHORTEST_INTERVAL_S, seconds / MOST_SAMPLES)
    log_bytes = _log_size(pid)
    began = time.monotonic()
    samples: list[list[float]] = []
    first = sample = _sample(pid)
    while sample and first and sample[0] == first[0]:
        now_s = time.monotonic() - began
        samples.append([round(now_s, 3), *sample[1:]])
        if now_s - samples[0][0] >= seconds:
            break
        time.sleep(max(0, min(len(samples) * interval_s, seconds + samples[0][0]) - (time.monotonic() - began)))
        sample = _sample(pid)
    ended = not (first and sample and sample[0] == first[0])
    return {"samples": samples, "request_rates": _request_rates(pid, log_bytes), "ended": ended}


def warm_up_s(pid: int) -> float:
    """Return how long after its start a process has settled: it serves requests, and its cache is full if that is bounded."""
    open_after_s, max_sessions = (int(processes.option(pid, name) or 0) for name in ("--open-after", "--max-sessions"))
    return open_after_s + (max_sessions / REQUESTS_PER_SECOND + START_S if max_sessions else 0)


def last_request_rate(pid: int) -> float | None:
    """Return the request rate that a process logged last, or None."""
    rates = _request_rates(pid, max(0, _log_size(pid) - LAST_LINES_BYTES))
    return rates[-1] if rates else None


def _sample(pid: int) -> tuple[int, int, int, float] | None:
    """Return a process's start in ticks, its RSS, the memory available and its processor seconds; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    rss_bytes = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return int(fields[19]), rss_bytes, memory()["MemAvailable"], (int(fields[11]) + int(fields[12])) / ticks


def _log_size(pid: int) -> int:
    """Return how much a process has logged so far, 0 if its stdout is no file."""
    try:
        return os.stat(f"/proc/{pid}/fd/1").st_size
    except OSError:
        return 0


def _request_rates(pid: int, offset: int) -> list[float]:
    """Return the request rates that a process logged after this offset of its stdout, wherever that file is now."""
    try:
        # Not blocking: should it be a pipe, opening it must not hold us up.
        descriptor = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        words = os.pread(descriptor, MOST_LOG_BYTES, offset).decode(errors="replace").split()
    finally:
        os.close(descriptor)
    rates = []
    for word in words:
        if word.startswith(RATE_WORD):
            try:
                rates.append(float(word[len(RATE_WORD) :]))
            except ValueError:
                continue
    return rates
