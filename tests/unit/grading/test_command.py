"""The grading command and playbook: from diagnoses to grades.json, the table and the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from helpers.project import PROJECT

GROUND_TRUTH = PROJECT / "tests" / "grading" / "ground_truth"


SCHEMA = json.loads((PROJECT / "docs" / "grades.schema.json").read_text())


WEB1 = "python3 (PID 1432) grows: 161 MiB at 10:05, 311 MiB at 10:10."


WEB2 = "python3 (PID 2210) grows: 146 MiB at 10:05, 296 MiB at 10:10."


CAUSE = "The session cache has no eviction. Add an LRU limit."


def graded(
    directory: Path, texts: dict[str, str], *arguments: str, environment: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Grade texts (by file name) and return the finished process and the records of grades.json."""
    diagnoses = directory / "diagnoses"
    diagnoses.mkdir()
    for name, text in texts.items():
        (diagnoses / name).write_text(text)
    places = [f"--diagnoses={diagnoses}", f"--ground-truth={GROUND_TRUTH}", f"--report-dir={directory}"]
    done = subprocess.run(
        [sys.executable, "-m", "memory_leak_lab.grading", *places, *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("OPENAI")} | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    written = directory / "grades.json"
    if not written.exists():
        return done, []
    grades = json.loads(written.read_text())
    jsonschema.validate(grades, SCHEMA)
    return done, grades["diagnoses"]


FLEET_TEXT = f"""# What I found

## web1

{WEB1}

## web2
{WEB2}

## The others

cache1 is healthy. db1 is large, but flat.

## Cause on web1 and web2

{CAUSE}
"""


def playbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        "ansible-playbook",
        "playbooks/grade.yml",
        "-e",
        f"memory_leak_ground_truth_dir={GROUND_TRUTH}",
        *arguments,
    ]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_several_files_per_host_are_graded_and_other_files_ignored(tmp_path: Path) -> None:
    texts = {"web1.md": f"{WEB1} {CAUSE}", "web1.alice.txt": WEB1, "web2.bob.md": "", "notes.csv": "1,2"}
    done, records = graded(tmp_path, texts)
    assert done.returncode == 0, done.stderr
    assert {record["file"]: record["total"] for record in records} == {
        **{"web1.md": 100, "web1.alice.txt": 60, "web2.bob.md": 0}
    }
    assert "web1.alice.txt" in done.stdout and "25 measured" in done.stdout


def test_an_ungradable_file_is_reported_and_the_others_are_graded(tmp_path: Path) -> None:
    done, records = graded(tmp_path, {"web1.md": f"{WEB1} {CAUSE}", "web9.md": WEB1})
    assert done.returncode == 1
    assert "web9.md: not graded: the ground truth has no host of that name" in done.stderr
    assert [record["total"] for record in records] == [100]


def test_no_diagnosis_is_an_error(tmp_path: Path) -> None:
    done, _records = graded(tmp_path, {})
    assert done.returncode == 1
    assert "contains no diagnosis" in done.stderr


def test_a_fleet_diagnosis_is_graded_for_each_host(tmp_path: Path) -> None:
    done, records = graded(tmp_path, {"fleet.md": FLEET_TEXT})
    assert done.returncode == 0, done.stderr
    assert {record["host"]: (record["verdict"], record["total"]) for record in records} == {
        "cache1": ("cleared", None),
        "db1": ("cleared", None),
        "web1": ("graded", 100),
        "web2": ("graded", 100),
    }


def test_a_missing_judge_model_is_an_error_before_grading(tmp_path: Path) -> None:
    done, records = graded(tmp_path, {"web1.md": WEB1}, "--judge")
    assert done.returncode == 2
    assert "MEMORY_LEAK_JUDGE_MODEL is not set" in done.stderr
    assert not records


def test_an_unreachable_judge_withholds_totals_and_is_reported(tmp_path: Path) -> None:
    environment = {
        "MEMORY_LEAK_JUDGE_MODEL": "any",
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    done, records = graded(tmp_path, {"web1.md": f"{WEB1} {CAUSE}"}, "--judge", environment=environment)
    assert done.returncode == 1
    assert "root_cause is ungraded: no majority of 3 votes" in done.stderr
    assert [record["total"] for record in records] == [None]


def test_the_playbook_grades(tmp_path: Path) -> None:
    (tmp_path / "web1.md").write_text(f"{WEB1} {CAUSE}")
    done = playbook("-e", f"memory_leak_diagnoses_dir={tmp_path}", "-e", f"memory_leak_report_dir={tmp_path}/reports")
    assert done.returncode == 0, done.stdout
    assert "25 measured" in done.stdout
    assert json.loads((tmp_path / "reports" / "grades.json").read_text())["diagnoses"][0]["total"] == 100
    assert "web1.md" in (tmp_path / "reports" / "grades.html").read_text()


def test_the_playbook_fails_on_ungradable_files_and_unknown_variables(tmp_path: Path) -> None:
    places = ("-e", f"memory_leak_diagnoses_dir={tmp_path}", "-e", f"memory_leak_report_dir={tmp_path}/reports")
    (tmp_path / "web9.md").write_text(WEB1)
    done = playbook(*places)
    assert done.returncode != 0
    assert "the ground truth has no host of that name" in done.stdout + done.stderr
    mistyped = playbook(*places, "-e", "memory_leak_jugde=true")
    assert mistyped.returncode != 0
    assert (
        "memory_leak_jugde is not a variable of this role: did you mean memory_leak_judge?"
        in mistyped.stdout + mistyped.stderr
    )
