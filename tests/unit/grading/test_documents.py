"""Files of diagnoses: structured ones, front matter, and JSON and YAML of any form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.project import PROJECT
from memory_leak_lab.grading import documents, grade, ground_truth
from memory_leak_lab.grading.files import UnreadableError

TRUTHS = ground_truth.load(PROJECT / "tests" / "grading" / "ground_truth")
STRUCTURED: dict[str, Any] = {
    "affected": True,
    "process": {"pid": 1432, "name": "python3"},
    "measurements": [
        {"time": "2026-11-23T10:05:00Z", "rss_mib": 161},
        {"time": "2026-11-23T10:10:00Z", "rss_mib": 311},
    ],
    "root_cause": "The session cache has no eviction.",
    "mitigation": "Add a time to live.",
    "confidence": 0.9,
}


def graded(directory: Path, name: str, text: str, host: str = "web1") -> dict[str, Any]:
    (directory / name).write_text(text)
    return grade.grade(documents.read(directory / name), TRUTHS[host])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("web1.json", json.dumps(STRUCTURED)),
        ("web1.yml", json.dumps(STRUCTURED)),
        ("web1.yaml", json.dumps(STRUCTURED).replace('"2026-11-23T10:05:00Z"', "2026-11-23 10:05:00Z")),
        ("web1.md", f"---\n{json.dumps(STRUCTURED)}\n---\nSee above.\n"),
        (
            "web1.a.json",
            json.dumps({"host": "web1", "filed_at": "2026-11-23T10:20:00Z", "session": "a", "diagnosis": STRUCTURED}),
        ),
    ],
)
def test_a_structured_diagnosis_gets_full_marks_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    got = graded(tmp_path, name, text)
    assert got["total"] == 100, got["categories"]
    assert [got["categories"][each]["basis"] for each in ("memory_growth", "process")] == ["verified", "verified"]


@pytest.mark.parametrize(
    ("change", "category", "level"),
    [
        ({"process": {"pid": 99, "name": "python3"}}, "process", "none"),
        ({"process": {"pid": 1432, "name": "postgres"}}, "process", "mentioned"),
        ({"measurements": []}, "memory_growth", "none"),
        (
            {"measurements": [{"elapsed_s": 0, "rss_mib": 161}, {"elapsed_s": 60, "rss_mib": 191}]},
            "memory_growth",
            "measured",
        ),
        (
            {"measurements": [{"elapsed_s": 0, "rss_mib": 161}, {"elapsed_s": 60, "rss_mib": 300}]},
            "memory_growth",
            "none",
        ),
        ({"affected": False}, "root_cause", "explained"),
    ],
)
def test_structured_fields_are_checked_to_the_letter(
    tmp_path: Path, change: dict[str, Any], category: str, level: str
) -> None:
    got = graded(tmp_path, "web1.json", json.dumps(STRUCTURED | change))
    assert got["categories"][category]["level"] == level, got["categories"]


def test_a_host_without_a_leak_is_cleared_or_blamed_by_the_field(tmp_path: Path) -> None:
    blamed = graded(tmp_path, "db1.json", json.dumps(STRUCTURED), host="db1")
    cleared = graded(
        tmp_path,
        "db1.json",
        json.dumps({"affected": False, "confidence": 1, "root_cause": "Nothing leaks."}),
        host="db1",
    )
    assert (blamed["verdict"], blamed["total"], blamed["all_clear_points"]) == ("blamed", 0, 0)
    assert (cleared["verdict"], cleared["total"], cleared["all_clear_points"]) == ("cleared", None, 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("web1.json", '{\n"affected": tru', "web1.json, line 2: not graded: not JSON"),
        ("web1.yml", "a: b\nc: [", "web1.yml, line 2: not graded: not YAML"),
        ("web1.json", json.dumps(STRUCTURED | {"confidence": 7}), "web1.json: not graded: confidence: "),
        (
            "web1.json",
            json.dumps(STRUCTURED | {"process": {"pid": 0, "name": "x"}}),
            "web1.json: not graded: process.pid: ",
        ),
        ("web1.md", "---\naffected: maybe\nconfidence: 1\n---\n", "web1.md: not graded: affected: "),
        ("web1.json", "[" * 100_000, "web1.json: not graded: not JSON"),
    ],
)
def test_a_broken_file_is_named_with_line_or_field(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UnreadableError) as error:
        graded(tmp_path, name, text)
    assert str(error.value).startswith(message), error.value


def test_json_of_any_form_is_read_as_a_text(tmp_path: Path) -> None:
    found = {
        "culprit": {"pid": 1432, "program": "python3 workload.py"},
        "rss_by_time": {"10:05": "161 MiB", "10:10": "311 MiB"},
        "samples": [{"time": "10:06", "rss_mib": 191}, {"time": "10:07", "rss_mib": 221}],
        "root_cause": "The session cache never evicts.",
        "fix": ["Add a size limit", "Restart until then"],
    }
    got = graded(tmp_path, "web1.json", json.dumps(found))
    assert got["total"] == 100, got["categories"]


def test_aliases_of_yaml_cannot_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
    ]
    got = graded(tmp_path, "web1.yml", "\n".join(lines))
    assert got["total"] == 0
