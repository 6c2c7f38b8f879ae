"""Measures the controller's CPU time for validation and the report: `python -m bench.overhead HOSTS` prints JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from memory_leak_controller import contract, validation, variables
from memory_leak_controller.report import page, records, table


class Terminal:
    """Stands in for stdout and claims to be a terminal, on which the report is a table."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Return True."""
        return True

    def write(self, _text: str) -> int:
        """Discard a text."""
        return 0

    def flush(self) -> None:
        """Do nothing."""


def validation_s(hosts: int) -> float:
    """Return the CPU time in seconds for validating the role's defaults for a number of hosts."""
    values = validation.DEFAULTS
    began = time.process_time()
    for _host in range(hosts):
        variables.unknown(values)
        validation.validate(values)
    return time.process_time() - began


def report_s(hosts: int, terminal: bool) -> float:
    """Return the CPU time in seconds of a report on a number of hosts, including its imports."""
    known = {"pid": 4711, "rss_bytes": 12_000_000, "oom_in_s": 2000, "message": "a warning that says what to do"}
    stdout = sys.stdout
    began = time.process_time()
    if terminal:
        sys.stdout = Terminal()
    try:
        fleet = [contract.record(f"host-{number}", "running", known) for number in range(hosts)]
        table.render(*table.rows(fleet, set(), everything=True))
        with tempfile.TemporaryDirectory() as directory:
            status = records.write(Path(directory), "status", fleet, records.now())
            page.write(status, Path(directory) / "report.html")
    finally:
        sys.stdout = stdout
    return time.process_time() - began


if __name__ == "__main__":
    number = int(sys.argv[1])
    print(
        json.dumps(
            {
                "validation_s": validation_s(number),
                "plain_report_s": report_s(number, terminal=False),
                "terminal_report_s": report_s(number, terminal=True),
            }
        )
    )
