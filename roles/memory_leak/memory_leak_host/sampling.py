"""Observe the workload's memory, CPU time and requests, timed by this host's monotonic clock."""

from __future__ import annotations

import os
import stat
import time

from memory_leak_host import owner_access, proc, processes, units
from memory_leak_host.workload_interface import (
    MAX_SESSIONS_OPTION,
    REQUEST_RATE_IN_LOG,
    REQUESTS_PER_SECOND,
    START_DELAY_OPTION,
)

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from memory_leak_controller.contract import Observation

MOST_SAMPLES = 120
SHORTEST_INTERVAL_S = 0.5
MOST_LOG_BYTES = 1 << 20
LAST_LINES_BYTES = 500
START_S = 15  # until it serves requests, on a busy host and with a buffer to fill
MOST_WAIT_S = 60


def observe(pid: int, seconds: float) -> Observation:
    """Observe a process and return `samples`, `request_rates` and `ended`; the controller interprets them.

    A sample is a list: seconds since the first one, RSS in bytes, available memory in bytes, CPU time in seconds.
    `request_rates` are the requests per second that the service logged in the meantime, one value per logging interval.
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
        # The next tick that is still to come: after a stall, missed samples are not made up for.
        tick = int(now_s / interval_s) + 1
        time.sleep(max(0, min(tick * interval_s, seconds + samples[0][0]) - (time.monotonic() - began)))
        sample = _sample(pid)
    ended = not (first and sample and sample[0] == first[0])
    return {"samples": samples, "request_rates": _request_rates(pid, log_bytes), "ended": ended}


def warm_up_s(pid: int) -> float:
    """Return the seconds from a process's start to its steady state: it serves requests, and a bounded cache is full."""
    start_delay_s, max_sessions = (
        processes.number_option(pid, name) or 0 for name in (START_DELAY_OPTION, MAX_SESSIONS_OPTION)
    )
    return start_delay_s + (max_sessions / REQUESTS_PER_SECOND + START_S if max_sessions else 0)


def last_request_rate(pid: int) -> float | None:
    """Return the last request rate that a process logged, or None."""
    rates = _request_rates(pid, max(0, _log_size(pid) - LAST_LINES_BYTES))
    return rates[-1] if rates else None


def _sample(pid: int) -> tuple[int, int, int, float] | None:
    """Return a process's start in ticks, RSS, the available memory and its CPU time; None if it has exited."""
    found = proc.statistics(pid)
    if found is None:
        return None
    return found.start_ticks, found.rss_bytes, proc.memory()["MemAvailable"], found.cpu_s


def _log_size(pid: int) -> int:
    """Return the size of a process's log, 0 if its stdout is not a regular file."""
    try:
        status = os.stat(f"/proc/{pid}/fd/1")
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _is_log_of_a_unit(pid: int) -> bool:
    """Return whether a process's stdout is the log of a managed unit, which systemd opened as root.

    The service itself may be unable to read it: systemd recreates a deleted log readable by its owner alone.
    """
    for definition in units.ours().values():
        try:
            if os.path.samestat(os.lstat(definition["log_file"]), os.stat(f"/proc/{pid}/fd/1")):
                return True
        except OSError:
            continue
    return False


def _request_rates(pid: int, offset: int) -> list[float]:
    """Return the request rates that a process logged after this offset of its stdout, wherever that file is now."""
    owner = owner_access.ROOT if _is_log_of_a_unit(pid) else owner_access.owner(pid)
    logged = owner_access.read(owner_access.stdout(pid), MOST_LOG_BYTES, owner, offset) if owner else None
    rates = []
    for word in (logged or b"").decode(errors="replace").split():
        if word.startswith(REQUEST_RATE_IN_LOG):
            try:
                rate = float(word[len(REQUEST_RATE_IN_LOG) :])
            except ValueError:
                continue
            if 0 <= rate < processes.LARGEST_OPTION:  # neither infinite nor NaN
                rates.append(rate)
    return rates
