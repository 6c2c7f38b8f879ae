"""The scenario file: schema, points, a brief without spoilers, and nothing sent to hosts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from helpers.project import PROJECT

SCENARIO: dict[str, Any] = yaml.safe_load((PROJECT / "files" / "scenario.yml").read_text())


def test_scenario_matches_its_schema() -> None:
    jsonschema.validate(SCENARIO, json.loads((PROJECT / "files" / "scenario.schema.json").read_text()))


def test_rubric_points_are_consistent() -> None:
    assert sum(category["points"] for category in SCENARIO["rubric"].values()) == 100
    for category in SCENARIO["rubric"].values():
        points = [level["points"] for level in category["levels"].values()]
        assert points == sorted(set(points), reverse=True)
        assert (points[0], points[-1]) == (category["points"], 0)


def test_brief_does_not_reveal_the_answer(tmp_path: Path) -> None:
    done = subprocess.run(
        ["ansible-playbook", "playbooks/brief.yml", "-e", f"memory_leak_report_dir={tmp_path}"],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    brief = (tmp_path / "brief.md").read_text()
    assert "measurements" in brief
    for word in ("memory", "leak", "cache", "evict", "rss", "python", "oom", "grow"):
        assert word not in brief.lower()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({}, None),
        ({"memory_leak_report_dir": ["x"]}, "memory_leak_report_dir is"),
        ({"memory_leak_report_dri": "x"}, "memory_leak_report_dri: not a variable of this role"),
    ],
)
def test_brief_validates_its_variables(tmp_path: Path, variable: dict[str, Any], message: str | None) -> None:
    command = ["ansible-playbook", str(PROJECT / "playbooks/brief.yml"), "--check", "-e", json.dumps(variable)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (message is None), done.stdout + done.stderr
    assert message is None or message in " ".join((done.stdout + done.stderr).split())


def test_the_scenario_is_not_sent_to_hosts() -> None:
    sent = [path.read_text() for path in (PROJECT / "roles" / "memory_leak" / "memory_leak_host").glob("*.py")]
    assert not any("scenario.yml" in text or "rubric" in text for text in sent)
