"""Find and measure the workload's processes in /proc, and end them without hitting another process."""

from __future__ import annotations

import os
import select
import time

from memory_leak_host import proc, scripts, workload_interface

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Measured = dict[str, Any]

SMALLEST_OPTION, LARGEST_OPTION = 1e-3, 1e9
LONGEST_COMMAND = 4096  # characters
FREEZE_S = 0.2  # for the kernel to freeze a cgroup; a process that escapes is found by the next inspection


def command_text(pid: int) -> str:
    """Return the command line of a process as `ps` shows it, empty if it has exited."""
    try:
        return " ".join(proc.command(pid))[:LONGEST_COMMAND]
    except OSError:
        return ""


def option(pid: int, name: str) -> str | None:
    """Return the value of an option on a process's command line, or None."""
    try:
        arguments = proc.command(pid)
        return arguments[arguments.index(name) + 1]
    except (OSError, ValueError, IndexError):
        return None


def target_rate(pid: int) -> float:
    """Return the rate in MiB per minute that a workload process was started with, explicitly or by default."""
    return number_option(pid, workload_interface.RATE_OPTION) or workload_interface.DEFAULT_RATE_MIB_PER_MIN


def number_option(pid: int, name: str) -> float | None:
    """Return the value of a numeric option if it is plausible, or None: anyone can start a process with any options."""
    try:
        number = float(option(pid, name) or 0)
    except ValueError:
        return None
    return number if SMALLEST_OPTION <= number <= LARGEST_OPTION else None


def unit_of(pid: int, names: Iterable[str]) -> str | None:
    """Return which of these system units a process belongs to, or None.

    The full path of the cgroup decides: a user's systemd instance may run a unit of the same name.
    """
    for group, of_systemd in zip(proc.cgroups(pid), proc.cgroups(1)):
        for name in names:
            unit_group = _unit_group(of_systemd, name)
            if group == unit_group or group.startswith(f"{unit_group}/"):
                return name
    return None


def _unit_group(of_systemd: str, name: str) -> str:
    """Return the path of a unit's cgroup, given that of systemd itself in the same hierarchy."""
    return f"{of_systemd.removesuffix('/').removesuffix('/init.scope')}/system.slice/{name}"


def kill_unit(name: str) -> None:
    """Kill all processes of a unit at once, so that none can start another in the meantime."""
    group = f"/sys/fs/cgroup{_unit_group((proc.cgroups(1) or ['/'])[-1], name)}"
    try:
        with open(f"{group}/cgroup.kill", "w") as file:
            file.write("1")
    except FileNotFoundError:  # a kernel before 5.14, or no such cgroup
        _kill_frozen(group)


def _kill_frozen(group: str) -> None:
    """Freeze a cgroup, kill its processes, and always thaw it."""
    freezer = f"{group}/cgroup.freeze"
    try:
        with open(freezer, "w") as file:
            file.write("1")
        try:
            time.sleep(FREEZE_S)
            for pid in proc.text(f"{group}/cgroup.procs").split():
                os.kill(int(pid), 9)
        finally:
            with open(freezer, "w") as file:
                file.write("0")
    except (FileNotFoundError, ProcessLookupError):
        pass


def ceiling_bytes(pid: int) -> int | None:
    """Return the memory limit of a process's cgroup, or None if the kernel enforces none."""
    try:
        with open(f"/sys/fs/cgroup{proc.cgroups(pid)[-1]}/memory.max") as file:
            ceiling = file.read().strip()
    except (OSError, IndexError):
        return None
    return int(ceiling) if ceiling.isdigit() else None


def measure(pid: int) -> Measured | None:
    """Return `rss_bytes`, `uptime_s`, `started_at` (ISO 8601, UTC) and `cpu_percent` of a process, or None if it has exited."""
    found = proc.statistics(pid)
    if found is None:
        return None
    uptime_s = max(0.0, proc.uptime_s() - found.start_ticks / os.sysconf("SC_CLK_TCK"))
    return {
        "rss_bytes": found.rss_bytes,
        "uptime_s": round(uptime_s, 1),
        "cpu_percent": round(found.cpu_s / uptime_s * 100, 2) if uptime_s else None,
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - uptime_s)),
    }


def end(workloads: list[str], known: bytes, spared: Iterable[int] = (), patience_s: float = 5) -> None:
    """End all processes that run one of these scripts, except those of units: SIGTERM first, then SIGKILL until none is left.

    They are stopped before they are killed, so that none can start another. Each phase takes up to `patience_s`. Raises
    TimeoutError if a process is left. Those started in the meantime do not count: a user could start more for ever.
    """
    import signal  # imported late: rarely needed, and slower than all other imports together

    began_s = proc.uptime_s()
    _wait(_send(workloads, known, spared, (signal.SIGTERM, signal.SIGCONT)), patience_s)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        _wait(_send(workloads, known, spared, (signal.SIGSTOP,)), 0)
        killed = _send(workloads, known, spared, (signal.SIGKILL,))
        if not killed:
            return
        _wait(killed, 0.5)
    left = [pid for pid in _running(workloads, known, spared) if not _is_newer(pid, began_s)]
    if left:
        raise TimeoutError(f"still running after SIGKILL: PID {', '.join(map(str, left))}")


def _running(workloads: list[str], known: bytes, spared: Iterable[int]) -> list[int]:
    return list(scripts.running([pid for pid in scripts.pythons() if pid not in spared], workloads, known, workloads))


def _is_newer(pid: int, than_s: float) -> bool:
    """Return whether a process has exited, or started after this time since boot."""
    found = proc.statistics(pid)
    return found is None or found.start_ticks / os.sysconf("SC_CLK_TCK") > than_s


def _send(workloads: list[str], known: bytes, spared: Iterable[int], signals: tuple[int, ...]) -> dict[int, int]:
    """Send signals to all processes that run the scripts, and return the PIDs of those that got them, by pidfd."""
    import signal

    handles = {}
    for pid in _running(workloads, known, spared):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        # A pidfd never refers to another process. The PID may have been reused before it was opened, so check again.
        if scripts.running([pid], workloads, known, workloads):
            handles[handle] = pid
            for number in signals:
                try:
                    signal.pidfd_send_signal(handle, number)
                except ProcessLookupError:
                    pass  # exited in the meantime
        else:
            os.close(handle)
    return handles


def _wait(handles: dict[int, int], patience_s: float) -> None:
    """Wait up to `patience_s` for the processes to exit, and close all pidfds."""
    deadline = time.monotonic() + patience_s
    waiting = list(handles)
    while waiting and time.monotonic() < deadline:
        ended = select.select(waiting, [], [], max(0, deadline - time.monotonic()))[0]
        waiting = [handle for handle in waiting if handle not in ended]
    for handle in handles:
        os.close(handle)
