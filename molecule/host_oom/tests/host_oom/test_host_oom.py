"""Without a ceiling the whole host runs out of memory. The kernel kills the service and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

LOW_CEILING = ("-e", "memory_leak_memory_max=128M")  # the default exceeds this VM's memory
WITHOUT_CEILING = ("-e", "memory_leak_allow_host_oom=true", "-e", "memory_leak_rate_mib_per_min=4000")


def test_the_service_runs_without_a_ceiling(host: Any, playbook: Any) -> None:
    [record] = playbook("status.yml").values()
    assert (record["outcome"], record["ceiling_bytes"]) == ("running", None)
    # The process and its session must survive the OOM kill.
    host.run_expect([0], "nohup sleep 9999 >/dev/null 2>&1 & echo $! >/run/bystander")


def test_the_kernel_kills_the_service_and_nothing_else(host: Any, ended: Any) -> None:
    sshd = host.check_output("systemctl show --value --property=MainPID ssh")
    record = ended()
    assert (record["outcome"], record["unit"], record["pid"]) == ("oom_killed", "memory-leak.service", None)
    log = host.check_output("dmesg")
    assert re.findall(r"Out of memory: Killed process \d+ \((\S+)\)", log) == ["python3"], log[-3000:]
    assert "constraint=CONSTRAINT_NONE" in log
    assert host.check_output("systemctl show --value --property=MainPID ssh") == sshd
    host.run_expect([0], "kill -0 $(cat /run/bystander)")
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert [line.split()[0] for line in failed.splitlines()] == ["memory-leak.service"]


@pytest.mark.parametrize(("operation", "outcome"), [("setup", "running"), ("reset", "running"), ("cleanup", "absent")])
def test_every_operation_works_after_the_kill(playbook: Any, ended: Any, operation: str, outcome: str) -> None:
    playbook("reset.yml", *WITHOUT_CEILING)
    assert ended()["outcome"] == "oom_killed"
    [record] = playbook(f"{operation}.yml", *LOW_CEILING).values()
    assert (record["outcome"], record["changed"]) == (outcome, True)


def test_a_ceiling_above_the_available_memory_is_refused_with_numbers(playbook: Any) -> None:
    playbook("cleanup.yml")
    for ceiling in ("1G", "420M"):  # more than the total, and more than the available memory
        [record] = playbook("setup.yml", "-e", f"memory_leak_memory_max={ceiling}", fails=True).values()
        assert record["outcome"] == "refused"
        assert re.search(r"\(\d+ MiB\).* \d+ MiB that this host has available \(of \d+ MiB", record["message"])
        assert "memory_leak_allow_host_oom" in record["message"]
