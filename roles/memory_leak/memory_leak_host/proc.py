"""Parse /proc: processes and memory, for the host program and for host snapshots.

Names on a host need not be UTF-8: other bytes become surrogates, as in Python's file names.
"""

from __future__ import annotations

import os


class Statistics:
    """A process: its name, state (a letter), start in ticks since boot, CPU time in seconds, and RSS in bytes."""

    __slots__ = ("cpu_s", "name", "rss_bytes", "start_ticks", "state")

    def __init__(self, stat: str):
        name, _, rest = stat.partition("(")[2].rpartition(")")
        fields = rest.split()
        self.name = name
        self.state = fields[0]
        self.start_ticks = int(fields[19])
        self.cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.rss_bytes = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def has_ended(self) -> bool:
        """Return whether only its entry in the process table is left."""
        return self.state in "ZX"


def text(path: str) -> str:
    """Read a file in /proc. Raises OSError if its process has exited."""
    with open(path, "rb") as file:
        return os.fsdecode(file.read())


def statistics(pid: int | str) -> Statistics | None:
    """Return the statistics of a process ("self" is this one), or None if it has exited."""
    try:
        found = Statistics(text(f"/proc/{pid}/stat"))
    except (OSError, IndexError):
        return None
    return None if found.has_ended else found


def pids() -> list[int]:
    """Return the PIDs of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command(pid: int) -> list[str]:
    """Return the arguments of a process. Raises OSError if it has exited."""
    return text(f"/proc/{pid}/cmdline").split("\0")[:-1]


def cgroups(pid: int) -> list[str]:
    """Return the paths of a process's cgroups, the unified hierarchy (version 2) last; none if it has exited."""
    try:
        return [line.split(":", 2)[2] for line in text(f"/proc/{pid}/cgroup").splitlines()]
    except OSError:
        return []


def memory() -> dict[str, int]:
    """Return the sizes in /proc/meminfo, in bytes: MemTotal, MemAvailable, SwapTotal and so on."""
    fields = (line.split() for line in text("/proc/meminfo").splitlines())
    return {field[0].rstrip(":"): int(field[1]) * 1024 for field in fields if field[-1] == "kB"}


def uptime_s() -> float:
    """Return the seconds since boot."""
    return float(text("/proc/uptime").split()[0])
