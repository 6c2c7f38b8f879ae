"""What two snapshots of a host show: which process leaks, if any, and which only have much memory or have settled.

A snapshot is the JSON object that host_snapshot.py prints. Of the second one, `growing` lists what it watched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from memory_leak_controller import growth

KIB_PER_MIB = 1024
LEAST_RATE_MIB_PER_MIN = 0.1
LEAST_R_SQUARED = 0.98
# Of the rate over all, the rate at the end: what has settled meanwhile is less, and no leak.
LEAST_SHARE_AT_THE_END = 0.5
# An allocator asks for as much at a time: what grows by less while it is watched can't be told from what has settled.
STEP_MIB = 1.0
LARGE_MIB = 50  # what is worth a word though it does not grow
Snapshot = dict[str, Any]


@dataclass(frozen=True)
class Process:
    """A process that was seen in both snapshots, with its samples: Unix time, RSS and the host's available memory in MiB."""

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
        """Tell whether it grows in a straight line that goes on to the end."""
        return (
            self.rate_mib_per_min >= LEAST_RATE_MIB_PER_MIN
            and self.r_squared >= LEAST_R_SQUARED
            and self.rate_at_the_end_mib_per_min >= LEAST_SHARE_AT_THE_END * self.rate_mib_per_min
        )

    @property
    def is_slow(self) -> bool:
        """Tell whether it grows, but too slowly to tell whether it goes on."""
        watched_s = self.samples[-1][0] - self.samples[2][0]
        return not self.leaks and LEAST_RATE_MIB_PER_MIN <= self.rate_mib_per_min < STEP_MIB / watched_s * 60


@dataclass(frozen=True)
class Finding:
    """What is the matter with a host: `leaking`, `oom_killed` (and nothing grows now) or `no_leak`."""

    verdict: str
    leak: Process | None
    grown: tuple[Process, ...]
    oom_kills: tuple[dict[str, Any], ...]
    large: tuple[
        tuple[int, str, float, float], ...
    ]  # PID, name, RSS in MiB in the first snapshot and the change until the second
    observed_s: float


def analyse(first: Snapshot, second: Snapshot) -> Finding:
    """Return the finding of two snapshots of a host, the second with what it watched."""
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
    """Return a process with a line through its samples, or None if there are too few."""
    pid = str(watched["pid"])
    snapshots = [
        {**each, "rss_kib": each["processes"][pid]["rss_kib"], **each["memory_kib"]} for each in (first, second)
    ]
    # The clock may have been set meanwhile: times count from boot, and are told by the clock as it is at the end.
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
    """Return the processes that have much memory, the largest first."""
    before, found = first["processes"], []
    for pid, now in second["processes"].items():
        then = before.get(pid)
        if then and then["start"] == now["start"] and then["rss_kib"] >= LARGE_MIB * KIB_PER_MIB:
            change = (now["rss_kib"] - then["rss_kib"]) / KIB_PER_MIB
            found.append((int(pid), now["name"], then["rss_kib"] / KIB_PER_MIB, change))
    return tuple(sorted(found, key=lambda each: -each[2]))
