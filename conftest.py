"""Counts the tests of every pytest run, and names the failed ones, for the end of script/test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Append the numbers of passed and failed tests, then a line per failed test, to the file TEST_COUNTS_FILE, if any."""
    counts_file = os.environ.get("TEST_COUNTS_FILE")
    if not counts_file:
        return
    passed = len(terminalreporter.stats.get("passed", []))
    failures = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    with Path(counts_file).open("a") as file:
        file.write(f"{passed} {len(failures)}\n")
        for failure in failures:
            crash = getattr(failure.longrepr, "reprcrash", None)
            message = crash.message if crash else str(failure.longrepr)
            file.write(f"FAILED {failure.nodeid}: {' '.join(message.split())[:600]}\n")
