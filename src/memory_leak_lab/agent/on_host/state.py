"""Reads this host's state from /proc. Runs on a host, alone: Python 3.9, standard library, few imports."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would cost more than the rest
    from collections.abc import Callable
    from typing import Any

MOST_BYTES = 16384
LONGEST_COMMAND = 4096  # characters
IN_A_LIST = 64  # characters of a command line
LIMITS = ("Max open files", "Max processes", "Max address space", "Max resident set")
# Where statistics() has them.
NAME, STATE, PARENT, USER_TICKS, SYSTEM_TICKS, THREADS, START_TICKS, RSS_PAGES = 0, 1, 2, 12, 13, 18, 20, 22
LISTENER = b"[listener]"  # how OpenSSH calls the process that accepts connections


def read(path: str) -> bytes:
    """Return the first bytes of a file. Raises OSError where its process has ended or is none of our business."""
    with open(path, "rb", buffering=0) as file:
        return file.read(MOST_BYTES)


def text(raw: bytes) -> str:
    """Return bytes as a text, with a replacement for what is no UTF-8."""
    return raw.decode("utf-8", "replace")


def mib(kib: int | bytes) -> float:
    """Return KiB as MiB with one decimal."""
    return round(int(kib) / 1024, 1)


def memory() -> dict[str, float]:
    """Return the memory of this host; used is what is not available."""
    fields = (line.split() for line in read("/proc/meminfo").splitlines())
    kib = {text(field[0][:-1]): int(field[1]) for field in fields}
    used_kib = kib["MemTotal"] - kib["MemAvailable"]
    return {
        "total_mb": mib(kib["MemTotal"]),
        "available_mb": mib(kib["MemAvailable"]),
        "used_mb": mib(used_kib),
        "used_percent": round(used_kib / kib["MemTotal"] * 100, 1),
        "free_mb": mib(kib["MemFree"]),
        "buffers_mb": mib(kib["Buffers"]),
        "cached_mb": mib(kib["Cached"]),
        "swap_total_mb": mib(kib["SwapTotal"]),
        "swap_used_mb": mib(kib["SwapTotal"] - kib["SwapFree"]),
    }


def statistics(pid: int) -> list[bytes]:
    """Return the name of a process and the fields of /proc/PID/stat after it. Raises OSError where it has ended."""
    name, _, rest = read("/proc/%d/stat" % pid).partition(b"(")[2].rpartition(b")")
    return [name, *rest.split()]


def status(pid: int) -> dict[bytes, list[bytes]]:
    """Return the fields of /proc/PID/status, each split at spaces. Raises OSError where it has ended."""
    lines = (line.split(b":", 1) for line in read("/proc/%d/status" % pid).splitlines())
    return {line[0]: line[1].split() for line in lines if len(line) == 2}


def lineage(pid: int) -> list[int]:
    """Return a process and those above it, up to but not init, as far as they can be read."""
    found: list[int] = []
    while pid > 1:
        try:
            parent = int(statistics(pid)[PARENT])
        except OSError:
            break
        found.append(pid)
        pid = parent
    return found


def session() -> int:
    """Return the topmost process that is here for this call: the login session's, below the listener if there is one."""
    above = lineage(os.getpid())
    if LISTENER in read("/proc/%d/cmdline" % above[-1]):
        above.pop()
    return above[-1]


def processes() -> dict[int, list[bytes]]:
    """Return the statistics of the processes by PID, without those of this call, and of others over the same connection."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = statistics(int(name))
            except OSError:
                continue
    helpers = below = {session()}
    while below:
        below = {pid for pid, fields in found.items() if int(fields[PARENT]) in below}
        helpers = helpers | below
    return {pid: fields for pid, fields in found.items() if pid not in helpers}


def row(pid: int, fields: list[bytes], uptime_s: float, most_characters: int) -> dict[str, Any] | None:
    """Return what a list tells of a process, its command line cut; None if it has ended."""
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        command, uid = read("/proc/%d/cmdline" % pid), int(status(pid)[b"Uid"][1])
    except OSError:
        return None
    return {
        "pid": pid,
        "name": text(fields[NAME]),
        "state": text(fields[STATE]),
        "ppid": int(fields[PARENT]),
        "threads": int(fields[THREADS]),
        "uid": uid,
        "vmrss_mb": mib(int(fields[RSS_PAGES]) * os.sysconf("SC_PAGE_SIZE") // 1024),
        "cpu_s": round((int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / ticks, 1),
        "elapsed_s": round(max(uptime_s - int(fields[START_TICKS]) / ticks, 0), 1),
        "cmdline": text(command).replace("\0", " ").strip()[:most_characters],
    }


def process_list(limit: int, sort_by: str) -> dict[str, Any]:
    """Return the number of processes and the first of them: by RSS or processor time (the most first), or by name."""
    uptime_s = float(read("/proc/uptime").split()[0])
    keys: dict[str, Callable[[list[bytes]], Any]] = {
        "rss": lambda fields: -int(fields[RSS_PAGES]),
        "cpu": lambda fields: -int(fields[USER_TICKS]) - int(fields[SYSTEM_TICKS]),
        "name": lambda fields: fields[NAME].lower(),
    }
    found = processes()
    ordered = sorted(found.items(), key=lambda each: (keys[sort_by](each[1]), each[0]))
    rows = [row(pid, fields, uptime_s, IN_A_LIST) for pid, fields in ordered[:limit]]
    return {"total": len(found), "processes": [each for each in rows if each]}


def process(pid: int) -> dict[str, Any] | None:
    """Return what there is to know of a process, or None where there is none (or it is here for this call)."""
    try:
        if session() in lineage(pid):
            return None
        known = row(pid, statistics(pid), float(read("/proc/uptime").split()[0]), LONGEST_COMMAND)
        more = status(pid)
        limits = read("/proc/%d/limits" % pid).splitlines()
        cgroup = read("/proc/%d/cgroup" % pid).splitlines()
    except OSError:
        return None
    if known is None:
        return None
    for name, field in (("vmsize_mb", b"VmSize"), ("vmpeak_rss_mb", b"VmHWM"), ("vmswap_mb", b"VmSwap")):
        known[name] = mib(more[field][0]) if field in more else 0.0  # a kernel thread has none of its own
    known["gid"] = int(more[b"Gid"][1])
    try:
        known["fd_count"] = len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        known["fd_count"] = None
    known["cgroup"] = text(cgroup[-1].split(b":", 2)[2]) if cgroup else ""
    known["limits"] = {}
    for name in LIMITS:
        line = next((line for line in limits if line.startswith(name.encode())), None)
        if line:
            soft = line[len(name) :].split()[0]
            known["limits"][name[4:].replace(" ", "_")] = None if soft == b"unlimited" else int(soft)
    return known
