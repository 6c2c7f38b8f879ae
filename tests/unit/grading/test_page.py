"""grades.html in a headless Chromium: evidence, sorting, and escaping of markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from helpers.browsing import NEEDS_BROWSER, column
from helpers.project import PROJECT
from memory_leak_lab.grading import grade, ground_truth
from memory_leak_lab.grading import page as grades_page

pytestmark = NEEDS_BROWSER
GROUND_TRUTH = ground_truth.load(PROJECT / "tests" / "grading" / "ground_truth")
TEXTS = {
    "web1.full.md": "python3 (PID 1432) grows by 30 MiB per minute: 161 MiB at 10:05, 311 MiB at 10:10. Its cache has no"
    " eviction. Add a limit.",
    "web1.markup.md": "<script>document.title = 'taken'</script> There is a memory leak <b>somewhere</b>.",
    "db1.md": "This host is healthy.",
}


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """Open the page of three diagnoses and return the browser."""
    fix = {"effect": "durable", "outcome": "plateaued", "time": "2026-11-23T10:40:00+00:00"}
    records = []
    for name, text in TEXTS.items():
        host = name.split(".")[0]
        variant = GROUND_TRUTH[host].variant
        graded = grade.grade(text, GROUND_TRUTH[host])
        records.append(
            {"file": name, "author": "", "host": host, "variant": variant, **graded, "mitigation_on_host": fix}
        )
    grades_page.write(records, tmp_path / "grades.html")
    browser.get(f"file://{tmp_path}/grades.html")
    return browser


def test_points_show_their_evidence(page: Any) -> None:
    assert page.get_log("browser") == []
    details = page.find_elements(By.TAG_NAME, "details")
    assert len(details) == len(TEXTS)
    assert "25 points, measured (verified): python3 (PID 1432) grows" in details[0].text.replace(
        "\N{LEFT DOUBLE QUOTATION MARK}", ""
    )
    assert "right, 30 MiB per minute, true value 30" in details[0].text
    assert "durable: plateaued" in details[0].text


def test_markup_in_a_diagnosis_is_escaped(page: Any) -> None:
    assert page.title.startswith("Grades of 3")
    assert "<b>somewhere</b>" in page.find_element(By.TAG_NAME, "body").text


def test_the_table_sorts_by_total_and_groups_diagnoses_without_one(page: Any) -> None:
    assert column(page, 1) == ["web1", "web1", "db1"]
    page.find_elements(By.CSS_SELECTOR, "#table th button")[2].click()
    assert column(page, 1)[0] == "db1"
    assert column(page, 2)[0] == "cleared"
