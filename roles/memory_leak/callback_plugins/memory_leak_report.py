"""Callback plugin: report the fleet at the end of a run, as a table and files, and append to the ground truth.

It needs only ansible-core. With rich it has colours and a progress bar on a terminal; with plotly, report.html has charts.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ansible import context
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

ROLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROLE))

import memory_leak_controller

memory_leak_controller.require_own_copy(ROLE)
from memory_leak_controller import contract, report, validation
from memory_leak_controller.contract import Record, StatusReport
from memory_leak_controller.escaping import LONGEST_MESSAGE, printable
from memory_leak_controller.report import page, progress, records, table

sys.path.remove(str(ROLE))

DOCUMENTATION = """
name: memory_leak_report
type: aggregate
short_description: Report each host's outcome of the memory_leak role
description:
  - At the end of a run of the role C(memory_leak), shows one line per host, with its outcome, worst first, and the counts.
    Of a large fleet it lists only the hosts that are not in the desired state. A playbook that runs several operations gets a
    table for each; the files contain the last operation of each host.
  - A report that can't be written is an error, and the run exits 1.
  - Hosts that could not be reached are reported as C(unreachable).
  - Writes C(status.json), C(status.csv) and C(report.html) to C(memory_leak_report_dir), and appends to the ground truth in
    C(memory_leak_ground_truth_dir).
options:
  records_file:
    description:
      - A file for the return values of the role's action, as a JSON list with one object per host, sorted by host. Not
        written by default.
    env:
      - name: MEMORY_LEAK_RECORDS_FILE
    ini:
      - section: memory_leak
        key: records_file
    type: path
  all_hosts:
    description: Whether the table lists all hosts of a large fleet.
    env:
      - name: MEMORY_LEAK_ALL_HOSTS
    ini:
      - section: memory_leak
        key: all_hosts
    type: str
    default: "false"
"""

EVENTS = {"setup": "setup", "reset": "reset", "cleanup": "cleanup", "status": "observation"}


@dataclass
class Run:
    """One operation of a playbook run, with the answers of its hosts."""

    operation: str
    check_mode: bool
    settings: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hosts(self) -> list[Record]:
        """Return the records by host name."""
        return [self.records[name] for name in sorted(self.records, key=table.natural)]


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collects the results of the role's action and reports them when the run ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "memory_leak_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        report.callback_file = report.callback_file or __file__
        self.disabled = report.callback_file != __file__  # Ansible does not call disabled callbacks
        self._runs: list[Run] = []
        self._play: Any = None
        self._settings: dict[str, dict[str, Any]] = {}  # by task
        self._progress: Any = None
        self._problems: list[str] = []

    def v2_playbook_on_start(self, _playbook: Any) -> None:
        """Move behind all other callbacks: when this one exits at the end, those behind it would miss the event."""
        frame = inspect.currentframe()
        while frame and not isinstance(frame.f_locals.get("self"), TaskQueueManager):
            frame = frame.f_back
        if frame:
            manager = frame.f_locals["self"]
            # A new list: Ansible is iterating over the old one.
            manager._callback_plugins = sorted(manager._callback_plugins, key=lambda plugin: plugin is self)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember the play, which has the variables."""
        self._play = play

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Read the settings when the role's action starts, and show the progress of the observation."""
        if not contract.is_own_action(task) or task._uuid in self._settings:
            return
        self._settings[task._uuid] = settings = self._read_settings(host, task)
        observes = settings["observe_s"] and task.args.get("operation") != "cleanup" and not task.check_mode
        if observes and not self._progress:
            hosts = len(self._play.get_variable_manager()._inventory.get_hosts(self._play.hosts))
            self._progress = progress.start(hosts, settings["observe_s"], context.CLIARGS.get("forks") or 1)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Collect the record of a host where the operation succeeded."""
        self._collect(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Collect the record of a host where the operation was refused or failed."""
        self._collect(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Collect the record of an unreachable host."""
        self._collect(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the report of each operation, and write the files. Exits 1 if a report could not be written."""
        if self._progress:
            self._progress.stop()
        problems = self._problems
        if self._runs:
            problems += self._write()
        # Last: a closed terminal must not prevent the files.
        problems += _attempt([functools.partial(self._show, run) for run in self._runs])
        for problem in dict.fromkeys(problems):
            with contextlib.suppress(OSError):
                self._display.error(f"could not write the report: {problem}")
        if problems:
            # Ansible would swallow an exception and report success.
            raise SystemExit(1)

    def _show(self, run: Run) -> None:
        exceptions = {host["host"] for host in run.hosts() if not contract.is_success(host, run.operation)}
        # With an option of type bool, Ansible would silently skip this callback if the value is invalid.
        everything = boolean(self.get_option("all_hosts"), strict=False)
        listed, summary = table.rows(run.hosts(), exceptions, everything)
        note = "\ncheck mode: predicted, nothing was changed" if run.check_mode else ""
        self._display.display(f"\n{table.render(listed, summary)}{note}")
        shares = {name: run.settings[f"{name}_percent"] for name in ("control", "decoy")}
        if run.operation in ("setup", "reset") and any(shares.values()):
            counts = Counter(host["variant"] for host in run.hosts())
            dealt = ", ".join(f"{counts[variant]} {variant}" for variant in contract.VARIANTS)
            self._display.display(f"variants: {dealt} (the percentages are probabilities for each host)")
            if not counts["leaker"]:
                self._display.warning("no host is a leaker: lower the percentages or choose another memory_leak_seed")
            for name in (name for name, percent in shares.items() if percent and not counts[name]):
                self._display.warning(f"no host is a {name}: raise memory_leak_{name}_percent or choose another seed")
        elif run.operation in ("setup", "reset"):
            kept = sorted(host["host"] for host in run.hosts() if host["variant"] in ("control", "decoy"))
            if kept:
                self._display.display(
                    f"variants: {', '.join(kept)} not a leaker, as set or recorded by an earlier setup"
                )

    def _write(self) -> list[str]:
        """Write the files with the last operation of each host, and return error messages."""
        last = self._runs[-1]
        run = Run(last.operation, last.check_mode, last.settings)
        for each in self._runs:
            run.records |= each.records
            run.raw |= each.raw
        directory = records.base_directory(ROLE) / Path(run.settings["report_dir"]).expanduser()
        status: dict[str, Any] = {}
        records_file = self.get_option("records_file")

        def write_status() -> None:
            status.update(records.write(directory, run.operation, run.hosts(), records.now()))

        def write_page() -> None:
            if status:
                page.write(cast(StatusReport, status), directory / "report.html")

        def write_records() -> None:
            raw = [{**run.raw[host["host"]], **host} for host in run.hosts()]
            records.replace(Path(records_file).absolute(), json.dumps(raw, indent=2, allow_nan=False) + "\n")

        # What check mode predicts has not happened.
        files = [] if last.check_mode else [write_status, write_page]
        return _attempt([*files, *([write_records] if records_file else [])])

    def _read_settings(self, host: Any, task: Any) -> dict[str, Any]:
        """Return a host's settings that stay on the controller, with defaults instead of invalid values."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
        templar = Templar(loader=self._play.get_loader(), variables=variables)
        values = {}
        for name in validation.DEFAULTS.keys() & variables.keys():
            try:
                values[name] = templar.template(variables[name])
            except Exception as error:  # the action reports it for each host
                self._display.vvv(f"{name}: {error}")
        return validation.valid_settings(values)

    def _collect(self, result: Any, outcome: str | None = None) -> None:
        task, host, fields = _parts(result)
        if not contract.is_own_action(task):
            return
        if "results" in fields and "outcome" not in fields:  # a loop
            for each in fields["results"]:
                if each.get("skipped"):
                    continue
                self._collect_one(task, host, each, outcome)
        else:
            self._collect_one(task, host, fields, outcome)

    def _collect_one(self, task: Any, host: Any, fields: dict[str, Any], outcome: str | None) -> None:
        if self._progress:
            self._progress.advance()
        if not outcome and fields.get("timedout"):
            outcome = "unreachable"
        if "censored" in fields:
            self._problems.append("no_log hides the hosts' answers: run without it")
        messages = [str(fields.get("msg") or "").strip(), *fields.get("warnings", [])]
        message = printable("; ".join(filter(None, messages)), LONGEST_MESSAGE)
        run = self._run_of(task, host.name)
        run.raw[host.name] = {"changed": bool(fields.get("changed")), "changes": fields.get("changes", [])}
        record = contract.record(
            host.name, outcome or fields.get("outcome") or "failed", {**fields, "message": message}
        )
        run.records[host.name] = record
        # Not in check mode, which only predicts, and not for a host that was not asked.
        if "ground_truth_dir" in fields and not run.check_mode:
            # At once: the host's next operation reads it, and the run may be interrupted.
            step = functools.partial(_append_ground_truth, fields["ground_truth_dir"], run.operation, record)
            self._problems += _attempt([step])

    def _run_of(self, task: Any, host: str) -> Run:
        """Return the run that a result belongs to. Batches of hosts (`serial`) and hosts that run ahead (`free`) share it."""
        operation = task.args.get("operation", "")
        for run in reversed(self._runs):
            if host in run.records:
                break
            if (run.operation, run.check_mode) == (operation, task.check_mode):
                return run
        settings = self._settings.get(task._uuid) or next(iter(self._settings.values()), None)
        self._runs.append(Run(operation, task.check_mode, settings or validation.valid_settings({})))
        return self._runs[-1]


def _append_ground_truth(directory: str, operation: str, record: Record) -> None:
    """Append a host's answer to its ground truth."""
    path = records.base_directory(ROLE) / Path(directory).expanduser()
    records.append_ground_truth(path, EVENTS[operation], record, records.now())


def _attempt(steps: list[Callable[[], None]]) -> list[str]:
    """Execute all steps, even if some fail, and return their error messages."""
    problems = []
    for step in steps:
        try:
            step()
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
    return problems


def _parts(result: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return a result's task, host and fields; ansible-core 2.19 made them public and deprecated the old names."""
    if hasattr(result, "task"):
        return result.task, result.host, result.result
    return result._task, result._host, result._result
