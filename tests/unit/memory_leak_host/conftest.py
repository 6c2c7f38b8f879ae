"""What the tests of processes and scripts share."""

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
    """Return a function that starts a process, which is killed at the end of the test."""
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
    """Return a Python script that sleeps."""
    path = tmp_path / "workload.py"
    path.write_text("import time\ntime.sleep(60)\n")
    return path
