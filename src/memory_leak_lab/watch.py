"""Shows the memory of a fleet's leaks grow, host by host.

Usage: script/watch [--inventory PATH] [--seconds N] [--picture FILE]

Asks every host for its status, again and again, through status.yml, and shows what it says, until it is stopped or the time is
over: one table that is updated in place on a terminal, a line per sample elsewhere; the last table can be kept as an SVG
picture. A host that does not answer is shown as unreachable. Ends with status 1 if status.yml can't be run at all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from memory_leak_controller import growth
from memory_leak_lab import pictures

INTERVAL_S = 5
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 60
Sample = dict[str, Any]


def _playbook() -> str:
    """Return the status playbook: that of a checkout where we are in one, else that of the installed collection."""
    return "status.yml" if Path("status.yml").exists() else "sre_incidents.memory_leak.status"


def ask(inventory: str) -> list[Sample]:
    """Return the hosts' records as status.yml reports them now. Raises CalledProcessError if there are none."""
    with tempfile.TemporaryDirectory() as work:
        status = Path(work) / "status.json"
        done = subprocess.run(
            ["ansible-playbook", _playbook(), "-i", inventory, "-e", f"memory_leak_report_dir={work}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if not status.exists():
            done.check_returncode()
            raise subprocess.CalledProcessError(1, done.args, done.stdout, done.stderr)
        found: list[Sample] = json.loads(status.read_text())["hosts"]
        return found


def rate(samples: list[Sample]) -> str:
    """Return the growth of a host's samples in MiB per minute, by the host's own clock, or '' where there are too few."""
    alive = [sample for sample in samples if sample["rss_bytes"] and sample["pid"] == samples[-1]["pid"]]
    if len(alive) < 3:
        return ""
    line = growth.fit([sample["uptime_s"] for sample in alive], [sample["rss_bytes"] / 1024**2 for sample in alive])
    return f"{line.rate_per_min:.1f}"


def spark(samples: list[Sample]) -> str:
    """Return the memory of a host's samples as a row of bars, from nothing to the largest."""
    sizes = [sample["rss_bytes"] or 0 for sample in samples[-MOST_BARS:]]
    largest = max(sizes) or 1
    return "".join(BARS[round(size / largest * (len(BARS) - 1))] for size in sizes)


def table(history: dict[str, list[Sample]]) -> Table:
    """Return the table of all hosts."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("host", "left"), ("outcome", "left"), ("RSS MiB", "right"), ("MiB/min", "right")):
        view.add_column(heading, justify=justify)  # type: ignore[arg-type]
    view.add_column("RSS over time")
    for host, samples in history.items():
        now = samples[-1]
        rss = f"{now['rss_bytes'] / 1024**2:.1f}" if now["rss_bytes"] else ""
        view.add_row(host, now["outcome"], rss, rate(samples), spark(samples))
    return view


def watch(inventory: str, seconds: float | None, console: Console) -> dict[str, list[Sample]]:
    """Sample the fleet for a while, or until interrupted, show how it grows, and return the samples by host."""
    history: dict[str, list[Sample]] = {}
    began = time.monotonic()
    with Live(table(history), console=console, auto_refresh=False) as live, contextlib.suppress(KeyboardInterrupt):
        while not history or seconds is None or time.monotonic() - began < seconds:
            asked = time.monotonic()
            for sample in ask(inventory):
                history.setdefault(sample["host"], []).append(sample)
            if console.is_terminal:
                live.update(table(history), refresh=True)
            else:
                sizes = (
                    f"{host} {(samples[-1]['rss_bytes'] or 0) / 1024**2:6.1f} MiB" for host, samples in history.items()
                )
                console.print(f"{asked - began:3.0f} s  {'  '.join(sizes)}", highlight=False)
            time.sleep(max(0, INTERVAL_S - (time.monotonic() - asked)))
        live.update(table(history), refresh=True)
    console.print()
    return history


def save_picture(history: dict[str, list[Sample]], path: Path) -> None:
    """Write the table as an SVG picture."""
    console = pictures.recorder(90)
    console.print(table(history))
    pictures.save(console, path, "script/watch")


def main() -> int:
    """Run from the command line and return the exit status."""
    parser = argparse.ArgumentParser(description="Show the memory of a fleet's leaks grow, host by host.")
    parser.add_argument("--inventory", default="inventory", help="Ansible inventory (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="how long to watch (default: until Ctrl-C)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="an SVG file to keep the last table in")
    arguments = parser.parse_args()
    try:
        history = watch(arguments.inventory, arguments.seconds, Console())
        if arguments.picture:
            save_picture(history, arguments.picture)
    except subprocess.CalledProcessError as error:
        print(error.stdout + error.stderr, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
