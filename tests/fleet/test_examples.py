"""The examples in examples/ run as their README says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from helpers.project import PROJECT
from memory_leak_lab.lab.fleet import Fleet

COUNT = 2


def run_example(fleet: Fleet, name: str, directory: Path) -> str:
    """Run an example on the fleet, with its reports in a directory, and return the output."""
    paths = {
        "memory_leak_report_dir": str(directory),
        "memory_leak_ground_truth_dir": str(directory / "ground_truth"),
        "memory_leak_diagnoses_dir": str(directory / "diagnoses"),
    }
    command = [
        "ansible-playbook",
        "-i",
        str(fleet.inventory(COUNT)),
        f"examples/{name}.yml",
        "-e",
        json.dumps(paths),
        "-v",
    ]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ.copy(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_role_runs_in_a_play_of_the_users_own(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    play("cleanup")
    output = run_example(fleet, "in-your-own-play", tmp_path)
    assert output.count("running: PID ") == COUNT, output
    play("cleanup")


def test_a_blind_fleet_is_investigated_and_graded(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    play("cleanup")
    run_example(fleet, "blind-fleet", tmp_path)
    units = fleet.run(0, "ls /run/systemd/transient").stdout + fleet.run(1, "ls /run/systemd/transient").stdout
    assert "memory-leak" not in units
    run_example(fleet, "graded-fleet", tmp_path)
    grades = json.loads((tmp_path / "grades.json").read_text())["diagnoses"]
    assert {grade["host"] for grade in grades} == {host.name for host in fleet.hosts[:COUNT]}
    # The reference diagnosis earns everything on a leaker, and blames no other.
    assert all(grade["total"] == 100 or grade["variant"] != "leaker" for grade in grades), grades
    assert all(grade["verdict"] != "blamed" for grade in grades), grades
    play("cleanup")
