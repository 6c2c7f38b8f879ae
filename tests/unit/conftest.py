"""Fixtures shared by unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from helpers import browsing


@pytest.fixture(scope="module", params=["light", "dark"])
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Provide an offline browser in the light and the dark colour scheme."""
    browser = browsing.start(request.param, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()
