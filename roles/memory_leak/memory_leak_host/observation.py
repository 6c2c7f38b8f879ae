"""Detect the role's units, processes and files on this host; classify the outcome."""

from __future__ import annotations

import os

from memory_leak_host import drop_ins, paths, proc, processes, records, scripts, service, trust, units
from memory_leak_host.workload_interface import MAX_SESSIONS_OPTION

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from typing import Any

    from memory_leak_controller.contract import Definition, InstallLocation
    from memory_leak_host.service import FoundDefinition

KNOWN_BY_BYTES = 200


class Host:
    """The role's units, processes and files on this host, under any name."""

    def __init__(self, definition: Definition, install_locations: list[InstallLocation], source: bytes):
        self.wanted = definition
        self.units = units.ours()
        self.records = records.found()
        # The workload is recognised by its docstring: a file name alone would also match other files.
        self.known = source[:KNOWN_BY_BYTES]
        recognised = [
            each for each in [definition, *install_locations] if self.is_workload(service.workload_path(each))
        ]
        # Proven to be the role's: by a managed unit, by a start record, or by a recognised workload.
        proven: list[Any] = [*self.units.values(), *self.records.values(), *recognised]
        found: list[Any] = [definition, *proven]
        self.workloads = list(dict.fromkeys(service.workload_path(each) for each in found))
        self.pid_files = list(dict.fromkeys(each["pid_file"] for each in found))
        self.outputs = [*self.pid_files, *dict.fromkeys(each["log_file"] for each in found)]
        self._proven = {path for each in proven for path in (each["pid_file"], each["log_file"])}
        self._proven |= {service.workload_path(each) for each in proven}
        pythons = scripts.pythons()
        in_units = {pid: unit for pid in pythons if (unit := processes.unit_of(pid, self.units))}
        others = [pid for pid in pythons if pid not in in_units]
        proven_workloads = [service.workload_path(each) for each in proven]
        outside = scripts.running(others, self.workloads, self.known, proven_workloads)
        self.unit_of: dict[int, str | None] = {**in_units, **dict.fromkeys(outside)}  # None: manual start
        self._states: dict[str, dict[str, str]] | None = None

    def is_workload(self, path: str) -> bool:
        """Return whether the file at a path begins like the workload."""
        return bool(self.known) and paths.content(path, len(self.known), from_end=False) == self.known

    def unproven(self) -> list[str]:
        """Return the files at the wanted paths that are not proven to be the role's."""
        workload = service.workload_path(self.wanted)
        return [path for path in (workload, *self.outputs) if paths.is_present(path) and path not in self._proven]

    def in_the_way(self) -> list[str]:
        """Return the unproven files that setup must not replace.

        In a sticky directory such as /tmp, where anyone may create a file, it replaces a log or PID file whoever owns it.
        """
        workload = service.workload_path(self.wanted)
        return [path for path in self.unproven() if path == workload or not trust.is_sticky(os.path.dirname(path))]

    def _may_be_of_manual_start(self, path: str) -> bool:
        """Return whether an unproven log or PID file, root's in a sticky directory, may come from a manual start."""
        try:
            is_roots = os.lstat(path).st_uid == 0
        except OSError:  # a user's own file system
            return False
        return path in self.outputs and trust.is_sticky(os.path.dirname(path)) and is_roots

    @property
    def states(self) -> dict[str, dict[str, str]]:
        """Return the properties of the managed units. Queried on first use: it is slow and not always needed."""
        if self._states is None:
            self._states = units.show_settled(list(self.units)) if self.units else {}
        return self._states

    def refresh(self) -> None:
        """Discard the cached properties and the processes that have exited."""
        self._states = None
        self.unit_of = {pid: unit for pid, unit in self.unit_of.items() if processes.measure(pid)}

    def foreign_unit(self) -> str | None:
        """Return why setup may not use the wanted unit name, or None. A managed unit of that name does not count."""
        name = self.wanted["unit"]
        if name in self.units:
            others = units.files(name)[1:]  # the first is that of the managed unit
            return f"{name} is also defined by {others[0]}, which is not the role's" if others else None
        if not units.files(name):
            pid = units.main_pid_without_file(name)
            if pid is None or pid in self.unit_of:
                return None
            return f"{name} runs on this host and is not the role's: its unit file has been removed. Stop it"
        state = units.show([name])[name]
        if state["LoadState"] == "not-found":
            return None
        if state["LoadState"] == "masked":
            return f"{name} is masked on this host"
        return f"{name} exists on this host and is not the role's: {state['FragmentPath'] or state['LoadState']}"

    @property
    def started_by_hand(self) -> list[int]:
        """Return the PIDs of the processes that run the workload outside the managed units."""
        outside = [pid for pid, unit in self.unit_of.items() if unit is None]
        return [pid for pid in outside if pid not in self.in_units] if outside else []

    @property
    def in_units(self) -> set[int]:
        """Return the PIDs of the processes of the managed units."""
        # A drop-in may have moved a unit to another slice: MainPID still identifies its process.
        main = {int(state["MainPID"]) for state in self.states.values()}
        return main | {pid for pid, unit in self.unit_of.items() if unit}

    def drop_in_changes(self, name: str, lasting: bool = False) -> list[str]:
        """Return the changes that drop-ins make to the command and safety settings of the wanted unit or a managed one.

        `lasting` excludes those of `systemctl set-property`, which disappear with the transient unit.
        """
        files = units.drop_in_files(name)
        if lasting:
            files = [path for path in files if not path.startswith(units.TRANSIENT_DIRECTORY)]
        definition: Any = self.wanted if name == self.wanted["unit"] else self.units[name]
        return drop_ins.changes(files, definition) if files else []

    def running(self) -> tuple[str | None, int] | None:
        """Return the unit and PID of the running workload, or None. After a manual start, the unit is None.

        Checks the units' cgroups first, which is fast, and queries systemd only if they are empty.
        """
        for pid, unit in self.unit_of.items():
            if unit:
                return unit, pid
        for unit, state in self.states.items():
            if int(state["MainPID"]):
                return unit, int(state["MainPID"])
        return (None, self.started_by_hand[0]) if self.started_by_hand else None

    def definition(self) -> FoundDefinition | None:
        """Return the definition of the managed unit, or None."""
        return next(iter(self.units.values()), None)

    def files(self) -> list[str]:
        """Return the role's files on this host, except the start records."""
        present = [path for path in [*self.outputs, *self.workloads] if paths.is_present(path)]
        unproven = [path for path in self.unproven() if not self._may_be_of_manual_start(path)]
        half_written = [path for pid_file in self.pid_files for path in paths.half_written(pid_file)]
        return [path for path in present if path not in unproven] + half_written

    def empty_directories(self) -> list[str]:
        """Return empty directories of the workload and the start records, and their empty parents. A killed run leaves them."""
        directories = dict.fromkeys([*map(os.path.dirname, self.workloads), records.DIRECTORY])
        return [path for directory in directories for path in paths.removable_directories(directory, [])]


def describe(host: Host) -> dict[str, Any]:
    """Return the `outcome` and the `workload` of a contract.Result."""
    running = host.running()
    if running:
        name, pid = running
        measured = processes.measure(pid)
        if measured:
            ceiling_bytes = processes.ceiling_bytes(pid) if name else None
            room_bytes = (
                proc.memory()["MemAvailable"] if ceiling_bytes is None else ceiling_bytes - measured["rss_bytes"]
            )
            target_rate = processes.target_rate(pid)
            bounded = processes.option(pid, MAX_SESSIONS_OPTION)
            workload = {
                **measured,
                "pid": pid,
                "unit": name,
                "ceiling_bytes": ceiling_bytes,
                "oom_in_s": None if bounded else max(0, round(room_bytes / (target_rate * 1024**2 / 60))),
                "command": processes.command_text(pid),
                "target_rate_mib_per_min": target_rate,
            }
            return {"outcome": "running", "workload": workload}
        host.refresh()
    for name in host.units:
        if units.has_failed(host.states[name]):
            outcome = {"oom-kill": "oom_killed", "timeout": "expired"}.get(host.states[name]["Result"], "crashed")
            if outcome == "expired" and units.lifetime_s(host.states[name]) < host.units[name]["runtime_max_s"]:
                outcome = "crashed"  # the timeout was that of a stop: systemd killed it
            return {"outcome": outcome, "workload": {"unit": name}}
    if host.units or host.files() or records.files() or host.empty_directories():
        return {"outcome": "stopped", "workload": {"unit": next(iter(host.units), None)}}
    return {"outcome": "absent", "workload": {}}
