"""Show the memory of a fleet's leaks grow, host by host.

Usage: memory-leak-watch, or script/watch in a checkout, [--inventory PATH] [--seconds N] [--picture FILE]

Polls every host's status until interrupted or until --seconds have passed, through status.yml (in a checkout) or
sre_incidents.memory_leak.status (of the installed collection). On a terminal it updates one table in place; elsewhere it prints
a line per sample. --picture writes the last table as SVG. A host that does not answer is shown as unreachable. Exits 1 if the
playbook cannot be run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from memory_leak_controller import growth
from memory_leak_lab import pictures

COLLECTION = "sre_incidents.memory_leak"
INTERVAL_S = 5
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 60
Sample = dict[str, Any]


def _command() -> tuple[list[str], dict[str, str]]:
    """Return the command that runs the status playbook, and its environment. Raises FileNotFoundError without Ansible.

    Uses the checkout's playbook in a checkout, else the installed collection's, whose report must be enabled.
    """
    beside_python = str(Path(sys.executable).parent)
    ansible = shutil.which("ansible-playbook") or shutil.which("ansible-playbook", path=beside_python)
    if not ansible:
        raise FileNotFoundError(
            f"ansible-playbook is neither on PATH nor in {beside_python}: install it with pip install ansible-core"
        )
    if Path("roles/memory_leak/memory_leak_controller").is_dir() and Path("status.yml").exists():
        return [ansible, "status.yml"], dict(os.environ)
    callbacks = [os.environ.get("ANSIBLE_CALLBACKS_ENABLED", ""), f"{COLLECTION}.memory_leak_report"]
    return [ansible, f"{COLLECTION}.status"], os.environ | {
        "ANSIBLE_CALLBACKS_ENABLED": ",".join(filter(None, callbacks))
    }


def ask(inventory: str) -> list[Sample]:
    """Return the hosts' current records from the status playbook. Raises CalledProcessError if it writes none."""
    command, environment = _command()
    with tempfile.TemporaryDirectory() as work:
        status = Path(work) / "status.json"
        done = subprocess.run(
            [*command, "-i", inventory, "-e", f"memory_leak_report_dir={work}"],
            env=environment,
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
    """Return a host's growth in MiB per minute, by the host's own clock, or '' with too few samples."""
    alive = [
        sample
        for sample in samples
        if sample["rss_bytes"] and sample["uptime_s"] is not None and sample["pid"] == samples[-1]["pid"]
    ]
    if len({sample["uptime_s"] for sample in alive}) < 3:
        return ""
    line = growth.fit([sample["uptime_s"] for sample in alive], [sample["rss_bytes"] / 1024**2 for sample in alive])
    return f"{line.rate_per_min:.1f}"


def spark(samples: list[Sample]) -> str:
    """Return the memory of a host's samples as a row of bars, scaled from zero to the largest."""
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
        view.add_row(Text(host), now["outcome"], rss, rate(samples), spark(samples))
    return view


def watch(inventory: str, seconds: float | None, console: Console) -> dict[str, list[Sample]]:
    """Sample the fleet for `seconds`, or until interrupted; show its growth and return the samples by host."""
    history: dict[str, list[Sample]] = {}
    with Live(table(history), console=console, auto_refresh=False) as live:
        _sample_until_interrupted(live, history, inventory, seconds, console)
        live.update(table(history), refresh=True)
    console.print()
    return history


def _sample_until_interrupted(
    live: Live, history: dict[str, list[Sample]], inventory: str, seconds: float | None, console: Console
) -> None:
    """Add samples to the history and show it, for `seconds` or until interrupted."""
    began = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        while not history or seconds is None or time.monotonic() - began < seconds:
            asked = time.monotonic()
            for sample in ask(inventory):
                history.setdefault(sample["host"], []).append(sample)
            if console.is_terminal:
                live.update(table(history), refresh=True)
            else:
                sizes = (f"{host} {_size_or_outcome(samples[-1])}" for host, samples in history.items())
                console.print(f"{asked - began:3.0f} s  {'  '.join(sizes)}", highlight=False, markup=False)
            time.sleep(max(0, INTERVAL_S - (time.monotonic() - asked)))


def _size_or_outcome(sample: Sample) -> str:
    return f"{sample['rss_bytes'] / 1024**2:6.1f} MiB" if sample["rss_bytes"] else str(sample["outcome"])


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
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the last table to this SVG file")
    arguments = parser.parse_args()
    try:
        history = watch(arguments.inventory, arguments.seconds, Console())
        if arguments.picture:
            save_picture(history, arguments.picture)
    except subprocess.CalledProcessError as error:
        print(error.stdout + error.stderr, file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
