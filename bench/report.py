"""Writes the results as tables in the terminal, as Markdown, JSON and a picture."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from rich.console import Console
from rich.table import Table

mpl.use("svg")
from matplotlib import pyplot as plt

ROLE, LIMIT = "this role", "parallel ssh"
PEERS = ("six tasks", "six tasks with facts", "six tasks, Mitogen", "six tasks, ansible-core-rs")
COLORS = {
    (ROLE, "cold"): "#c0392b",
    (ROLE, "warm"): "#e67e22",
    (LIMIT, "cold"): "#2c3e50",
    ("parallel-ssh library", "cold"): "#7f8c8d",
    **dict(zip(((peer, "cold") for peer in PEERS), ("#2980b9", "#8e44ad", "#16a085", "#b7950b"), strict=True)),
}
Rows = list[list[str]]
Key = tuple[str, str, str, int]  # contender, operation, connections, hosts


class Results:
    """The results of a run, with the medians for all tables."""

    def __init__(self, results: dict[str, Any]):
        self.results = results
        self.runs: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for run in results["runs"]:
            self.runs[run["contender"], run["operation"], run["connections"], run["hosts"]].append(run)
        sizes = {name: hosts for name, _operation, _connections, hosts in sorted(self.runs, key=lambda key: key[3])}
        # The largest size at which peers ran, or of all if the run was interrupted before any peer ran.
        self.hosts = max((sizes[peer] for peer in PEERS if peer in sizes), default=max(sizes.values()))

    def seconds(self, contender: str, operation: str, connections: str, hosts: int) -> float:
        """Return the median of the seconds, or NaN if not measured."""
        runs = self.runs.get((contender, operation, connections, hosts))
        return statistics.median(run["seconds"] for run in runs) if runs else math.nan

    def ratio(self, contender: str, operation: str, connections: str, hosts: int) -> float:
        """Return the median of the per-round ratios to plain ssh with new connections for the same steps.

        A ratio within a round cancels other load on the computer. A second setup is compared with ssh's only one.
        """
        limit = self.runs.get((LIMIT, operation.removesuffix(" again"), "cold", hosts), [])
        runs = self.runs.get((contender, operation, connections, hosts), [])
        ratios = [run["seconds"] / of["seconds"] for run, of in zip(runs, limit, strict=False)]
        return statistics.median(ratios) if ratios else math.nan

    def runs_table(self) -> Rows:
        """Return every series: median, spread, ratio to the limit, CPU time and round trips."""
        rows = [["hosts", "who", "operation", "connections", "seconds", "spread", "÷ ssh", "CPU s", "round trips"]]
        for (name, operation, connections, hosts), runs in sorted(self.runs.items(), key=lambda item: item[0][3]):
            seconds = sorted(run["seconds"] for run in runs)
            trips = sorted({trip for run in runs for trip in run["round_trips"]})
            rows.append(
                [
                    str(hosts),
                    name,
                    operation,
                    connections,
                    f"{statistics.median(seconds):.2f}",
                    f"{seconds[0]:.2f} to {seconds[-1]:.2f}",
                    f"{self.ratio(name, operation, connections, hosts):.2f}",
                    f"{statistics.median(run['cpu_s'] for run in runs):.2f}",
                    " to ".join(str(trip) for trip in dict.fromkeys([*trips[:1], *trips[-1:]])),
                ]
            )
        return rows

    def goals_table(self) -> Rows:
        """Return the goals and the measured values."""
        rows = [[f"measure, {self.hosts} hosts", "goal", "measured"]]
        for connections, goal in (("cold", 1.5), ("warm", 0.8)):
            for operation in ("setup", "cleanup", "reset"):
                value = self.ratio(ROLE, operation, connections, self.hosts)
                rows.append([f"{connections} {operation} ÷ parallel ssh", f"≤ {goal}", f"{value:.2f}"])
        own = self.runs.get((ROLE, "setup", "cold", self.hosts), [])
        for peer, least in zip(PEERS, (10, 10, 4, 1.6), strict=True):
            theirs = self.runs.get((peer, "setup", "cold", self.hosts), [])
            # Compare round by round, since peers run in fewer rounds.
            ratios = [run["seconds"] / of["seconds"] for run, of in zip(theirs, own, strict=False)]
            value = statistics.median(ratios) if ratios else math.nan
            rows.append([f"{peer} ÷ this role's setup", f"≥ {least}", f"{value:.2f}"])
        trips = {
            trip
            for (name, *_rest), runs in self.runs.items()
            if name == ROLE
            for r in runs
            for trip in r["round_trips"]
        }
        rows.append(["round trips per host, every operation and size", "1", ", ".join(map(str, sorted(trips)))])
        for operation in ("setup", "cleanup", "reset"):
            rows.append([f"exponent of cold {operation}, N from 10", "≤ 1.05", f"{self.exponent(operation):.2f}"])
        overhead = self.results["overhead"]
        runs = self.runs.get((ROLE, "setup", "cold", self.hosts))
        cpu = statistics.median(run["cpu_s"] for run in runs) if runs else math.nan
        for report in ("plain", "terminal"):
            share = (overhead["validation_s"] + overhead[f"{report}_report_s"]) / cpu
            rows.append([f"validation and {report} report ÷ the controller's CPU time", "≤ 10 %", f"{share:.1%}"])
        return rows

    def exponent(self, operation: str) -> float:
        """Return the slope of log(time) over log(hosts) from 10 hosts, or NaN with fewer than two sizes."""
        sizes = sorted({hosts for name, _operation, _connections, hosts in self.runs if name == ROLE and hosts >= 10})
        if len(sizes) < 2:
            return math.nan
        times = [math.log(self.seconds(ROLE, operation, "cold", size)) for size in sizes]
        return statistics.linear_regression([math.log(size) for size in sizes], times).slope

    def memory_table(self) -> Rows:
        """Return the controller's memory by number of hosts."""
        rows = [["hosts", "parent MiB", "each fork's own MiB", "all processes MiB"]]
        for found in self.results["memory"]:
            values = (found["parent_bytes"], found["fork_bytes"], found["all_bytes"])
            rows.append([str(found["hosts"]), *(f"{value / 1024**2:.1f}" for value in values)])
        return rows

    def forks_table(self) -> Rows:
        """Return the time of setup and cleanup by number of forks."""
        by_forks = defaultdict(list)
        for found in self.results["forks"]:
            by_forks[found["forks"]].append(found["seconds"])
        rows = [["forks", "setup and cleanup, cold, s", "spread"]]
        for forks, seconds in by_forks.items():
            rows.append([str(forks), f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}"])
        return rows

    def workload_table(self) -> Rows:
        """Return the linearity of the workload's growth."""
        rows = [["rate", "measured", "slope error %", "R²", "largest residual MiB", "CPU %", "RSS MiB"]]
        for found in self.results["workload"]:
            rows.append(
                [
                    f"{found['target_rate_mib_per_min']:g}",
                    f"{found['rate_mib_per_min']:.3f}",
                    f"{found['slope_error_percent']:+.2f}",
                    f"{found['r_squared']:.6f}",
                    f"{found['largest_residual_mib']:.2f}",
                    f"{found['cpu_percent']:.2f}",
                    f"{found['rss_at_start_mib']:.0f} → {found['rss_at_end_mib']:.0f}",
                ]
            )
        return rows

    def tables(self) -> Iterable[tuple[str, Rows]]:
        """Return all tables with their titles."""
        yield "Goals", self.goals_table()
        yield "The controller's memory during a setup", self.memory_table()
        yield "Forks", self.forks_table()
        yield f"The workload over {self.results['workload_seconds']} s, in MiB per minute", self.workload_table()
        yield "All series", self.runs_table()


def write(results: dict[str, Any], directory: Path, console: Console) -> None:
    """Print the tables, and write `results.json`, `results.md` and `setup.svg` to a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    found = Results(results)
    about = ", ".join(f"{name} {value}" for name, value in results["computer"].items())
    markdown = [
        f"# Measured {results['generated_at'][:10]}",
        "",
        f"On one computer that is controller and fleet: {about}.",
    ]
    for title, rows in found.tables():
        console.print(_rich(title, rows))
        markdown += ["", f"## {title}", "", *_markdown(rows)]
    (directory / "results.md").write_text("\n".join(markdown) + "\n")
    _plot(found, directory / "setup.svg")
    console.print(f"written to {directory}")


def _rich(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows[1:]:
        table.add_row(*row)
    return table


def _markdown(rows: Rows) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _plot(found: Results, path: Path) -> None:
    """Plot setup time over number of hosts, both logarithmic."""
    mpl.rcParams.update({"svg.hashsalt": "memory-leak", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for (contender, connections), color in COLORS.items():
        points = sorted(
            (hosts, found.seconds(contender, "setup", connections, hosts))
            for name, operation, kept, hosts in found.runs
            if (name, operation, kept) == (contender, "setup", connections)
        )
        if not points:
            continue
        label = f"{contender}, connections kept open" if connections == "warm" else contender
        width = 2.4 if contender == ROLE else 1.2
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, color=color, linewidth=width, label=label)
    axes.set(
        xscale="log", yscale="log", xlabel="hosts", ylabel="seconds", title="Time to set the incident up on a fleet"
    )
    sizes = sorted({hosts for *_series, hosts in found.runs})
    axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
