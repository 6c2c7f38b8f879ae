"""Investigate a blind leaker, a control and a decoy: verdicts, diagnosis, and no change to the hosts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from helpers.project import PROJECT
from memory_leak_lab.grading import grade, ground_truth
from memory_leak_lab.lab.fleet import Fleet

COUNT = 3
PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
LEAKER, CONTROL, DECOY = range(COUNT)
PARTS: dict[int, dict[str, str]] = {
    LEAKER: {"memory_leak_blind": "true"},
    CONTROL: {"memory_leak_variant": "control"},
    DECOY: {"memory_leak_variant": "decoy"},
}
# Lists files changed since /tmp/before, except the logs and journal of running services.
CHANGED_FILES = (
    "find /etc /home /mcp /opt /root /run /tmp /usr /var -xdev -newer /tmp/before ! -name '*.log' ! -path '*/journal*'"
    " ! -path '/run/systemd/*' ! -path /tmp/before"
)


def investigate(inventory: Path, reports: Path, seconds: int = 20) -> subprocess.CompletedProcess[str]:
    """Run the investigation with the given number of seconds between its two snapshots."""
    variables = ["-e", f"memory_leak_observe_seconds={seconds}", "-e", f"memory_leak_report_dir={reports}"]
    command = [PLAYBOOK, "playbooks/investigate.yml", "-i", str(inventory), *variables]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_only_the_leak_is_found_and_its_diagnosis_gets_full_marks(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    play("setup", "-e", f"memory_leak_ground_truth_dir={tmp_path}/truth", variables=PARTS)
    time.sleep(35)  # the control's cache fills up
    before = fleet.round_trips(COUNT)
    fleet.run_everywhere("touch /tmp/before; sleep 0.1", COUNT)
    done = investigate(fleet.inventory(COUNT), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    changed = [fleet.run(number, CHANGED_FILES).stdout for number in range(COUNT)]
    assert changed == [""] * COUNT
    # Two snapshots, and this test's two commands.
    assert [after - earlier for after, earlier in zip(fleet.round_trips(COUNT), before, strict=True)] == [4] * COUNT
    names = [host.name for host in fleet.hosts]
    found = [json.loads((tmp_path / "investigation" / f"{name}.json").read_text()) for name in names]
    assert [each["verdict"] for each in found] == ["leaking", "no_leak", "no_leak"]
    answers = ground_truth.load(tmp_path / "truth")
    assert {found[LEAKER]["leak"]["pid"]} == answers[names[LEAKER]].pids
    assert [pid for pid, *_size in found[DECOY]["large"]] == list(answers[names[DECOY]].pids)
    diagnosis = (tmp_path / "diagnoses" / f"{names[LEAKER]}.reference.md").read_text()
    assert grade.grade(diagnosis, answers[names[LEAKER]])["total"] == 100, diagnosis
    evidence = (tmp_path / "investigation" / f"{names[LEAKER]}.md").read_text()
    assert all(each in evidence for each in ("free -m", "VmRSS", "systemctl status", "cache_entries=", "dmesg"))


def test_an_unreachable_host_is_reported_and_the_others_are_inspected(fleet: Fleet, tmp_path: Path) -> None:
    inventory = fleet.inventory(COUNT)
    inventory.write_text(inventory.read_text() + "nowhere ansible_host=127.0.0.1 ansible_port=1\n")
    done = investigate(inventory, tmp_path)
    assert done.returncode != 0
    assert re.search("nowhere +not inspected", done.stdout), done.stdout
    assert len(list((tmp_path / "investigation").glob("*.json"))) == COUNT


def test_too_short_an_observation_is_refused_before_contacting_hosts(fleet: Fleet, tmp_path: Path) -> None:
    before = fleet.round_trips(COUNT)
    refused = investigate(fleet.inventory(COUNT), tmp_path, seconds=3)
    assert refused.returncode != 0
    assert "memory_leak_observe_seconds is 3" in refused.stdout + refused.stderr
    assert fleet.round_trips(COUNT) == before
