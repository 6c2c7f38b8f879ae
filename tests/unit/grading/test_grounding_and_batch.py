"""Measurements held against a session's transcript, and the judge's requests and responses in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.project import PROJECT
from memory_leak_lab.grading import __main__ as grading
from memory_leak_lab.grading import batch, ground_truth, grounding

TRUTHS = ground_truth.load(PROJECT / "tests" / "grading" / "ground_truth")
TEXT = "python3 (PID 1432) grows: 161 MiB at 10:05, 311 MiB at 10:10. The session cache has no eviction. Add a limit."
QUOTES = {
    "memory_growth": ("measured", "161 MiB at 10:05"),
    "process": ("identified", "python3 (PID 1432) grows"),
    "root_cause": ("explained", "The session cache has no eviction."),
    "mitigation": ("generic", "Add a limit."),
}


def transcript(directory: Path, *outputs: Any, host: str = "web1") -> grounding.Transcript:
    lines = [
        {"tools": ["bash_execute"]},
        *({"tool": "bash_execute", "arguments": {"host": host}, "output": each} for each in outputs),
    ]
    (directory / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return grounding.load(directory / "s.jsonl", "web1")


@pytest.mark.parametrize(
    ("outputs", "level"),
    [
        (["VmRSS: 164864 kB", "VmRSS: 318464 kB"], "measured"),
        ([{"rss_mib": 161.0}, {"rss_mib": 311.2}], "measured"),
        (["VmRSS: 164864 kB"], "snapshot"),
        ([], "snapshot"),
    ],
)
def test_a_size_that_no_tool_has_shown_does_not_count(tmp_path: Path, outputs: list[Any], level: str) -> None:
    submission = grading._of_file(write(tmp_path, TEXT), TRUTHS, None, None)[0]._replace(
        transcript=transcript(tmp_path, *outputs)
    )
    got = grading.record(submission)
    assert got["categories"]["memory_growth"]["level"] == level
    assert bool(got["ungrounded"]) == (level != "measured")


def test_the_outputs_of_another_host_do_not_count(tmp_path: Path) -> None:
    assert transcript(tmp_path, "VmRSS: 164864 kB", host="web2").sizes_mib == ()


def write(directory: Path, text: str) -> Path:
    path = directory / "web1.md"
    path.write_text(text)
    return path


def answers(requests: Path, **changes: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a batch service's responses to requests, all the same."""
    content = json.dumps(
        {name: {"level": level, "quote": quote} for name, (level, quote) in (QUOTES | changes).items()}
    )
    body = {"choices": [{"message": {"content": content}}]}
    return [
        {"custom_id": json.loads(line)["custom_id"], "response": {"status_code": 200, "body": body}}
        for line in requests.read_text().splitlines()
    ]


def judged(directory: Path, responses: list[Any]) -> tuple[dict[str, Any], list[str]]:
    path = directory / "responses.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in responses))
    problems: list[str] = []
    found = batch.Responses(path, 3, problems)
    (submission,), _errors = grading.submissions([directory / "web1.md"], TRUTHS)
    return grading.record(submission, found.judge("web1.md")), problems


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Return a file with the requests for one diagnosis."""
    write(tmp_path, TEXT)
    (submission,), _errors = grading.submissions([tmp_path / "web1.md"], TRUTHS)
    path = tmp_path / "requests.jsonl"
    path.write_text(
        "".join(batch.request("web1.md", "any", submission.document.text, submission.truth, n) + "\n" for n in range(3))
    )
    return path


def test_responses_are_matched_in_any_order(tmp_path: Path, requests: Path) -> None:
    got, problems = judged(tmp_path, answers(requests)[::-1])
    assert (got["total"], got["provisional"], problems) == (90, False, [])
    assert {name: each["basis"] for name, each in got["categories"].items()} == {
        **{"memory_growth": "verified", "process": "verified", "root_cause": "judged", "mitigation": "judged"}
    }


def test_missing_failed_and_foreign_responses_lose_their_votes(tmp_path: Path, requests: Path) -> None:
    good = answers(requests)
    got, _problems = judged(tmp_path, [*good[:2], {"custom_id": "other", "response": good[0]["response"]}])
    assert got["total"] == 90
    failed = {"custom_id": good[1]["custom_id"], "error": {"message": "overloaded"}, "response": None}
    got, problems = judged(tmp_path, [good[0], failed, "no object"])
    assert (got["total"], got["verdict"]) == (None, "ungraded")
    assert "overloaded" in got["categories"]["root_cause"]["evidence"]
    assert "line 3: not a response" in problems[0]


def test_a_quote_that_is_not_in_the_text_loses_the_vote(tmp_path: Path, requests: Path) -> None:
    got, _problems = judged(tmp_path, answers(requests, root_cause=("explained", "It never evicts.")))
    assert "the quote for root_cause is not in the diagnosis" in got["categories"]["root_cause"]["evidence"]


def test_responses_to_an_older_text_do_not_count(tmp_path: Path, requests: Path) -> None:
    responses = answers(requests)
    write(tmp_path, TEXT + " And more.")
    assert judged(tmp_path, responses)[0]["verdict"] == "ungraded"
