"""ansible-runner, which AWX uses, receives Ansible's ordinary events."""

from __future__ import annotations

from pathlib import Path

import ansible_runner
import pytest

from helpers.project import PROJECT


@pytest.mark.parametrize("observe_seconds", [0, 5])
def test_ansible_runner_gets_an_event_per_host_and_task(tmp_path: Path, observe_seconds: int) -> None:
    deaf = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    run = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(PROJECT),
        playbook="status.yml",
        inventory={"memory_leak": {"hosts": {"a": deaf, "b": deaf}}},
        extravars={
            "memory_leak_report_dir": str(tmp_path),
            "memory_leak_ground_truth_dir": str(tmp_path / "truth"),
            "memory_leak_observe_seconds": observe_seconds,
        },
        quiet=True,
    )
    events = [event["event"] for event in run.events]
    assert events.count("runner_on_unreachable") == 2
    assert {"playbook_on_start", "playbook_on_play_start", "playbook_on_task_start", "playbook_on_stats"} <= set(events)
    assert (tmp_path / "status.json").exists()
