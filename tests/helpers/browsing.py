"""Drive a headless, offline Chromium for the HTML page tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
NEEDS_BROWSER = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium and chromedriver")
OPTIONS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-background-networking",
    "disable-component-update",
    "no-first-run",
)


def start(scheme: str, profile: Path) -> webdriver.Chrome:
    """Start a browser that prefers the colour scheme `light` or `dark`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for option in (*OPTIONS, f"user-data-dir={profile}", "proxy-server=127.0.0.1:9"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return browser


def column(browser: Any, number: int) -> list[str]:
    """Return the text of one table column (0-based), visible rows only."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr:not([hidden])")
    return [row.find_elements(By.TAG_NAME, "td")[number].text for row in rows]
