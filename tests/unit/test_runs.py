"""Several operations, plays and settings in one playbook run: each host's record and ground truth is its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.stub_hosts import StubHosts, answer, observation, play


@pytest.fixture
def hosts(tmp_path: Path) -> StubHosts:
    return StubHosts(tmp_path, {"a": answer(), "b": answer()})


@pytest.mark.parametrize("checked", ["a", "b"])
def test_check_mode_of_one_play_does_not_apply_to_another(hosts: StubHosts, checked: str) -> None:
    plays = [play("setup", name, check_mode=name == checked) for name in ("a", "b")]
    status, output = hosts.run(plays)
    assert status == 0, output
    real = {"a", "b"} - {checked}
    assert {name for name in ("a", "b") if hosts.truth(name)} == real


def test_the_files_have_the_last_record_of_each_host(hosts: StubHosts) -> None:
    hosts.run([play("setup cleanup", "a"), play("setup", "b")])
    assert hosts.status().keys() == {"a", "b"}


def test_a_later_operation_of_a_run_keeps_the_variant_of_the_setup(hosts: StubHosts) -> None:
    setup = play("setup", vars={"memory_leak_variant": "control"})
    status, output = hosts.run([setup, play("status reset")])
    assert status == 0, output
    assert hosts.truth("a") == [("setup", "control"), ("observation", "control"), ("reset", "control")]


def test_the_ground_truth_survives_a_run_that_breaks_off(hosts: StubHosts) -> None:
    broken = {"hosts": "{{ undef() }}", "tasks": []}
    status, _output = hosts.run([play("setup"), broken])
    assert status != 0
    assert hosts.truth("a") == [("setup", "leaker")]


def test_a_loop_records_every_item(hosts: StubHosts) -> None:
    load: dict[str, Any] = play("status")["tasks"][0] | {"when": False}
    loop = {"memory_leak": {"operation": "setup"}, "loop": [1, 2]}
    status, output = hosts.run([{"hosts": "memory_leak", "gather_facts": False, "tasks": [load, loop]}])
    assert status == 0, output
    assert hosts.truth("b") == [("setup", "leaker")] * 2


def test_delegation_is_refused(hosts: StubHosts) -> None:
    load: dict[str, Any] = play("status")["tasks"][0] | {"when": False}
    task = {"memory_leak": {"operation": "setup"}, "delegate_to": "b"}
    status, output = hosts.run([{"hosts": "a", "gather_facts": False, "tasks": [load, task]}])
    assert status != 0
    assert "delegate_to is 'b'" in output
    assert hosts.truth("a") == []


def test_each_host_has_its_own_ground_truth_directory(tmp_path: Path) -> None:
    directories = {name: {"memory_leak_ground_truth_dir": str(tmp_path / f"truth-{name}")} for name in ("a", "b")}
    hosts = StubHosts(tmp_path, {"a": answer(), "b": answer()}, **directories)
    hosts.run("setup", ground_truth=False)
    for name in ("a", "b"):
        assert hosts.truth(name, f"truth-{name}") == [("setup", "leaker")]


def test_hidden_results_are_an_error(hosts: StubHosts) -> None:
    status, output = hosts.run("setup", environment={"ANSIBLE_NO_LOG": "true"})
    assert status != 0
    assert "no_log" in output


def test_an_option_with_a_bad_value_does_not_disable_the_report(hosts: StubHosts) -> None:
    status, output = hosts.run("setup", environment={"MEMORY_LEAK_ALL_HOSTS": "all please"})
    assert status == 0
    assert "2 hosts: 2 running" in output


def test_files_are_written_although_the_terminal_is_gone(hosts: StubHosts) -> None:
    with Path("/dev/full").open("w") as full:
        status, _output = hosts.run("setup", stdout=full, stderr=subprocess.DEVNULL)
    assert status != 0
    assert hosts.status().keys() == {"a", "b"}
    assert hosts.truth("b") == [("setup", "leaker")]


def test_a_status_measures_against_the_rate_of_the_setup(tmp_path: Path) -> None:
    """Its own variables may be others: here the default of 30 MiB/min, and the hosts grow by that."""
    hosts = StubHosts(tmp_path, {"a": answer(observation=observation())})
    hosts.run("setup", "-e", "memory_leak_rate_mib_per_min=60")
    hosts.run("status", "-e", "memory_leak_observe_seconds=60")
    assert hosts.status()["a"]["outcome"] == "off_rate"
    assert "not 60" in hosts.status()["a"]["message"]
    hosts.run("setup")
    hosts.run("status", "-e", "memory_leak_observe_seconds=60", "-e", "memory_leak_rate_mib_per_min=60")
    assert hosts.status()["a"]["outcome"] == "leaking"


def test_check_mode_says_so_and_writes_no_report(hosts: StubHosts) -> None:
    hosts.run("setup")
    _status, output = hosts.run("cleanup", "--check")
    assert "check mode: predicted, nothing was changed" in output
    assert {record["outcome"] for record in hosts.status().values()} == {"running"}


def test_a_fleet_without_a_leaker_is_warned_about(hosts: StubHosts) -> None:
    _status, output = hosts.run("setup", "-e", "memory_leak_control_percent=100")
    assert "no host is a leaker" in output
    _status, output = hosts.run("setup")
    assert "variants: a, b not a leaker, as set or recorded by an earlier setup" in output


def test_an_unreadable_ground_truth_does_not_prevent_cleanup(hosts: StubHosts, tmp_path: Path) -> None:
    hosts.run("setup")
    (tmp_path / "r" / "truth" / "a.jsonl").chmod(0o666)
    status, output = hosts.run("setup")
    assert status != 0
    assert "memory_leak_ground_truth_dir is" in output
    status, output = hosts.run("cleanup")
    assert status != 0  # the report could not be written
    assert "a     running" in output  # but the host was contacted
