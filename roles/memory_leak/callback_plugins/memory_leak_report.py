"""Callback plugin: the fleet at a glance at the end of a run, its files for machines and browsers, and the ground truth.

It works with ansible-core alone. With rich it has colours and a progress bar on a terminal, with plotly report.html has charts.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

ROLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROLE))

import memory_leak_controller
from memory_leak_controller import contract, report, validation
from memory_leak_controller.contract import Record
from memory_leak_controller.report import page, progress, records, table

sys.path.remove(str(ROLE))
memory_leak_controller.require_own_copy(ROLE)

DOCUMENTATION = """
name: memory_leak_report
type: aggregate
short_description: Report each host's outcome of the memory_leak role
description:
  - At the end of a run of the role C(memory_leak), shows one line per host, with its outcome, worst first, and the counts.
    Of a large fleet it lists only the hosts that are not as they should be.
  - Hosts that could not be reached are reported as C(unreachable).
  - Writes C(status.json), C(status.csv) and C(report.html) to C(memory_leak_report_dir), and appends to the ground truth in
    C(memory_leak_ground_truth_dir).
options:
  records_file:
    description:
      - A file to write what the role's action returned to, as a JSON list with one object per host, sorted by host. Not
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
    type: bool
    default: false
"""

EVENTS = {"setup": "setup", "reset": "reset", "cleanup": "cleanup", "status": "observation"}


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collects the results of the role's action and reports them when the run ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "memory_leak_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        report.is_enabled = True
        self._records: dict[str, Record] = {}
        self._raw: dict[str, dict[str, Any]] = {}
        self._times: dict[str, datetime] = {}
        self._operation = ""
        self._check_mode = False
        self._play: Any = None
        self._settings: dict[str, Any] = {}
        self._progress: Any = None

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Keep the play, which knows the variables."""
        self._play = play

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Read the settings when the role's action begins, and show how far the observation is."""
        if not contract.is_own_action(task) or self._settings:
            return
        self._operation = task.args.get("operation", "")
        self._check_mode = task.check_mode
        self._settings = self._read_settings(host, task)
        observe_s = self._settings["observe_s"]
        if observe_s and self._operation != "cleanup" and not self._check_mode:
            hosts = len(self._play.get_variable_manager()._inventory.get_hosts(self._play.hosts))
            self._progress = progress.start(hosts, observe_s, context.CLIARGS.get("forks") or 1)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Collect the record of a host where the operation succeeded."""
        self._collect(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Collect the record of a host where it was refused or failed."""
        self._collect(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Collect a host that could not be reached."""
        self._collect(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the report, and write it where the settings say."""
        if self._progress:
            self._progress.stop()
        if not self._records:
            return
        hosts = [self._records[name] for name in sorted(self._records, key=table.natural)]
        exceptions = {host["host"] for host in hosts if not contract.is_success(host, self._operation)}
        listed, summary = table.rows(hosts, exceptions, self.get_option("all_hosts"))
        self._display.display("\n" + table.render(listed, summary))
        try:
            self._write(hosts)
        except OSError as error:
            self._display.error(f"could not write the report: {error}")

    def _write(self, hosts: list[Record]) -> None:
        base = records.base_directory(ROLE)
        directory = base / self._settings["report_dir"]
        status = records.write(directory, self._operation, hosts, records.now())
        for host in hosts:
            # Of a host that was not asked nothing is known, and what check mode predicts has not happened.
            if host["variant"] and not self._check_mode:
                # What a host said holds for when it said so: others may have taken longer.
                records.append_ground_truth(
                    base / self._settings["ground_truth_dir"],
                    EVENTS[self._operation],
                    host,
                    self._times[host["host"]],
                )
        page.write(status, directory / "report.html")
        records_file = self.get_option("records_file")
        if records_file:
            raw = [{**self._raw[host["host"]], **host} for host in hosts]
            Path(records_file).write_text(json.dumps(raw, indent=2) + "\n")

    def _read_settings(self, host: Any, task: Any) -> dict[str, Any]:
        """Return the settings that stay on the controller, as they are for a host; the defaults where they are not valid."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
        templar = Templar(loader=self._play.get_loader(), variables=variables)
        values = {name: templar.template(variables[name]) for name in validation.DEFAULTS if name in variables}
        for attempt in (values, {}):
            _definition, settings, errors = validation.validate(validation.DEFAULTS | attempt)
            if not errors:
                break
        return settings

    def _collect(self, result: Any, outcome: str | None = None) -> None:
        task, host, fields = _parts(result)
        if not contract.is_own_action(task):
            return
        if self._progress:
            self._progress.advance()
        if not outcome and fields.get("timedout"):
            outcome = "unreachable"
        message = "; ".join([*filter(None, [str(fields.get("msg") or "").strip()]), *fields.get("warnings", [])])
        self._times[host.name] = records.now()
        self._raw[host.name] = {
            "changed": bool(fields.get("changed")),
            "changes": fields.get("changes", []),
        }
        self._records[host.name] = contract.record(
            host.name, outcome or fields.get("outcome") or "failed", {**fields, "message": message}
        )


def _parts(result: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return a result's task, host and fields; ansible-core 2.19 made them public and deprecated the old names."""
    if hasattr(result, "task"):
        return result.task, result.host, result.result
    return result._task, result._host, result._result
