"""Callback plugin: one line per host at the end of a run, with what the role found or did there.

It shows a table on a terminal where rich is installed, and the same columns as plain text elsewhere.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: memory_leak_report
type: aggregate
short_description: Report each host's outcome of the memory_leak role
description:
  - At the end of a run of the role C(memory_leak), shows one line per host, with its outcome.
  - Hosts that could not be reached are reported as C(unreachable).
options:
  records_file:
    description:
      - A file to write the records to, as a JSON list with one object per host, sorted by host. Not written by default.
    env:
      - name: MEMORY_LEAK_RECORDS_FILE
    ini:
      - section: memory_leak
        key: records_file
    type: path
"""

ACTION = "memory_leak"
FIELDS = ("outcome", "unit", "pid", "started_at", "uptime_s", "rss_bytes", "ceiling_bytes", "oom_in_s", "changes")
HEADINGS = ("host", "outcome", "pid", "RSS MiB", "ceiling MiB", "uptime s", "OOM in min", "note")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collects the results of the role's action and shows them when the run ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "memory_leak_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, dict[str, Any]] = {}

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
        """Show the report, and write the records where that is asked for."""
        if not self._records:
            return
        records = [self._records[host] for host in sorted(self._records, key=_natural)]
        self._display.display("\n" + _render([HEADINGS, *(_row(record) for record in records)]))
        records_file = self.get_option("records_file")
        if records_file:
            Path(records_file).write_text(json.dumps(records, indent=2) + "\n")

    def _collect(self, result: Any, outcome: str | None = None) -> None:
        task, host, fields = _parts(result)
        if task.action != ACTION:
            return
        if not outcome and fields.get("timedout"):
            outcome = "unreachable"
        record = {"host": host.name, **{name: fields.get(name) for name in FIELDS}}
        record["outcome"] = outcome or fields.get("outcome") or "failed"
        record["changed"] = bool(fields.get("changed"))
        record["message"] = str(fields.get("msg") or "")
        self._records[host.name] = record


def _parts(result: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return a result's task, host and fields; ansible-core 2.19 made them public and deprecated the old names."""
    if hasattr(result, "task"):
        return result.task, result.host, result.result
    return result._task, result._host, result._result


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key by which host9 comes before host10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    def number(name: str, divisor: float, digits: int) -> str:
        value = record[name]
        return "" if value is None else f"{value / divisor:.{digits}f}"

    return (
        record["host"],
        record["outcome"],
        str(record["pid"] or ""),
        number("rss_bytes", 1024**2, 1),
        number("ceiling_bytes", 1024**2, 0),
        number("uptime_s", 1, 0),
        number("oom_in_s", 60, 1),
        record["message"],
    )


def _render(rows: list[tuple[str, ...]]) -> str:
    """Return the rows as a table, the first being its headings."""
    try:
        if not sys.stdout.isatty():
            return _plain(rows)
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return _plain(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if 2 <= column <= 6 else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _plain(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows)
