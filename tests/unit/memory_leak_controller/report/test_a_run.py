"""What a run shows on a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

from helpers import terminal


def run_status(tmp_path: Path, *arguments: str) -> str:
    """Run status on two hosts that do not answer, on a terminal, and return what it shows."""
    deaf = "ansible_host=127.0.0.1 ansible_port=9"
    (tmp_path / "hosts.ini").write_text(f"[memory_leak]\na {deaf}\nb {deaf}\n")
    settings = ["-e", f"memory_leak_report_dir={tmp_path}/r", "-e", f"memory_leak_ground_truth_dir={tmp_path}/t"]
    status, shown = terminal.run_playbook("status", "-i", str(tmp_path / "hosts.ini"), *settings, *arguments)
    assert status == 4
    return shown


def test_a_run_shows_the_table_alone_and_with_v_everything(tmp_path: Path) -> None:
    quiet = run_status(tmp_path)
    assert not re.search("PLAY|TASK|fatal", quiet), quiet
    assert quiet.strip().splitlines()[-1] == "2 hosts: 2 unreachable"
    status = json.loads((tmp_path / "r" / "status.json").read_text())
    assert [host["outcome"] for host in status["hosts"]] == ["unreachable"] * 2
    assert (tmp_path / "r" / "report.html").exists()
    assert not (tmp_path / "t").exists()  # of hosts that don't answer nothing is known
    loud = run_status(tmp_path, "-v")
    assert re.search("PLAY.*TASK.*PLAY RECAP.*2 hosts: 2 unreachable", loud, re.DOTALL)
