"""Run the benchmarks and write `results.json`, `results.md` and `setup.svg`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import contenders, measure, report, workload
from bench.contenders import LEAVES_RUNNING, Contender
from bench.fleet import settle
from bench.steps import PROJECT, scripts
from memory_leak_lab.lab.fleet import PARALLEL_SSH, Fleet

FORKS = (5, 10, 20, 40)
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 130)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer sizes, rounds and peers")
    parser.add_argument("--hosts", type=int, nargs="+", help="fleet sizes (1 5 10 25 50 100; quick: 1 10 25)")
    parser.add_argument("--peer-hosts", type=int, nargs="+", help="fleet sizes for the peers (10 50; quick: 10)")
    parser.add_argument("--rounds", type=int, help="rounds of the role and of ssh (5; quick: 2)")
    parser.add_argument("--peer-rounds", type=int, help="rounds of the peers (3; quick: 1)")
    parser.add_argument("--workload-seconds", type=int, help="how long the workload runs (300; quick: 30)")
    parser.add_argument("--output", type=Path, default=PROJECT / "reports" / "bench", help="directory for the results")
    chosen = parser.parse_args()
    quick = {"hosts": [1, 10, 25], "peer_hosts": [10], "rounds": 2, "peer_rounds": 1, "workload_seconds": 30}
    full = {
        "hosts": [1, 5, 10, 25, 50, 100],
        "peer_hosts": [10, 50],
        "rounds": 5,
        "peer_rounds": 3,
        "workload_seconds": 300,
    }
    for name, value in (quick if chosen.quick else full).items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    return chosen


class Bench:
    """Runs contenders on a fleet and records the cost of each run."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.runs: list[dict[str, Any]] = []

    def round(self, contender: Contender, count: int, keep_open: bool, count_round_trips: bool) -> None:
        """Run all operations of a contender once, in order, with connections kept open or not."""
        fleet = self.fleet
        connections = "warm" if keep_open else "cold"
        for operation in contender.operations:
            settle(fleet)
            if keep_open:
                fleet.run_everywhere("true", count)
            before = fleet.round_trips(count) if count_round_trips else []
            command = contender.command(operation, count)
            cost = measure.run(command, fleet.work / "log", contender.environment)
            CONSOLE.print(f"{count:4} hosts  {contender.name:28} {operation:12} {connections}  {cost.seconds:7.2f} s")
            expected = LEAVES_RUNNING.get(operation)
            if expected is not None and fleet.running(count) != count * expected:
                raise measure.BenchError(
                    f"after {operation} by {contender.name} the workload runs on {fleet.running(count)} of {count} hosts"
                )
            after = fleet.round_trips(count) if count_round_trips else []
            self.runs.append(
                {
                    "contender": contender.name,
                    "operation": operation,
                    "connections": connections,
                    "hosts": count,
                    **asdict(cost),
                    "round_trips": sorted({later - earlier for earlier, later in zip(before, after, strict=True)}),
                }
            )
        if "cleanup" not in contender.operations:
            fleet.run_everywhere(scripts()["cleanup"], count)

    def fleet_rounds(self, chosen: argparse.Namespace) -> None:
        """Measure all contenders in turn, round by round."""
        for number in range(chosen.rounds):
            for count in chosen.hosts:
                with_peers = number < chosen.peer_rounds and count in chosen.peer_hosts
                for contender in contenders.basic(self.fleet) + (contenders.peers(self.fleet) if with_peers else []):
                    for keep_open in contender.kept:
                        self.round(contender, count, keep_open, count_round_trips=number == 0)

    def memory(self, counts: list[int]) -> list[dict[str, Any]]:
        """Return the controller's peak memory during a setup, by number of hosts."""
        role = contenders.basic(self.fleet)[-1]
        found = []
        for count in counts:
            peaks = measure.memory(role.command("setup", count), self.fleet.work / "log")
            found.append({"hosts": count, **asdict(peaks)})
            measure.run(role.command("cleanup", count), self.fleet.work / "log")
        return found

    def forks(self, count: int, rounds: int) -> list[dict[str, Any]]:
        """Return the total time of setup and cleanup with cold connections, by number of forks."""
        role = contenders.basic(self.fleet)[-1]
        found = []
        for _round in range(rounds):
            for forks in FORKS:
                seconds = 0.0
                for operation in ("setup", "cleanup"):
                    settle(self.fleet)
                    command = [*role.command(operation, count), "--forks", str(forks)]
                    seconds += measure.run(command, self.fleet.work / "log").seconds
                found.append({"forks": forks, "hosts": count, "seconds": seconds})
                CONSOLE.print(f"{count:4} hosts  {forks:3} forks: setup and cleanup {seconds:7.2f} s")
        return found


def computer() -> dict[str, Any]:
    """Return what the results depend on: this computer and the versions of the programs."""
    packages = ("ansible-core", "mitogen", "parallel-ssh")
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "parallel": PARALLEL_SSH,
    }


def main() -> None:
    """Run all requested benchmarks. SIGINT or SIGTERM ends the rounds; the results so far are reported."""
    chosen = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sizes = sorted({*chosen.hosts, *chosen.peer_hosts})
    results: dict[str, Any] = {"generated_at": datetime.now(UTC).isoformat(timespec="seconds"), "computer": computer()}
    results["rounds"], results["peer_rounds"] = chosen.rounds, chosen.peer_rounds
    with tempfile.TemporaryDirectory() as work:
        fleet = Fleet(max(sizes), Path(work))
        try:
            bench = Bench(fleet)
            results["runs"] = bench.runs
            try:
                bench.fleet_rounds(chosen)
            except KeyboardInterrupt:
                CONSOLE.print("interrupted: no more rounds")
                role = contenders.basic(fleet)[-1]  # its cleanup works from any state
                measure.run(role.command("cleanup", len(fleet.hosts)), fleet.work / "log")
            typical = 50 if 50 in sizes else sizes[-1]
            results["memory"] = bench.memory(chosen.hosts)
            results["forks"] = bench.forks(typical, chosen.peer_rounds)
        finally:
            fleet.down()
        overhead = subprocess.run(
            [sys.executable, "-m", "bench.overhead", str(typical)], capture_output=True, check=True, cwd=PROJECT
        )
        results["overhead"] = {"hosts": typical, **json.loads(overhead.stdout)}
        results["workload_seconds"] = chosen.workload_seconds
        results["workload"] = [asdict(result) for result in workload.measure(chosen.workload_seconds, Path(work))]
    report.write(results, chosen.output, CONSOLE)


if __name__ == "__main__":
    main()
