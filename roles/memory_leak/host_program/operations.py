"""Setup, reset, cleanup and status of the workload on this host.

`run` takes a request and returns a result, both plain dictionaries (JSON on the wire).

Request: `operation` ('setup', 'reset', 'cleanup' or 'status'), `check` (bool: predict, change nothing), `source` (the
workload's text) and `definition`: `unit`, `directory`, `log_file`, `pid_file`, `workload_python`, `user` (strings; an
empty user means a dynamic one), `rate_mib_per_min` (float), `memory_max_bytes` (int, or null for no ceiling) and
`runtime_max_s` (int).

Result: `outcome`, `changed`, `failed`, `message`, `changes` (what was, or in check mode would be, done), `warnings`,
`before` and `after` (the definitions, for a diff; null where there is none), and of the running workload `pid`,
`unit` (null if it was started by hand), `started_at`, `uptime_s`, `rss_bytes`, `ceiling_bytes` and `oom_in_s` (null otherwise).
"""

from __future__ import annotations

import os
import pwd
from functools import partial

from host_program import paths, processes, units

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Record = dict[str, Any]
    Step = tuple[str, Callable[[], None]]

# What the rest of the host keeps when the workload reaches its ceiling.
MEMORY_RESERVE_BYTES = 128 * 1024**2
NOT_RUNNING = {
    "pid": None,
    "started_at": None,
    "uptime_s": None,
    "rss_bytes": None,
    "ceiling_bytes": None,
    "oom_in_s": None,
}


class Refused(Exception):
    """We would not touch this host; the message says why."""


class Failed(Exception):
    """We tried and could not; the message says why."""


class Host:
    """What there is of ours on this host, under any name."""

    def __init__(self, definition: Record):
        self.wanted = definition
        self.units = units.ours()
        self.states = units.show([*{definition["unit"], *self.units}])
        places = [definition, *self.units.values()]
        self.workloads = list(dict.fromkeys(units.workload_path(place) for place in places if place["directory"]))
        self.outputs = list(
            dict.fromkeys(place[key] for place in places for key in ("pid_file", "log_file") if place[key])
        )
        main_pids = {int(state["MainPID"]) for state in self.states.values()}
        self.started_by_hand = [
            pid for workload in self.workloads for pid in processes.find(workload) if pid not in main_pids
        ]

    def foreign_unit(self) -> str | None:
        """Return why the wanted unit name is not ours to use, or None."""
        name = self.wanted["unit"]
        state = self.states[name]
        if name in self.units or state["LoadState"] == "not-found":
            return None
        if state["LoadState"] == "masked":
            return f"{name} is masked on this host"
        return f"{name} exists on this host and is not ours: {state['FragmentPath'] or state['LoadState']}"

    def running_unit(self) -> str | None:
        """Return the name of the unit of ours that is alive, or None."""
        return next((name for name in self.units if int(self.states[name]["MainPID"])), None)

    def files(self) -> list[str]:
        """Return the files of ours that are there."""
        return [path for path in [*self.outputs, *self.workloads] if paths.is_present(path)]


def describe(host: Host) -> Record:
    """Return the part of the result that says what is on the host."""
    name = host.running_unit()
    if name or host.started_by_hand:
        pid = int(host.states[name]["MainPID"]) if name else host.started_by_hand[0]
        measured = processes.measure(pid)
        if measured:
            ceiling_bytes = ceiling_in_force(host.states[name]) if name else None
            room_bytes = memory_available_bytes() if ceiling_bytes is None else ceiling_bytes - measured["rss_bytes"]
            rate_bytes_per_s = processes.ingest_rate(pid) * 1024**2 / 60
            return {
                **measured,
                "outcome": "running",
                "pid": pid,
                "unit": name,
                "ceiling_bytes": ceiling_bytes,
                "oom_in_s": max(0, round(room_bytes / rate_bytes_per_s)),
            }
    for name in host.units:
        if host.states[name]["ActiveState"] == "failed":
            outcome = {"oom-kill": "oom_killed", "timeout": "expired"}.get(host.states[name]["Result"], "crashed")
            return {**NOT_RUNNING, "outcome": outcome, "unit": name}
    if host.units or host.files():
        return {**NOT_RUNNING, "outcome": "stopped", "unit": next(iter(host.units), None)}
    return {**NOT_RUNNING, "outcome": "absent", "unit": None}


def ceiling_in_force(state: dict[str, str]) -> int | None:
    """Return the unit's ceiling, or None if it has none, or if the kernel does not account its memory: then none holds."""
    in_force = state["MemoryMax"].isdigit() and state["MemoryCurrent"].isdigit()
    return int(state["MemoryMax"]) if in_force else None


def memory_available_bytes() -> int:
    """Return the memory that new work can use without swapping."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024


def refuse_or_fail(host: Host, source: bytes) -> None:
    """Raise Refused or Failed if the workload can't be started here. Nothing is changed before this has passed."""
    wanted = host.wanted
    obstacle = paths.obstacle(units.workload_path(wanted), [wanted["log_file"], wanted["pid_file"]])
    if obstacle:
        raise Refused(obstacle)
    ceiling_bytes = wanted["memory_max_bytes"]
    if ceiling_bytes is not None:
        held = [processes.measure(int(state["MainPID"])) for state in host.states.values()]
        room_bytes = memory_available_bytes() + sum(measured["rss_bytes"] for measured in held if measured)
        if ceiling_bytes + MEMORY_RESERVE_BYTES > room_bytes:
            raise Refused(
                f"memory_leak_memory_max ({ceiling_bytes >> 20} MiB) and {MEMORY_RESERVE_BYTES >> 20} MiB for the rest "
                f"do not fit into the {room_bytes >> 20} MiB that this host has available: choose a lower ceiling, "
                "or accept a host-wide OOM with memory_leak_allow_host_oom"
            )
    if not os.access(wanted["workload_python"], os.X_OK):
        raise Failed(f"memory_leak_workload_python: there is no {wanted['workload_python']} on this host")
    if wanted["user"]:
        try:
            pwd.getpwnam(wanted["user"])
        except KeyError:
            raise Failed(f"memory_leak_user: there is no user {wanted['user']} on this host") from None
    for directory in (wanted["directory"], os.path.dirname(wanted["log_file"]), os.path.dirname(wanted["pid_file"])):
        shortage = paths.shortage(directory, len(source) + 65536)
        if shortage:
            raise Failed(shortage)


def is_as_wanted(host: Host, source: bytes) -> bool:
    """Tell whether exactly the wanted workload runs, from an unaltered file, with its log in place."""
    wanted = host.wanted
    name = wanted["unit"]
    if list(host.units) != [name] or host.started_by_hand or host.running_unit() != name:
        return False
    try:
        with open(units.workload_path(wanted), "rb") as file:
            unaltered = file.read() == source
    except OSError:
        return False
    return unaltered and os.path.isfile(wanted["log_file"]) and host.units[name]["build"] == units.build(wanted, source)


def pid_file_is_right(host: Host) -> bool:
    """Tell whether the PID file is a plain file that holds the PID of the running unit."""
    path = host.wanted["pid_file"]
    try:
        with open(path) as file:
            content = file.read()
    except (OSError, UnicodeDecodeError):
        return False
    return not os.path.islink(path) and content.strip() == host.states[host.wanted["unit"]]["MainPID"]


def removal_steps(host: Host, keep_directory: str | None = None) -> list[Step]:
    """Return the steps that remove all there is of ours, but for one directory that is about to be used again."""
    steps: list[Step] = []
    for name in host.units:
        steps.append((f"stop {name}", partial(units.stop, name)))
    if host.started_by_hand:
        pids = ", ".join(map(str, host.started_by_hand))
        for workload in host.workloads:
            steps.append((f"end what runs {workload} by hand (PID {pids})", partial(processes.end, workload)))
    # The PID file goes with its service; it is listed because in the end it is gone.
    files = host.files()
    for path in files:
        steps.append((f"remove {path}", partial(paths.remove, path)))
    for workload in host.workloads:
        directory = os.path.dirname(workload)
        if directory != keep_directory:
            for path in paths.removable_directories(directory, set(files)):
                steps.append((f"remove {path}", partial(os.rmdir, path)))
    return steps


def installation_steps(host: Host, source: bytes) -> list[Step]:
    """Return the steps that put the files in place and start the unit."""
    wanted = host.wanted
    workload = units.workload_path(wanted)
    steps: list[Step] = []
    if not os.path.isdir(wanted["directory"]):
        steps.append((f"create {wanted['directory']}", partial(paths.create_directories, wanted["directory"])))
    steps.append((f"write {workload}", partial(paths.create, workload, source)))
    steps.append((f"create {wanted['log_file']}", partial(paths.create, wanted["log_file"])))
    steps.append((f"start {wanted['unit']}", partial(units.start, wanted, source)))
    return steps


def setup(host: Host, request: Record) -> list[Step]:
    """Return the steps to the wanted workload running; for a reset, to a fresh one."""
    source = request["source"].encode()
    if request["operation"] == "setup" and is_as_wanted(host, source):
        if pid_file_is_right(host):
            return []
        path, pid = host.wanted["pid_file"], host.states[host.wanted["unit"]]["MainPID"]
        obstacle = paths.obstacle(units.workload_path(host.wanted), [path])
        if obstacle:
            raise Refused(obstacle)
        return [(f"write {path}", partial(paths.create, path, f"{pid}\n".encode()))]
    refuse_or_fail(host, source)
    return removal_steps(host, keep_directory=host.wanted["directory"]) + installation_steps(host, source)


def apply_setup(steps: list[Step], definition: Record) -> None:
    """Carry the steps out; if one fails, leave nothing half started and raise Failed."""
    for description, step in steps:
        try:
            step()
        except Exception as error:
            problem = f"could not {description}: {error}"
            leftovers = apply_cleanup(removal_steps(Host(definition)))
            raise Failed("; ".join([problem, *leftovers])) from error


def apply_cleanup(steps: list[Step]) -> list[str]:
    """Carry all the steps out and return what went wrong with those that failed."""
    problems = []
    for description, step in steps:
        try:
            step()
        except Exception as error:
            problems.append(f"could not {description}: {error}")
    return problems


def kept_directories(host: Host) -> list[str]:
    """Return a note for each directory of the workload that stays because it holds other things."""
    notes = []
    for directory in sorted({os.path.dirname(workload) for workload in host.workloads}):
        if os.path.isdir(directory):
            notes.append(f"kept {directory}, which holds {', '.join(sorted(os.listdir(directory))) or 'nothing'}")
    return notes


def check_privilege() -> None:
    """Raise Failed unless we are root on a host that systemd runs."""
    if os.geteuid() != 0:
        raise Failed("not root on this host: set ansible_become in the inventory, or run with -b")
    if not os.path.isdir("/run/systemd/system"):
        raise Failed("this host does not run systemd")


def operate(request: Record) -> Record:
    """Carry a request out and return the result; raises Refused or Failed."""
    definition, operation, check = request["definition"], request["operation"], request["check"]
    check_privilege()
    host = Host(definition)
    before = next(iter(host.units.values()), None)
    foreign = host.foreign_unit()
    if operation == "status":
        if foreign and not (host.running_unit() or host.started_by_hand):
            return {**NOT_RUNNING, "outcome": "refused", "unit": None, "message": foreign, "changes": []}
        return {**describe(host), "changes": [], "before": before, "after": before}
    if foreign:
        raise Refused(foreign)
    if operation == "cleanup":
        for path in host.outputs:
            if os.path.isdir(path) and not os.path.islink(path):
                raise Refused(f"a directory is in the way at {path}")
        steps = removal_steps(host)
        result: Record = {"changes": [description for description, _step in steps], "before": before, "after": None}
        if check:
            return {**NOT_RUNNING, **result, "outcome": "absent", "unit": None}
        problems = apply_cleanup(steps)
        host = Host(definition) if steps else host
        result.update(describe(host))
        if problems or result["outcome"] != "absent":
            raise Failed("; ".join(problems or [f"still there: {', '.join(host.files()) or result['outcome']}"]))
        return {**result, "message": "; ".join(kept_directories(host))}
    steps = setup(host, request)
    after = {**definition, "build": units.build(definition, request["source"].encode())}
    result = {"changes": [description for description, _step in steps], "before": before, "after": after}
    if check and steps:
        return {**NOT_RUNNING, **result, "outcome": "running", "unit": definition["unit"]}
    apply_setup(steps, definition)
    result.update(describe(Host(definition) if steps else host))
    if result["outcome"] != "running":
        raise Failed(f"{definition['unit']} ended at once: {result['outcome']}")
    if definition["memory_max_bytes"] is not None and result["ceiling_bytes"] is None:
        result["warnings"] = ["this host does not enforce memory ceilings: only the expiry stops the growth"]
    return result


def run(request: Record) -> Record:
    """Carry a request out and return the result. Never raises: what goes wrong is an outcome."""
    empty: Record = {
        **NOT_RUNNING,
        "unit": None,
        "changes": [],
        "warnings": [],
        "message": "",
        "before": None,
        "after": None,
    }
    try:
        result = {**empty, "failed": False, **operate(request)}
    except Refused as error:
        result = {**empty, "outcome": "refused", "failed": True, "message": str(error)}
    except Failed as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": str(error)}
    except Exception as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": f"{type(error).__name__}: {error}"}
    result["changed"] = bool(result["changes"])
    return result
