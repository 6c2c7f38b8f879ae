"""Counts the tests of every pytest run for the last line of script/test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Append the numbers of passed and failed tests to the file named by TEST_COUNTS_FILE, if any."""
    counts_file = os.environ.get("TEST_COUNTS_FILE")
    if counts_file:
        count = {outcome: len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
        with Path(counts_file).open("a") as file:
            file.write(f"{count['passed']} {count['failed'] + count['error']}\n")
