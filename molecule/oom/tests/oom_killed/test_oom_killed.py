"""The kernel's OOM killer ends the service at its ceiling and harms nothing else. Every operation works afterwards."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def killed(ended: Any) -> dict[str, Any]:
    """Wait until the service is no longer running, and return its record."""
    record: dict[str, Any] = ended()
    return record


def test_status_reports_oom_killed(killed: dict[str, Any]) -> None:
    assert (killed["outcome"], killed["unit"], killed["pid"]) == ("oom_killed", "memory-leak.service", None)


def test_unit_result_is_oom_kill(host: Any) -> None:
    shown = host.check_output("systemctl show memory-leak.service --property=ActiveState,Result,ExecMainStatus")
    assert dict(line.split("=") for line in shown.splitlines()) == {
        "ActiveState": "failed",
        "Result": "oom-kill",
        "ExecMainStatus": "9",
    }


def test_kernel_log_names_the_process_and_the_ceiling(host: Any) -> None:
    log = host.check_output("dmesg")
    assert re.search(r"Memory cgroup out of memory: Killed process \d+ \(python3\)", log), log[-3000:]
    assert re.search(r"constraint=CONSTRAINT_MEMCG.*memory-leak\.service.*task=python3", log), log[-3000:]


def test_nothing_else_on_the_host_is_killed(host: Any) -> None:
    log = host.check_output("dmesg")
    assert len(re.findall(r"Killed process", log)) == 1
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert [line.split()[0] for line in failed.splitlines()] == ["memory-leak.service"]
    assert host.service("ssh").is_running


def test_pid_file_is_removed(host: Any) -> None:
    assert not host.file("/tmp/memory-leak.pid").exists


def test_cleanup_and_setup_work_after_the_kill(host: Any, playbook: Any) -> None:
    name = host.backend.host
    assert playbook("cleanup.yml")[name]["outcome"] == "absent"
    record = playbook("setup.yml")[name]
    assert (record["outcome"], record["changed"]) == ("running", True)
    assert host.file("/tmp/memory-leak.pid").content_string.strip() == str(record["pid"])


@pytest.mark.parametrize(("operation", "outcome"), [("setup", "running"), ("reset", "running"), ("cleanup", "absent")])
def test_every_operation_works_after_the_kill(
    host: Any, playbook: Any, ended: Any, operation: str, outcome: str
) -> None:
    name = host.backend.host
    quick_oom = ("--limit", name, "-e", "memory_leak_rate_mib_per_min=3000", "-e", "memory_leak_memory_max=64M")
    playbook("reset.yml", *quick_oom)
    assert ended()["outcome"] == "oom_killed"
    record = playbook(f"{operation}.yml", "--limit", name)[name]
    assert (record["outcome"], record["changed"]) == (outcome, True)


def test_an_investigation_explains_the_kill(
    host: Any, playbook: Any, ended: Any, investigated: Any, tmp_path: Any
) -> None:
    name = host.backend.host
    variables = {
        **{"memory_leak_rate_mib_per_min": 120, "memory_leak_memory_max": "64M"},
        **{"memory_leak_ground_truth_dir": f"{tmp_path}/ground_truth"},
    }
    pid = playbook("reset.yml", "-e", json.dumps(variables))[name]["pid"]
    assert ended()["outcome"] == "oom_killed"
    found = investigated()[name]
    assert found["verdict"] == "oom_killed"
    assert f"PID {pid} of `memory-leak.service`" in found["diagnosis"]
    assert found["grade"]["total"] == 100, (found["grade"], found["diagnosis"])
