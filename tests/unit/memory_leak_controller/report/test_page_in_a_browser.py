"""report.html in a headless Chromium: plots, sorting, filtering and a phone layout, without console errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from helpers.browsing import NEEDS_BROWSER, column
from helpers.sample_records import fleet
from memory_leak_controller.report import page

pytestmark = NEEDS_BROWSER
PHONE = (390, 844)


def show(browser: Any, directory: Path, count: int) -> None:
    """Open the report of a fleet in a desktop-sized window and wait for its plots."""
    page.write({"generated_at": "now", "operation": "status", "hosts": fleet(count)}, directory / "report.html")
    browser.set_window_size(1200, 900)
    browser.get(f"file://{directory}/report.html")
    WebDriverWait(browser, 30).until(lambda _browser: len(browser.find_elements(By.CSS_SELECTOR, ".main-svg")) >= 2)


@pytest.mark.parametrize("count", [2, 12, 500])
def test_page_opens_without_errors_and_shows_every_host(browser: Any, tmp_path: Path, count: int) -> None:
    show(browser, tmp_path, count)
    assert browser.get_log("browser") == []
    measured = count - (count >= 7)  # one host is unreachable
    drawn = "return document.querySelectorAll('#{} .scatterlayer .trace').length"
    assert browser.execute_script(drawn.format("available")) == measured
    assert browser.execute_script(drawn.format("rss")) > measured  # plus the target rate line
    assert len(browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")) == count


def test_table_sorts_numbers_and_names_in_both_directions(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 12)
    headings = browser.find_elements(By.CSS_SELECTOR, "#table th button")
    headings[0].click()
    assert column(browser, 0) == [f"host{number}" for number in range(1, 13)]
    headings[0].click()
    assert column(browser, 0) == [f"host{number}" for number in range(12, 0, -1)]
    headings[4].click()
    rates = [float(text) if text else float("-inf") for text in column(browser, 4)]
    assert rates == sorted(rates)
    assert rates[0] == float("-inf")
    assert headings[4].find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"


def test_filter_shows_only_matching_rows(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 12)
    browser.find_element(By.ID, "filter").send_keys("stalled")
    assert column(browser, 0) == ["host3"]


def test_ceiling_is_shown_on_request(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 2)
    top = "return document.querySelector('#rss').layout.yaxis.range[1]"
    assert browser.execute_script(top) < 200
    browser.find_element(By.ID, "ceiling").click()
    assert browser.execute_script(top) > 1024
    assert browser.get_log("browser") == []


def test_page_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    size = {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        show(browser, tmp_path, 12)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
        plot = browser.find_element(By.ID, "rss").size
        assert 300 <= plot["width"] <= PHONE[0]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
