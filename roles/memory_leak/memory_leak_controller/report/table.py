"""The fleet report as text: one line per host, worst first, and a summary line."""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import Any

from ..contract import OUTCOMES, Record, colour
from ..escaping import printable

HEADINGS = ("host", "outcome", "PID", "RSS MiB", "MiB/min", "ceiling in", "message")
NUMBERS = slice(2, 6)  # the columns that are aligned to the right
WORST_FIRST = list(OUTCOMES)
LONGEST_MESSAGE = 300  # characters; the files have all of it
MOST_ROWS = 40  # of a larger fleet, only the hosts that are not in the desired state are listed


def rows(records: list[Record], exceptions: set[str], everything: bool = False) -> tuple[list[Record], str]:
    """Return the hosts to list, worst first, and the summary line.

    `exceptions` are the names of the hosts that are not in the desired state. Of a large fleet only they are listed, unless
    `everything` is set.
    """
    ordered = sorted(
        records, key=lambda record: (record["host"] not in exceptions, _severity(record), natural(record["host"]))
    )
    listed = ordered
    if len(ordered) > MOST_ROWS and not everything:
        listed = [record for record in ordered if record["host"] in exceptions][:MOST_ROWS]
    counts = Counter(record["outcome"] for record in ordered)
    summary = f"{len(ordered)} host{'s' * (len(ordered) != 1)}: " + ", ".join(
        f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]
    )
    if len(listed) < len(ordered):
        summary += f" ({len(ordered) - len(listed)} not listed; MEMORY_LEAK_ALL_HOSTS=1 lists all)"
    return listed, summary


def _severity(record: Record) -> int:
    return WORST_FIRST.index(record["outcome"])


def natural(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key that puts host9 before host10."""
    return [(0, int(part[:18])) if number % 2 else (1, part) for number, part in enumerate(re.split(r"([0-9]+)", name))]


def row(record: Record) -> tuple[str, ...]:
    """Return the columns of a host."""
    rss, rate = record["rss_bytes"], record["rate_mib_per_min"]
    interval = record["rate_ci95_mib_per_min"]
    return (
        printable(record["host"]),
        record["outcome"],
        str(record["pid"] or ""),
        "" if rss is None else f"{rss / 1024**2:.1f}",
        "" if rate is None or interval is None else f"{_short(rate)} ±{_short((interval[1] - interval[0]) / 2)}",
        "" if record["oom_in_s"] is None else span(record["oom_in_s"]),
        printable(record["message"], LONGEST_MESSAGE),
    )


def _short(number: float) -> str:
    return f"{number:.2f}" if abs(number) < 1e6 else f"{number:.1e}"


def span(seconds: float) -> str:
    """Return a time span in words: '45 s', '32 min', '5.2 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def render(listed: list[Record], summary: str) -> str:
    """Return the report: a coloured table on a terminal if rich is installed, otherwise plain columns."""
    try:
        if sys.stdout.isatty():
            return _coloured(listed, summary)
    except ImportError:
        pass
    return _plain(listed, summary)


def _plain(listed: list[Record], summary: str) -> str:
    lines = [HEADINGS, *map(row, listed)] if listed else []
    last = len(HEADINGS) - 1
    widths = [max(len(line[column]) for line in lines) for column in range(last)] if lines else []
    text = []
    for line in lines:
        cells = [
            cell.rjust(width) if column in range(*NUMBERS.indices(last)) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        text.append("  ".join([*cells, line[last]]).rstrip())
    return "\n".join([*text, summary])


def _coloured(listed: list[Record], summary: str) -> str:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        show(console, listed, summary)
    return "\n".join(part.rstrip() for part in capture.get().rstrip().splitlines())


def show(console: Any, listed: list[Record], summary: str) -> None:
    """Print the report on a rich console."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if column in range(*NUMBERS.indices(99)) else "left", overflow="fold")
    for record in listed:
        host, outcome, *others = row(record)
        table.add_row(host, Text(outcome, style=colour(record)), *others)
    if listed:
        console.print(table)
    console.print(Text(summary, style="bold"))
