"""The terminal output of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from helpers import terminal


def run_status(tmp_path: Path, *arguments: str) -> str:
    """Run status for two unreachable hosts on a terminal and return the output."""
    deaf = "ansible_host=127.0.0.1 ansible_port=9"
    (tmp_path / "hosts.ini").write_text(f"[memory_leak]\na {deaf}\nb {deaf}\n")
    settings = ["-e", f"memory_leak_report_dir={tmp_path}/r", "-e", f"memory_leak_ground_truth_dir={tmp_path}/t"]
    status, output = terminal.run_playbook("status", "-i", str(tmp_path / "hosts.ini"), *settings, *arguments)
    assert status == 4
    return output


def test_a_run_shows_only_the_table_and_everything_with_v(tmp_path: Path) -> None:
    default = run_status(tmp_path)
    assert not re.search("PLAY|TASK|fatal", default), default
    assert default.strip().splitlines()[-1] == "2 hosts: 2 unreachable"
    status = json.loads((tmp_path / "r" / "status.json").read_text())
    assert [host["outcome"] for host in status["hosts"]] == ["unreachable"] * 2
    assert (tmp_path / "r" / "report.html").exists()
    assert not (tmp_path / "t").exists()  # unreachable hosts have no ground truth
    verbose = run_status(tmp_path, "-v")
    assert re.search("PLAY.*TASK.*PLAY RECAP.*2 hosts: 2 unreachable", verbose, re.DOTALL)
