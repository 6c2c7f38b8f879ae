"""The scenario as data: as its schema says, sums that add up, a brief that gives nothing away, and nothing of it on a host."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from helpers.project import PROJECT

SCENARIO: dict[str, Any] = yaml.safe_load((PROJECT / "files" / "scenario.yml").read_text())


def test_scenario_is_as_its_schema_says() -> None:
    jsonschema.validate(SCENARIO, json.loads((PROJECT / "files" / "scenario.schema.json").read_text()))


def test_points_sum_up_to_a_hundred_and_levels_to_their_category() -> None:
    assert sum(category["points"] for category in SCENARIO["rubric"].values()) == 100
    for category in SCENARIO["rubric"].values():
        points = [level["points"] for level in category["levels"].values()]
        assert points == sorted(set(points), reverse=True)
        assert (points[0], points[-1]) == (category["points"], 0)


def test_brief_says_nothing_of_the_answer(tmp_path: Path) -> None:
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


def test_nothing_of_it_is_sent_to_a_host() -> None:
    sent = [path.read_text() for path in (PROJECT / "roles" / "memory_leak" / "memory_leak_host").glob("*.py")]
    assert not any("scenario.yml" in text or "rubric" in text for text in sent)
