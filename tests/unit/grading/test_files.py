"""Input files: regular files of limited size, and ground truth with torn or invalid lines."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from helpers.project import PROJECT
from memory_leak_lab.grading import __main__ as grading
from memory_leak_lab.grading import files, fleet, grade, ground_truth

GROUND_TRUTH = PROJECT / "tests" / "grading" / "ground_truth"
TRUTHS = ground_truth.load(GROUND_TRUTH)
DIAGNOSIS = (
    "python3 (PID 1432) grows: 161 MiB at 10:05, 311 MiB at 10:10. The session cache has no eviction. Add a limit."
)


def test_only_regular_files_are_graded(tmp_path: Path) -> None:
    (tmp_path / "web1.good.md").write_text(DIAGNOSIS)
    (tmp_path / "web1.link.md").symlink_to(GROUND_TRUTH / "web1.jsonl")  # the answer key
    os.mkfifo(tmp_path / "web1.pipe.md")
    (tmp_path / "web1.directory.md").mkdir()
    (tmp_path / "web1.latin.md").write_bytes(b"caf\xe9")
    began = time.monotonic()
    records, errors = grading.grade_all(tmp_path, TRUTHS)
    assert time.monotonic() - began < 10
    assert [record["file"] for record in records] == ["web1.good.md"]
    assert [error.split(": not graded: ")[0] for error in errors] == [
        *("web1.directory.md", "web1.latin.md", "web1.link.md", "web1.pipe.md"),
    ]
    assert "web1.link.md: not graded: it is a symlink" in errors


def test_oversized_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web1.md").write_text("x" * (files.MOST_CHARACTERS + 1))
    (tmp_path / "web2.md").write_text(DIAGNOSIS)
    records, errors = grading.grade_all(tmp_path, TRUTHS)
    assert [record["host"] for record in records] == ["web2"]
    assert errors == ["web1.md: not graded: it has 400001 characters about web1; the limit is 400000"]
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    assert "the limit is 100" in grading.grade_all(tmp_path, TRUTHS)[1][0]


@pytest.mark.parametrize(
    "line",
    [
        "10:00:01 python3 rss 161 MiB and then more\n",
        "| 10:05 | 161 MiB | 900 MiB |\n",
        "- after 30 s: 161 MiB\n",
        "after 30 s 161 MiB, ",
        "#",
        "1m/m ",
        "At 10:00 5 MB.\n\n",
        "The RSS was 161 MiB at 10:05, since no entry is evicted. ",
        "2026-11-23T10:00:00+0000 requests=100 requests_per_second=10.0 cache_entries=100\n",
    ],
)
def test_grading_time_is_linear(line: str) -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        grade.grade(line * (length // len(line)), TRUTHS["web1"])
        return time.process_time() - began

    seconds(1000)
    assert seconds(80_000) < 12 * seconds(20_000) + 0.2


def test_the_time_for_a_heading_is_linear() -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        grade.grade(f"A leak.\n\n{'#' * length}1 x y z a b c", TRUTHS["web1"])
        return time.process_time() - began

    assert seconds(16_000) < 24 * seconds(2000) + 0.2


def test_a_diagnosis_of_many_hosts_is_split_once() -> None:
    hosts = [f"web{number}" for number in range(400)]
    text = "".join(f"## {host}\n\nIt grows. Add a limit.\n\n" for host in hosts) + "All of them are new.\n"

    def seconds(count: int) -> float:
        began = time.process_time()
        parts = fleet.parts(hosts[:count], text[: len(text) * count // 400])
        assert "It grows." in parts["web1"]
        return time.process_time() - began

    assert seconds(400) < 30 * seconds(50) + 0.2  # 8 times the hosts and 8 times the text
    parts = fleet.parts([*hosts, "a/b"], text + "\n\na/b is well.")
    assert "web2" not in parts["web1"].split("All of")[0]
    assert "a/b is well." in parts["a/b"]


def test_torn_and_invalid_lines_are_skipped_and_reported(tmp_path: Path) -> None:
    good = (GROUND_TRUTH / "web1.jsonl").read_text().splitlines()
    bad = json.dumps({**json.loads(good[1]), "ceiling_bytes": -5})
    not_finite = good[1].replace('"samples": [', '"samples": [[NaN, 1], ')
    (tmp_path / "web1.jsonl").write_text("\n".join([good[0], good[1][:50], bad, not_finite, *good[1:]]) + "\n")
    problems: list[str] = []
    loaded = ground_truth.load(tmp_path, problems)["web1"]
    assert loaded.pids == TRUTHS["web1"].pids
    assert len(problems) == 3
    assert "web1.jsonl, line 2, is truncated or not JSON" in problems[0]
    assert "web1.jsonl, line 3: ceiling_bytes is -5: it must be at least 0" in problems[1]
    assert "web1.jsonl, line 4: samples[0][0] is nan" in problems[2]
    with pytest.raises(ValueError, match="line 2"):
        ground_truth.load(tmp_path)


def test_huge_numbers_do_not_break_the_grades(tmp_path: Path) -> None:
    (tmp_path / "web1.md").write_text(
        f"{DIAGNOSIS} It grows by {'9' * 400} MiB per minute and is killed in {'9' * 400} minutes."
    )
    records, errors = grading.grade_all(tmp_path, TRUTHS)
    assert errors == []
    json.dumps(records, allow_nan=False)


def test_a_line_with_an_invalid_start_time_is_skipped(tmp_path: Path) -> None:
    good = (GROUND_TRUTH / "web1.jsonl").read_text().splitlines()
    lie = json.dumps({**json.loads(good[0]), "started_at": "yesterday", "target_rate_mib_per_min": 0})
    stopped = json.dumps({**json.loads(good[0]), "target_rate_mib_per_min": 0.0})
    tiny = json.dumps({**json.loads(good[0]), "target_rate_mib_per_min": 5e-324})
    far = json.dumps({**json.loads(good[0]), "started_at": "9999-12-31T23:59:59Z"})
    (tmp_path / "web1.jsonl").write_text("\n".join([lie, stopped, tiny, far]) + "\n")
    problems: list[str] = []
    loaded = ground_truth.load(tmp_path, problems)["web1"]
    assert [problem.split(": ", 1)[1].split(": it must")[0] for problem in problems] == [
        "started_at is 'yesterday'",
        "target_rate_mib_per_min is 0.0",
        "target_rate_mib_per_min is 5e-324",
        "started_at is '9999-12-31T23:59:59Z'",
    ]
    grade.grade(f"{DIAGNOSIS} It is killed in 5 minutes.", loaded)


def test_a_list_of_all_pids_identifies_no_process() -> None:
    pids = ", ".join(f"PID {number}" for number in range(300, 33000))
    graded = grade.grade(f"The leak is in one of these processes, which grow: {pids}.", TRUTHS["web1"])
    assert graded["categories"]["process"]["level"] == "none"
