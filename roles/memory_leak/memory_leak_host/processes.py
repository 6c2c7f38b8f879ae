"""Processes that run the workload, found and measured in /proc, and ended without hitting another one."""

from __future__ import annotations

import os
import select
import time

from memory_leak_host import proc, workload_interface

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Measured = dict[str, Any]

OPTIONS_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")


def command_text(pid: int) -> str:
    """Return the command line of a process as `ps` shows it, empty if it has ended."""
    try:
        return " ".join(proc.command(pid))
    except OSError:
        return ""


def option(pid: int, name: str) -> str | None:
    """Return the value of an option that a process was started with, or None."""
    try:
        arguments = proc.command(pid)
        return arguments[arguments.index(name) + 1]
    except (OSError, ValueError, IndexError):
        return None


def target_rate(pid: int) -> float:
    """Return the rate, in MiB per minute, that a process of the workload was started with."""
    try:
        return float(option(pid, workload_interface.RATE_OPTION) or workload_interface.DEFAULT_RATE_MIB_PER_MIN)
    except ValueError:
        return workload_interface.DEFAULT_RATE_MIB_PER_MIN


def script_argument(command: list[str]) -> str | None:
    """Return the script of a Python command line, or None where there is none (`-c`, `-m`, an interactive one)."""
    arguments = iter(command[1:])
    for argument in arguments:
        if argument in OPTIONS_WITH_VALUE:
            next(arguments, None)
        elif argument.startswith("-"):
            if not argument.startswith("--") and argument[-1] in "cm":
                return None
        else:
            return argument
    return None


def runs_script(pid: int, script: str) -> bool:
    """Tell whether a process is a Python in our PID namespace that runs the script at this path."""
    directory = f"/proc/{pid}"
    try:
        # A host's containers show up in its /proc too; what runs in them is not ours.
        if os.readlink(f"{directory}/ns/pid") != os.readlink("/proc/self/ns/pid"):
            return False
        if not os.path.basename(os.readlink(f"{directory}/exe")).startswith("python"):
            return False
        argument = script_argument(proc.command(pid))
        if argument is None:
            return False
        working_directory = os.readlink(f"{directory}/cwd")
    except OSError:  # it has ended, or is a kernel thread
        return False
    return os.path.realpath(os.path.join(working_directory, argument)) == os.path.realpath(script)


def find(script: str) -> list[int]:
    """Return the PIDs of the processes that run the script at this path, oldest first."""
    return sorted(pid for pid in proc.pids() if runs_script(pid, script))


def unit_of(pid: int, names: Iterable[str]) -> str | None:
    """Return in the cgroup of which of these units a process is, or None."""
    parts = {part for path in proc.cgroups(pid) for part in path.split("/")}
    return next((name for name in names if name in parts), None)


def ceiling_bytes(pid: int) -> int | None:
    """Return the ceiling on the memory of a process's cgroup, or None if the kernel enforces none there."""
    try:
        with open(f"/sys/fs/cgroup{proc.cgroups(pid)[-1]}/memory.max") as file:
            ceiling = file.read().strip()
    except (OSError, IndexError):
        return None
    return int(ceiling) if ceiling.isdigit() else None


def measure(pid: int) -> Measured | None:
    """Return `rss_bytes`, `uptime_s`, `started_at` (ISO 8601, UTC) and `cpu_percent` of a process, or None if it has ended."""
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


def end(script: str, patience_s: float = 5) -> None:
    """End all processes that run the script: SIGTERM, and SIGKILL to what is left after `patience_s`.

    Raises TimeoutError if one outlives SIGKILL by `patience_s` too (stuck in the kernel, say).
    """
    import signal  # late: it is seldom needed, and costs more than the other imports together

    handles = {}
    for pid in find(script):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        # The handle is of one process for good: look again, lest the PID changed hands since it was found.
        if runs_script(pid, script):
            handles[handle] = pid
        else:
            os.close(handle)
    try:
        for signals in ((signal.SIGTERM, signal.SIGCONT), (signal.SIGKILL,)):
            for handle in handles:
                for number in signals:
                    try:
                        signal.pidfd_send_signal(handle, number)
                    except ProcessLookupError:
                        pass  # ended in the meantime, which is what we want
            _wait(handles, patience_s)
        if handles:
            raise TimeoutError(f"still running after SIGKILL: PID {', '.join(map(str, handles.values()))}")
    finally:
        for handle in handles:
            os.close(handle)


def _wait(handles: dict[int, int], patience_s: float) -> None:
    """Wait until the processes end; close and drop the handles of those that have."""
    deadline = time.monotonic() + patience_s
    while handles and time.monotonic() < deadline:
        for handle in select.select(list(handles), [], [], max(0, deadline - time.monotonic()))[0]:
            os.close(handle)
            del handles[handle]
