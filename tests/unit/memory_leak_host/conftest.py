"""Fixtures shared by the process and script tests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.launching import Launch


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Provide a function that starts a process. The processes are killed after the test."""
    started = []

    def run(*command: str, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **{"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, **options})
        started.append(process)
        time.sleep(0.2)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return the path of a Python script that sleeps."""
    path = tmp_path / "workload.py"
    path.write_text("import time\ntime.sleep(60)\n")
    return path
