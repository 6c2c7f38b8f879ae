"""A progress bar while a fleet is observed, on a terminal where rich is installed: hosts done, and the time left."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any


class Bar:
    """A bar on the terminal that moves with the time that the observation takes, batch by batch of `forks` hosts."""

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
        """Return the time, and move the bar on: rich asks for it before it draws."""
        now = time.monotonic()
        for task in (getattr(self, "_progress", None) and self._progress.tasks) or []:
            task.completed = min(now - self._began, self._expected_s)
            left = max(0.0, self._expected_s - (now - self._began))
            task.fields.update(done=self._done, left=f"{left:.0f} s left" if left else "just a moment")
        return now

    def advance(self) -> None:
        """Count one more host that is done."""
        self._done += 1

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def start(hosts: int, observe_s: float, forks: int) -> Any:
    """Show a bar and return it, or None where there is no terminal or no rich.

    None under ansible-runner too (AWX): its display plugin talks through stdout, of which a bar would take hold.
    """
    if "AWX_ISOLATED_DATA_DIR" in os.environ or not sys.stdout.isatty():
        return None
    try:
        return Bar(hosts, observe_s, forks)
    except ImportError:
        return None
