"""The benchmark's arithmetic and its workload definition."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import report, steps
from helpers.definitions import DEFINITION

PEER_SECONDS = dict(zip(report.PEERS, (100.0, 110.0, 40.0, 16.0), strict=True))


def run(contender: str, operation: str, connections: str, hosts: int, seconds: float, trips: int = 1) -> dict[str, Any]:
    return {
        "contender": contender,
        "operation": operation,
        "connections": connections,
        "hosts": hosts,
        "seconds": seconds,
        "cpu_s": 2.0,
        "round_trips": [trips],
    }


@pytest.fixture
def results() -> dict[str, Any]:
    """Return results that are linear in the hosts. The role takes 1.25 times (warm: 0.75 times) as long as ssh."""
    runs = []
    for round_number in (1, 2, 3):  # each round is slower, but the ratios stay the same
        for hosts in (10, 50):
            for operation in ("setup", "reset", "cleanup"):
                limit = hosts / 5 * round_number
                runs.append(run(report.LIMIT, operation, "cold", hosts, limit))
                runs.append(run(report.ROLE, operation, "cold", hosts, limit * 1.25))
                runs.append(run(report.ROLE, operation, "warm", hosts, limit * 0.75))
    runs += [run(peer, "setup", "cold", 50, seconds, trips=18) for peer, seconds in PEER_SECONDS.items()]
    return {
        "generated_at": "2026-11-22T12:00:00+00:00",
        "computer": {"processors": 2},
        "runs": runs,
        "memory": [{"hosts": 10, "parent_bytes": 60 * 1024**2, "fork_bytes": 8 * 1024**2, "all_bytes": 140 * 1024**2}],
        "forks": [{"forks": 5, "hosts": 50, "seconds": 9.0}, {"forks": 5, "hosts": 50, "seconds": 10.0}],
        "overhead": {"hosts": 50, "validation_s": 0.1, "plain_report_s": 0.02, "terminal_report_s": 0.06},
        "workload_seconds": 300,
        "workload": [],
    }


def test_goals_are_calculated_from_the_runs(results: dict[str, Any]) -> None:
    measured = {row[0]: row[2] for row in report.Results(results).goals_table()[1:]}
    assert measured["cold setup ÷ parallel ssh"] == "1.25"
    assert measured["warm reset ÷ parallel ssh"] == "0.75"
    assert measured["six tasks ÷ this role's setup"] == "8.00"
    assert measured["round trips per host, every operation and size"] == "1"
    assert measured["exponent of cold cleanup, N from 10"] == "1.00"
    assert measured["validation and terminal report ÷ the controller's CPU time"] == "8.0%"


def test_a_second_round_trip_is_reported(results: dict[str, Any]) -> None:
    results["runs"].append(run(report.ROLE, "status", "warm", 10, 1.0, trips=2))
    measured = {row[0]: row[2] for row in report.Results(results).goals_table()[1:]}
    assert measured["round trips per host, every operation and size"] == "1, 2"


def test_the_ratio_of_an_unmeasured_operation_is_nan(results: dict[str, Any]) -> None:
    assert math.isnan(report.Results(results).ratio(report.ROLE, "status", "cold", 50))


def test_all_result_files_are_written(results: dict[str, Any], tmp_path: Path) -> None:
    report.write(results, tmp_path, Console(quiet=True))
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert "| cold setup ÷ parallel ssh | ≤ 1.5 | 1.25 |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "setup.svg").read_text().count("<svg") == 1


def test_the_benchmark_uses_the_roles_default_definition() -> None:
    assert steps.DEFINITION == DEFINITION


def test_a_run_interrupted_before_any_peer_is_reported(results: dict[str, Any], tmp_path: Path) -> None:
    results["runs"] = [run(report.ROLE, "setup", "warm", 10, 1.0)]
    report.write(results, tmp_path, Console(quiet=True))
    assert "measure, 10 hosts" in (tmp_path / "results.md").read_text()
