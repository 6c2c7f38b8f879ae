"""Analyses two snapshots of a host: which process leaks, if any, and which are only large or have settled.

A snapshot is the JSON object that host_snapshot.py prints. In the second one, `growing` lists the watched processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from memory_leak_controller import growth

KIB_PER_MIB = 1024
LEAST_RATE_MIB_PER_MIN = 0.1
LEAST_R_SQUARED = 0.98
# Final rate / overall rate. Below this the growth has settled: not a leak.
LEAST_SHARE_AT_THE_END = 0.5
# Allocators grow in steps of this size: smaller growth while watched cannot be told from growth that has settled.
STEP_MIB = 1.0
LARGE_MIB = 50  # processes from this size are reported even if they do not grow
Snapshot = dict[str, Any]


@dataclass(frozen=True)
class Process:
    """A process seen in both snapshots. Samples: Unix time, RSS and the host's available memory in MiB."""

    pid: int
    name: str
    samples: tuple[tuple[float, float, float], ...]
    rate_mib_per_min: float
    rate_ci95_mib_per_min: tuple[float, float]
    r_squared: float
    rate_at_the_end_mib_per_min: float
    details: dict[str, Any] = field(repr=False)

    @property
    def leaks(self) -> bool:
        """Return whether it grows in a straight line until the end."""
        return (
            self.rate_mib_per_min >= LEAST_RATE_MIB_PER_MIN
            and self.r_squared >= LEAST_R_SQUARED
            and self.rate_at_the_end_mib_per_min >= LEAST_SHARE_AT_THE_END * self.rate_mib_per_min
        )

    @property
    def is_slow(self) -> bool:
        """Return whether it grows, but too slowly to tell whether the growth continues."""
        watched_s = self.samples[-1][0] - self.samples[2][0]
        return not self.leaks and LEAST_RATE_MIB_PER_MIN <= self.rate_mib_per_min < STEP_MIB / watched_s * 60


@dataclass(frozen=True)
class Finding:
    """The finding on a host. Verdict: `leaking`, `oom_killed` (and nothing grows now) or `no_leak`."""

    verdict: str
    leak: Process | None
    grown: tuple[Process, ...]
    oom_kills: tuple[dict[str, Any], ...]
    large: tuple[
        tuple[int, str, float, float], ...
    ]  # PID, name, RSS in MiB in the first snapshot, change until the second
    observed_s: float


def analyse(first: Snapshot, second: Snapshot) -> Finding:
    """Return the finding from two snapshots of a host, the second with watched processes."""
    grown = tuple(process for each in second["growing"] if (process := _process(first, second, each)))
    leaks = sorted((each for each in grown if each.leaks), key=lambda each: -each.rate_mib_per_min)
    kills = tuple(second["oom_kills"])
    ended = "oom_killed" if kills else "no_leak"
    return Finding(
        verdict="leaking" if leaks else ended,
        leak=leaks[0] if leaks else None,
        grown=grown,
        oom_kills=kills,
        large=_large(first, second),
        observed_s=second["monotonic_s"] - first["monotonic_s"],
    )


def _process(first: Snapshot, second: Snapshot, watched: dict[str, Any]) -> Process | None:
    """Return a process with a line fitted to its samples, or None if there are too few."""
    pid = str(watched["pid"])
    snapshots = [
        {**each, "rss_kib": each["processes"][pid]["rss_kib"], **each["memory_kib"]} for each in (first, second)
    ]
    # The clock may have been set in between: count times from boot, and convert them by the final clock.
    offset_s = second["time"] - second["monotonic_s"]
    taken = [
        (each["monotonic_s"], each["rss_kib"] / KIB_PER_MIB, each["MemAvailable"] / KIB_PER_MIB)
        for each in [*snapshots, *watched["samples"]]
    ]
    if len(taken) < 5:
        return None
    times_s, sizes = [each[0] for each in taken], [each[1] for each in taken]
    line = growth.fit(times_s, sizes)
    end = growth.fit(times_s[2:], sizes[2:])
    return Process(
        pid=watched["pid"],
        name=second["processes"][pid]["name"],
        samples=tuple((offset_s + at, rss, available) for at, rss, available in taken),
        rate_mib_per_min=line.rate_per_min,
        rate_ci95_mib_per_min=line.rate_ci95_per_min,
        r_squared=line.r_squared,
        rate_at_the_end_mib_per_min=end.rate_per_min,
        details=watched,
    )


def _large(first: Snapshot, second: Snapshot) -> tuple[tuple[int, str, float, float], ...]:
    """Return the processes with much memory, largest first."""
    before, found = first["processes"], []
    for pid, now in second["processes"].items():
        then = before.get(pid)
        if then and then["start"] == now["start"] and then["rss_kib"] >= LARGE_MIB * KIB_PER_MIB:
            change = (now["rss_kib"] - then["rss_kib"]) / KIB_PER_MIB
            found.append((int(pid), now["name"], then["rss_kib"] / KIB_PER_MIB, change))
    return tuple(sorted(found, key=lambda each: -each[2]))
