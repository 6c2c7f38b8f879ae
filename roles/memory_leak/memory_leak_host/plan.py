"""Plan the steps from the current to the wanted state. Check mode lists them, a real run executes them."""

from __future__ import annotations

import os
import pwd

from memory_leak_host import paths, proc, processes, records, service, trust, units
from memory_leak_host.observation import Host

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from memory_leak_controller.contract import Definition

    Step = tuple[str, Callable[..., None], tuple[Any, ...]]  # description, function, its arguments

# The UIDs that systemd allocates for DynamicUser=; libnss-systemd shows them as accounts.
DYNAMIC_USERS = range(61184, 65520)
# Memory left for the rest of the host when the workload reaches its ceiling.
MEMORY_RESERVE_BYTES = 128 * 1024**2


class Refused(Exception):
    """The operation must not touch this host; the message says why."""


class Failed(Exception):
    """The operation failed; the message says why."""


def refuse_or_fail(host: Host, source: bytes) -> None:
    """Raise Refused or Failed if the workload can't be started here. Must pass before anything is changed."""
    wanted = host.wanted
    workload = service.workload_path(wanted)
    obstacle = paths.obstacle(workload, [wanted["log_file"], wanted["pid_file"]])
    if obstacle:
        raise Refused(obstacle)
    refuse_unproven(host)
    refuse_drop_ins(host)
    for path in (workload, wanted["log_file"], wanted["pid_file"], records.path(wanted["unit"])):
        protected = trust.removal_problem(path)
        if protected:
            raise Failed(protected)
    if wanted["memory_max_bytes"]:
        held = [processes.measure(pid) for pid in host.unit_of]
        problem = capacity_problem(wanted, proc.memory(), sum(measured["rss_bytes"] for measured in held if measured))
        if problem:
            raise Refused(f"{problem}, or set memory_leak_allow_host_oom: no ceiling, at the risk of the whole host")
    if not os.access(wanted["workload_python"], os.X_OK):
        raise Failed(f"memory_leak_workload_python: {wanted['workload_python']} does not exist or is not executable")
    if wanted["user"] and not has_account(wanted["user"]):
        raise Failed(f"memory_leak_user: user {wanted['user']} does not exist on this host")
    account = wanted["unit"].removesuffix(".service")
    if not wanted["user"] and has_account(account, unless_dynamic=wanted["unit"] in host.units):
        raise Refused(
            f"memory_leak_unit is {account}, which is an account of this host: systemd would run the service as that user. "
            "Choose another name"
        )
    outputs = (wanted["log_file"], wanted["pid_file"], records.path(wanted["unit"]))
    for directory in (wanted["directory"], *map(os.path.dirname, outputs)):
        shortage = paths.shortage(directory, len(source) + 65536)
        if shortage:
            raise Failed(shortage)


def has_account(name: str, unless_dynamic: bool = False) -> bool:
    """Return whether this host has a user or group of this name; `unless_dynamic` ignores one that systemd allocated."""
    try:
        number = pwd.getpwnam(name).pw_uid
    except KeyError:
        import grp  # late: it need not be imported for a reset

        try:
            number = grp.getgrnam(name).gr_gid
        except KeyError:
            return False
    return not (unless_dynamic and number in DYNAMIC_USERS)


def refuse_unproven(host: Host) -> None:
    """Raise Refused if a file that is to be written or removed is not proven to be the role's."""
    in_the_way = host.in_the_way()
    if in_the_way:
        raise Refused(
            f"{', '.join(in_the_way)} exists and is not the role's: no unit, start record or content proves it. Choose another "
            "path, or remove the file"
        )


def refuse_drop_ins(host: Host) -> None:
    """Raise Refused if drop-ins change the command or the safety settings."""
    changes = host.drop_in_changes(host.wanted["unit"], lasting=True)
    if changes:
        raise Refused(f"drop-ins change {host.wanted['unit']}: {', '.join(changes)}. Remove them")


def capacity_problem(wanted: Definition, available: dict[str, int], held_bytes: int) -> str | None:
    """Return why the workload would not reach its ceiling or would endanger the host, and what to change; or None.

    `available` holds the fields of /proc/meminfo in bytes; `held_bytes` is the RSS of the processes that are to be replaced.
    """
    ceiling_bytes, rate = wanted["memory_max_bytes"] or 0, wanted["target_rate_mib_per_min"]
    room_bytes = available["MemAvailable"] + held_bytes
    if ceiling_bytes + MEMORY_RESERVE_BYTES > room_bytes:
        return (
            f"memory_leak_memory_max ({ceiling_bytes >> 20} MiB) and {MEMORY_RESERVE_BYTES >> 20} MiB for the rest of the host "
            f"do not fit into the {room_bytes >> 20} MiB that this host has available (of {available['MemTotal'] >> 20} "
            f"MiB; its {available['SwapTotal'] >> 20} MiB of swap do not count: the service may not swap): "
            "choose a lower ceiling"
        )
    if wanted["buffer_mib"] * 1024**2 * 1.2 > ceiling_bytes:
        return (
            f"the buffer of {wanted['buffer_mib']} MiB does not fit under memory_leak_memory_max "
            f"({ceiling_bytes >> 20} MiB): choose a higher ceiling"
        )
    reached_min, runtime_min = ceiling_bytes / 1024**2 / rate, wanted["runtime_max_s"] / 60
    if reached_min > runtime_min and not wanted["max_sessions"]:
        return (
            f"at memory_leak_rate_mib_per_min ({rate:g}) the workload reaches memory_leak_memory_max "
            f"({ceiling_bytes >> 20} MiB) in {reached_min:.1f} min, but memory_leak_runtime_max ends it after "
            f"{runtime_min:.1f} min: choose a higher rate, a longer runtime or a lower ceiling"
        )
    return None


def is_as_wanted(host: Host, source: bytes) -> bool:
    """Return whether exactly the wanted unit runs, from an unmodified file, with its log in place."""
    wanted = host.wanted
    name = wanted["unit"]
    running = host.running()
    if list(host.units) != [name] or not running or running[0] != name:
        return False
    return (
        host.units[name]["build"] == service.build(wanted, source)
        and processes.ceiling_bytes(running[1]) in (None, wanted["memory_max_bytes"])
        and not host.drop_in_changes(name)
        and paths.content(service.workload_path(wanted), len(source) + 1) == source
        and paths.is_plain_file(wanted["log_file"])
    )


def removal_steps(host: Host, keep_directory: str | None = None) -> list[Step]:
    """Return the steps that remove everything of the role, except one directory that is about to be reused.

    The start records are kept: see `forgetting_steps`.
    """
    steps: list[Step] = []
    for name in host.units:
        steps.append((f"stop {name}", units.stop, (name,)))
    steps += _ending_steps(host)
    # The service removes the PID file when it stops; it is listed since the operation removes it all the same. A deleted log
    # reappears when the service stops: systemd opens it for ExecStopPost=.
    logs = [definition["log_file"] for definition in host.units.values()]
    files = list(dict.fromkeys([*(log for log in logs if log and not paths.is_directory(log)), *host.files()]))
    for path in files:
        steps.append((f"remove {path}", paths.remove, (path,)))
    for directory in dict.fromkeys(map(os.path.dirname, host.workloads)):
        if directory != keep_directory:
            for path in paths.removable_directories(directory, files):
                steps.append((f"remove {path}", paths.remove_directory, (path,)))
    return steps


def _ending_steps(host: Host) -> list[Step]:
    """Return the step that ends manually started processes, if there are any."""
    if not host.started_by_hand:
        return []
    pids = ", ".join(map(str, host.started_by_hand))
    arguments = (host.workloads, host.known, host.in_units)
    return [(f"end manually started processes (PID {pids})", processes.end, arguments)]


def forgetting_steps() -> list[Step]:
    """Return the steps that remove the start records. They come last: if an earlier step fails, the next run needs them."""
    files = records.files()
    steps: list[Step] = [(f"remove {path}", paths.remove, (path,)) for path in files]
    for path in paths.removable_directories(records.DIRECTORY, files):
        steps.append((f"remove {path}", paths.remove_directory, (path,)))
    return steps


def installation_steps(host: Host, source: bytes) -> list[Step]:
    """Return the steps that create the files and start the unit."""
    wanted = host.wanted
    workload = service.workload_path(wanted)
    steps: list[Step] = []
    if not os.path.isdir(records.DIRECTORY):
        steps.append((f"create {records.DIRECTORY}", paths.create_directories, (records.DIRECTORY, 0o700)))
    record = records.path(wanted["unit"])
    # First: if this run is killed, the next one knows what to look for.
    steps.append((f"write {record}", records.write, (wanted["unit"], wanted)))
    if not os.path.isdir(wanted["directory"]):
        steps.append((f"create {wanted['directory']}", paths.create_directories, (wanted["directory"],)))
    steps.append((f"write {workload}", paths.create, (workload, source)))
    steps.append((f"create {wanted['log_file']}", paths.create, (wanted["log_file"],)))
    steps.append((f"start {wanted['unit']}", units.start, (wanted, source)))
    return steps


def setup_steps(host: Host, source: bytes, fresh: bool) -> list[Step]:
    """Return the steps that get the wanted workload running; `fresh` replaces one that already runs."""
    if not fresh and is_as_wanted(host, source):
        _unit, pid = host.running() or (None, 0)
        path, content = host.wanted["pid_file"], f"{pid}\n".encode()
        steps = _ending_steps(host)
        if paths.content(path, len(content) + 1) != content:
            obstacle = paths.obstacle(service.workload_path(host.wanted), [path])
            if obstacle:
                raise Refused(obstacle)
            steps.append((f"write {path}", paths.create, (path, content)))
        return steps
    refuse_or_fail(host, source)
    removal = removal_steps(host, keep_directory=host.wanted["directory"])
    old_records = [path for path in records.files() if path != records.path(host.wanted["unit"])]
    forgetting: list[Step] = [(f"remove {path}", paths.remove, (path,)) for path in old_records]
    return removal + forgetting + installation_steps(host, source)
