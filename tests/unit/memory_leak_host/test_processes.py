"""Processes on a host: which run our workload, what they hold, and their end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory_leak_host import processes

Launch = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Return a function that starts a process, which is killed at the end of the test."""
    started = []

    def run(*command: str, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)
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


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 /a/workload.py --ingest 30", "/a/workload.py"),
        ("python3 -u -O workload.py", "workload.py"),
        ("python3 -W ignore -X dev -I workload.py", "workload.py"),
        ("python3 -c print workload.py", None),
        ("python3 -Im http.server workload.py", None),
        ("python3", None),
    ],
)
def test_script_argument(command: str, expected: str | None) -> None:
    assert processes.script_argument(command.split()) == expected


def test_find_knows_the_script_by_absolute_and_relative_path(launch: Launch, script: Path) -> None:
    absolute = launch(sys.executable, str(script))
    relative = launch(sys.executable, "-u", "workload.py", cwd=script.parent)
    assert processes.find(str(script)) == sorted([absolute.pid, relative.pid])


def test_find_spares_what_only_mentions_the_script(launch: Launch, script: Path, tmp_path: Path) -> None:
    launch("tail", "-f", str(script))
    launch(sys.executable, "-c", "import time; time.sleep(60)", str(script))
    other = tmp_path / "other" / "workload.py"
    other.parent.mkdir()
    shutil.copy(script, other)
    launch(sys.executable, str(other))
    launch(sys.executable, "workload.py", cwd=other.parent)
    assert processes.find(str(script)) == []


def test_end_ends_the_script_even_stopped_and_nothing_else(launch: Launch, script: Path) -> None:
    ours = launch(sys.executable, str(script))
    bystander = launch("tail", "-f", str(script))
    ours.send_signal(19)
    began = time.monotonic()
    # A zombie counts as ended, since its handle becomes readable; it is ours to reap.
    processes.end(str(script))
    assert time.monotonic() - began < 4
    assert ours.wait(timeout=1) == -15
    assert bystander.poll() is None


def test_measure_reads_memory_and_age(launch: Launch, script: Path) -> None:
    process = launch(sys.executable, str(script))
    measured = processes.measure(process.pid)
    assert measured
    assert 1024**2 < measured["rss_bytes"] < 100 * 1024**2
    assert 0 <= measured["uptime_s"] < 10
    process.kill()
    process.wait()
    assert processes.measure(process.pid) is None


def test_a_process_is_in_its_own_cgroup_alone() -> None:
    own = Path("/proc/self/cgroup").read_text().splitlines()
    for part in {part for line in own for part in line.split(":", 2)[2].split("/")} - {""}:
        assert processes.unit_of(os.getpid(), ["another.service", part]) == part
    assert processes.unit_of(os.getpid(), ["memory-leak.service"]) is None
    assert processes.unit_of(2**22 + 1, ["memory-leak.service"]) is None
    assert processes.ceiling_bytes(2**22 + 1) is None
