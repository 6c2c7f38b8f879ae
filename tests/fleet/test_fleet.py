"""The playbooks on a small fleet of containers: one round trip each, hosts that leave each other alone, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.fleet import Fleet
from memory_leak_lab.lab import hosts, lifecycle

PROJECT = Path(__file__).resolve().parents[2]
COUNT = 3
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("systemd-nspawn"), reason="the driver nspawn needs root and systemd-nspawn"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a fleet of containers that is taken down at the end."""
    try:
        fleet = Fleet(COUNT, tmp_path_factory.mktemp("fleet"), "pytest")
        yield fleet
        fleet.close_connections()
    finally:
        lifecycle.down("pytest")


def run(fleet: Fleet, operation: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run a playbook on the fleet and return the record of each host."""
    records = fleet.work / "records.json"
    command = [str(Path(sys.executable).parent / "ansible-playbook"), f"{operation}.yml"]
    done = subprocess.run(
        [*command, "-i", str(fleet.inventory(COUNT)), *arguments],
        cwd=PROJECT,
        env=os.environ | {"MEMORY_LEAK_RECORDS_FILE": str(records)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {record["host"]: record for record in json.loads(records.read_text())}


@pytest.mark.parametrize("connections", ["cold", "warm"])
def test_each_operation_costs_one_round_trip_per_host(fleet: Fleet, connections: str) -> None:
    for operation, outcome, changed in (
        ("setup", "running", True),
        ("setup", "running", False),
        ("status", "running", False),
        ("reset", "running", True),
        ("cleanup", "absent", True),
        ("cleanup", "absent", False),
    ):
        if connections == "cold":
            fleet.close_connections()
        before = fleet.round_trips(COUNT)
        records = run(fleet, operation)
        assert [(record["outcome"], record["changed"]) for record in records.values()] == [(outcome, changed)] * COUNT
        assert fleet.running(COUNT) == (COUNT if outcome == "running" else 0)
        assert [after - earlier for after, earlier in zip(fleet.round_trips(COUNT), before, strict=True)] == [1] * COUNT


def test_a_host_is_cleaned_up_without_touching_the_others(fleet: Fleet) -> None:
    before = run(fleet, "setup")
    first, *others = (host.name for host in fleet.hosts)
    assert run(fleet, "cleanup", "--limit", first)[first]["outcome"] == "absent"
    after = run(fleet, "status")
    assert after[first]["outcome"] == "absent"
    for name in others:
        assert (after[name]["outcome"], after[name]["pid"]) == ("running", before[name]["pid"])


def test_setup_warns_where_no_ceiling_is_in_force(fleet: Fleet) -> None:
    record = run(fleet, "setup")[fleet.hosts[0].name]
    warnings = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "setup.yml", "-i", str(fleet.inventory(1))],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert ("does not enforce memory ceilings" in warnings) == (record["ceiling_bytes"] is None)


def test_up_leaves_running_hosts_alone_and_replaces_a_dead_one(fleet: Fleet) -> None:
    homes = [fleet.directory / host.name for host in fleet.hosts]
    pids = [hosts.process(home) for home in homes]
    assert pids[0]
    hosts.kill(homes[0], pids[0])
    assert lifecycle.up("pytest", "nspawn", COUNT, ["bookworm"], ["root"], 2048, print) == [fleet.hosts[0].name]
    assert [hosts.process(home) for home in homes[1:]] == pids[1:]


def test_down_leaves_nothing() -> None:
    fleet = Fleet(1, Path("/nonexistent"), "pytest-down")
    home = fleet.directory / fleet.hosts[0].name
    assert hosts.process(home)
    assert lifecycle.down("pytest-down") == [fleet.hosts[0].name]
    name = "memory-leak-lab-pytest-down"
    assert not fleet.directory.exists()
    assert name not in Path("/proc/mounts").read_text()
    cgroups = Path("/sys/fs/cgroup")
    assert not [*cgroups.glob(f"*/{name}*"), *cgroups.glob(f"{name}*")]
    assert not list(Path("/run/systemd/nspawn/propagate").glob(f"{name}*"))
    assert not [line for line in _command_lines() if name in line]


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text()
        except OSError:  # it has ended
            continue
