"""Playbooks and the lab on a small container fleet: round trips, isolation between hosts, secrets, and teardown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.project import PROJECT
from memory_leak_lab.lab import hosts, lifecycle
from memory_leak_lab.lab.fleet import Fleet

COUNT = 3


@pytest.mark.parametrize("connections", ["cold", "warm"])
def test_each_operation_takes_one_round_trip_per_host(fleet: Fleet, play: Any, connections: str) -> None:
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
        records = play(operation)
        assert [(record["outcome"], record["changed"]) for record in records.values()] == [(outcome, changed)] * COUNT
        assert fleet.running(COUNT) == (COUNT if outcome == "running" else 0)
        assert [after - earlier for after, earlier in zip(fleet.round_trips(COUNT), before, strict=True)] == [1] * COUNT


def test_cleanup_of_one_host_leaves_the_others_running(fleet: Fleet, play: Any) -> None:
    before = play("setup")
    first, *others = (host.name for host in fleet.hosts)
    assert play("cleanup", "--limit", first)[first]["outcome"] == "absent"
    after = play("status")
    assert after[first]["outcome"] == "absent"
    for name in others:
        assert (after[name]["outcome"], after[name]["pid"]) == ("running", before[name]["pid"])


def test_check_mode_writes_no_ground_truth(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    play("cleanup")
    answers = ("-e", f"memory_leak_ground_truth_dir={tmp_path}/truth")
    predicted = play("setup", "--check", *answers)[fleet.hosts[0].name]
    assert predicted["outcome"] == "running"
    assert predicted["message"].startswith("would create ")
    assert "write /mcp/scenarios/memory-leak/workload.py" in predicted["message"]
    assert "start memory-leak.service" in predicted["message"]
    assert not (tmp_path / "truth").exists()
    play("setup", *answers)
    assert len(list((tmp_path / "truth").iterdir())) == COUNT


def test_setup_warns_if_the_ceiling_is_not_enforced(fleet: Fleet, play: Any) -> None:
    play("cleanup")
    record = play("setup")[fleet.hosts[0].name]
    assert ("does not enforce memory ceilings" in record["message"]) == (record["ceiling_bytes"] is None)


def test_ssh_listens_only_on_loopback_and_keys_are_private(fleet: Fleet) -> None:
    listening = [each.laddr for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    for host in fleet.hosts:
        assert {address.ip for address in listening if address.port == host.port} == {"127.0.0.1"}
    for private in (fleet.directory / "key", *(fleet.directory / host.name / "host_key" for host in fleet.hosts)):
        assert private.stat().st_mode & 0o077 == 0, private


def test_secrets_do_not_appear_in_output_or_records(fleet: Fleet) -> None:
    records = fleet.work / "secret.json"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "setup.yml", "-vv", "--diff"),
            *("-i", str(fleet.inventory(1)), "-e", "ansible_become=true ansible_become_password=hunter2-of-the-test"),
        ],
        cwd=PROJECT,
        env=os.environ | {"MEMORY_LEAK_RECORDS_FILE": str(records)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hunter2" not in done.stdout + done.stderr + records.read_text()
    assert fleet.run(0, "! grep -rs hunter2 /tmp /mcp /var/log /run/systemd/transient").returncode == 0


def test_up_replaces_only_dead_hosts(fleet: Fleet) -> None:
    homes = [fleet.directory / host.name for host in fleet.hosts]
    pids = [hosts.process(home) for home in homes]
    assert pids[0]
    hosts.kill(homes[0], pids[0])
    assert lifecycle.up(fleet.name, "nspawn", COUNT, ["bookworm"], ["root"], 2048, print) == [fleet.hosts[0].name]
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
            yield path.read_text(errors="replace")
        except OSError:  # the process has exited
            continue
