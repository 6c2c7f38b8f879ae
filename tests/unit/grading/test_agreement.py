"""The grader on a corpus whose levels were fixed before the grader was written, and on variations."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import Any

import pytest
import yaml

from helpers.project import PROJECT
from memory_leak_lab.grading import grade, ground_truth, rubric

CORPUS = PROJECT / "tests" / "grading"
TRUTH = ground_truth.load(CORPUS / "ground_truth")
SETS = ("tuning", "unseen", "tuning_2", "unseen_2", "unseen_3")
HALVES: dict[str, list[dict[str, Any]]] = {half: yaml.safe_load((CORPUS / f"{half}.yml").read_text()) for half in SETS}
HEALTHY: list[dict[str, Any]] = yaml.safe_load((CORPUS / "healthy.yml").read_text())
CHEATS = (
    *("empty", "key words", "orders to the grader", "the rubric pasted back", "stuffing with sentences", "begging"),
    *(
        "order to the grader in the middle",
        "the rubric as an answer",
        "a list of every word",
        "pleading",
        "hidden order",
    ),
    *("words without a sentence", "rubric with ticks", "empty headings"),
    *("praise of the grader",),
)


def expected_total(diagnosis: dict[str, Any]) -> int:
    """Return the total for the expected levels and deductions."""
    levels = {name: rubric.Finding(diagnosis["levels"][name], "it says so") for name in rubric.CATEGORIES}
    total: int = rubric.result(levels, dict.fromkeys(diagnosis["deductions"], "it says so"))["total"]
    is_unfounded = (diagnosis["levels"]["memory_growth"], diagnosis["levels"]["process"]) == ("none", "none")
    return min(total, grade.MOST_UNFOUNDED) if is_unfounded else total


@pytest.mark.parametrize("half", HALVES)
def test_grades_agree_with_the_expected_levels(half: str) -> None:
    corpus = HALVES[half]
    assert len(corpus) >= 20
    graded = [grade.grade(each["text"], TRUTH[each["host"]]) for each in corpus]
    disagreements, error = [], 0
    for each, got in zip(corpus, graded, strict=True):
        error += abs((got["total"] or 0) - expected_total(each))
        disagreements += [
            (each["name"], name, each["levels"][name], got["categories"][name]["level"])
            for name in rubric.CATEGORIES
            if each["levels"][name] != got["categories"][name]["level"]
        ]
    exact = 1 - len(disagreements) / len(corpus) / len(rubric.CATEGORIES)
    print(f"{half}: {exact:.0%} exact, mean error of the total {error / len(corpus):.1f}", *disagreements, sep="\n  ")
    assert exact >= 0.94
    assert error / len(corpus) <= 6


@pytest.mark.parametrize(
    "cheat",
    [each for half in HALVES.values() for each in half if each["name"] in CHEATS],
    ids=lambda each: each["name"],
)
def test_cheats_get_at_most_20_points(cheat: dict[str, Any]) -> None:
    assert grade.grade(cheat["text"], TRUTH[cheat["host"]])["total"] <= 20


def test_points_have_evidence_and_add_up() -> None:
    for each in itertools.chain(*HALVES.values()):
        got = grade.grade(each["text"], TRUTH[each["host"]])
        for category in got["categories"].values():
            assert bool(category["evidence"]) or category["points"] == 0, each["name"]
        assert all(deduction["evidence"] for deduction in got["deductions"])
        if got["total"] is None:
            assert "ungraded" in [category["level"] for category in got["categories"].values()]
            continue
        earned = sum(category["points"] for category in got["categories"].values())
        percent = sum(deduction["percent"] for deduction in got["deductions"])
        total = round(earned * (100 - percent) / 100)
        assert got["total"] in (total, min(total, grade.MOST_UNFOUNDED)), each["name"]
        assert got["founded"] or got["total"] <= total
        assert 0 <= got["total"] <= 100


FINDINGS = {
    "memory_growth": "VmRSS was 161 MiB at 10:05 and 311 MiB at 10:10: a straight line.",
    "process": "It is python3 workload.py with PID 1432, which keeps growing.",
    "root_cause": "The session cache has no eviction and no size limit.",
    "mitigation": "Add a time to live, and restart the service until then.",
}


def test_the_reference_gets_full_marks() -> None:
    got = grade.grade("\n\n".join(FINDINGS.values()), TRUTH["web1"])
    assert (got["total"], got["deductions"]) == (100, [])


@pytest.mark.parametrize(
    ("removed", "left"),
    [("memory_growth", "snapshot"), ("process", "none"), ("root_cause", "symptoms"), ("mitigation", "none")],
)
def test_removing_a_finding_costs_exactly_its_points(removed: str, left: str) -> None:
    rest = "\n\n".join(text for name, text in FINDINGS.items() if name != removed)
    got = grade.grade(rest, TRUTH["web1"])
    lost = rubric.SCENARIO["rubric"][removed]["points"] - rubric.levels(removed)[left]["points"]
    assert got["categories"][removed]["level"] == left
    assert (got["total"], got["deductions"]) == (100 - lost, [])


@pytest.mark.parametrize(
    ("sizes", "level"),
    [
        ("185 MiB at 10:05, 335 MiB at 10:10", "measured"),  # true late in those minutes
        ("185 MiB at 10:05:02, 335 MiB at 10:10:02", "snapshot"),
        ("205 MiB at 10:05, 355 MiB at 10:10", "snapshot"),
    ],
)
def test_a_time_without_seconds_matches_its_whole_minute(sizes: str, level: str) -> None:
    got = grade.grade(f"python3 (PID 1432) grows: {sizes}.", TRUTH["web1"])
    assert got["categories"]["memory_growth"]["level"] == level


def test_scattered_measurements_do_not_count_as_measured() -> None:
    scattered = ", ".join(f"{(number * 389) % 1000} MiB at 10:{number:02}" for number in range(1, 31))
    got = grade.grade(f"python3 (PID 1432) grows: 161 MiB at 10:05, 311 MiB at 10:10, {scattered}.", TRUTH["web1"])
    assert got["categories"]["memory_growth"]["level"] == "snapshot"


def test_times_in_another_time_zone_are_accepted() -> None:
    text = "python3 (PID 1432) grows: 161 MiB at 12:05, 311 MiB at 12:10."
    assert grade.grade(text, TRUTH["web1"])["categories"]["memory_growth"]["level"] == "measured"


def test_a_service_in_disguise_is_identified_by_its_own_names() -> None:
    (run,) = TRUTH["web2"].runs
    disguised = dataclasses.replace(run, command="/usr/bin/python3 /opt/token-cache/service.py")
    answers = dataclasses.replace(TRUTH["web2"], runs=(disguised,))
    text = "token-cache has PID 2210 and grows: 146 MiB at 10:05, 296 MiB at 10:10."
    assert grade.grade(text, answers)["categories"]["process"]["level"] == "identified"
    assert grade.grade(text, TRUTH["web2"])["categories"]["process"]["level"] == "mentioned"


@pytest.mark.parametrize("each", HEALTHY, ids=lambda each: each["name"])
def test_blaming_a_healthy_host_earns_nothing(each: dict[str, Any]) -> None:
    got = grade.grade(each["text"], TRUTH[each["host"]])
    assert (got["verdict"], got["total"]) == (each["verdict"], 0 if each["verdict"] == "blamed" else None)


MEASURED = "python3 (PID 1432) grows: 161 MiB at 10:05, 311 MiB at 10:10."


@pytest.mark.parametrize(
    ("claim", "right"),
    [
        ("That is 30 MiB per minute.", True),
        ("That is 0.5 MB/s.", True),
        ("That is 1.8 GB an hour.", True),
        ("That is 30 MiB per second.", False),
        ("It will be OOM-killed in about 24 minutes.", True),
        ("It hits its ceiling within 20 to 30 min.", True),
        ("It runs out of memory in half a day, in 12 hours.", False),
        ("It will be killed in 90 seconds.", False),
    ],
)
def test_claimed_rates_and_remaining_times_are_checked(claim: str, right: bool) -> None:
    got = grade.grade(f"{MEASURED} {claim}", TRUTH["web1"])
    assert [each["right"] for each in got["claims"]] == [right], got["claims"]
    assert got["claims"][0]["evidence"] == claim
    assert got["categories"]["memory_growth"]["level"] == ("measured" if right else "snapshot")


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        " ",
        "grows ",
        "is not a the ",
        "10:05 161 MiB ",
        "| 10:05 | 161 MiB |\n",
        "never ",
        "\0",
        "9",
        "# ",
        "pid ",
    ],
)
def test_grading_time_is_linear_in_the_text(piece: str) -> None:
    small, large = (timed(piece * (size // len(piece))) for size in (25_000, 100_000))
    # Linear time would be a factor of 4, quadratic time 16.
    assert large < 12 * small + 0.2, (small, large)


def timed(text: str) -> float:
    began = time.process_time()
    grade.grade(text, TRUTH["web1"])
    return time.process_time() - began
