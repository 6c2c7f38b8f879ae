"""A progress bar for the observation of a fleet, on a terminal if rich is installed: hosts done, and the time left."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any


class Bar:
    """A bar that advances with time, over the expected duration of the observation in batches of `forks` hosts."""

    def __init__(self, hosts: int, observe_s: float, forks: int):
        from rich.progress import BarColumn, Progress, TextColumn

        self._began = time.monotonic()
        self._expected_s = math.ceil(hosts / forks) * observe_s
        self._hosts = hosts
        self._done = 0
        self._progress = Progress(
            TextColumn("observing"),
            BarColumn(),
            TextColumn("{task.fields[done]} of {task.fields[hosts]} hosts"),
            TextColumn("{task.fields[left]}"),
            transient=True,
            get_time=self._tick,
        )
        self._task = self._progress.add_task("observing", total=self._expected_s, done=0, hosts=hosts, left="")
        self._progress.start()

    def _tick(self) -> float:
        """Return the time and advance the bar: rich calls this before it draws."""
        now = time.monotonic()
        for task in (getattr(self, "_progress", None) and self._progress.tasks) or []:
            task.completed = min(now - self._began, self._expected_s)
            left = max(0.0, self._expected_s - (now - self._began))
            task.fields.update(done=self._done, left=f"{left:.0f} s left" if left else "almost done")
        return now

    def advance(self) -> None:
        """Count one more host as done."""
        self._done += 1

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def start(hosts: int, observe_s: float, forks: int) -> Any:
    """Show a bar and return it, or None without a terminal or without rich.

    Also None under ansible-runner (AWX): its display plugin communicates over stdout, which a bar would take over.
    """
    if "AWX_ISOLATED_DATA_DIR" in os.environ or not sys.stdout.isatty():
        return None
    try:
        return Bar(hosts, observe_s, forks)
    except ImportError:
        return None
