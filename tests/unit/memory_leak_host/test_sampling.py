"""Sample a process from outside: memory, CPU time, log and exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory_leak_host import sampling, units

SERVICE = """
import time
hoard = []
for number in range(1000):
    hoard.append(b"x" * 400_000)
    print("requests=1 requests_per_second=10.5 cache_entries=1", flush=True)
    time.sleep(0.1)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Provide a growing process whose log file is deleted while it runs."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=file)
    while not log.stat().st_size:
        pass
    log.unlink()
    yield process
    process.kill()
    process.wait()


def test_observation_samples_a_process(service: Any) -> None:
    seen = sampling.observe(service.pid, 3)
    times, sizes, available, processor = zip(*seen["samples"], strict=True)
    assert times[0] == 0
    assert times[-1] == pytest.approx(3, abs=0.3)
    assert len(times) == 7
    assert sorted(sizes) == list(sizes)
    assert sizes[-1] - sizes[0] == pytest.approx(3 / 0.1 * 400_000, rel=0.3)
    assert min(available) > 0
    assert sorted(processor) == list(processor)
    assert set(seen["request_rates"]) == {10.5}
    assert 20 <= len(seen["request_rates"]) <= 32
    assert seen["ended"] is False
    assert sampling.last_request_rate(service.pid) == 10.5


def test_observation_ends_with_the_process(service: Any) -> None:
    threading.Timer(1, service.kill).start()
    seen = sampling.observe(service.pid, 20)
    assert seen["ended"] is True
    assert len(seen["samples"]) < 5


def test_a_missing_process_or_log_gives_no_samples() -> None:
    assert sampling.observe(2**22 + 1, 1) == {"samples": [], "request_rates": [], "ended": True}
    with subprocess.Popen(["sleep", "5"], stdout=subprocess.PIPE) as process:
        assert sampling.last_request_rate(process.pid) is None
        assert sampling.observe(process.pid, 0.2)["request_rates"] == []
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start a process as another user")
def test_the_units_log_is_read_even_if_its_user_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text("requests_per_second=10.5\n")
    log.chmod(0o600)
    with log.open("ab") as file:
        process = subprocess.Popen(["sleep", "30"], stdout=file, user=65534, group=65534, extra_groups=[])
    try:
        assert sampling.last_request_rate(process.pid) is None
        monkeypatch.setattr(units, "ours", lambda: {"a.service": {"log_file": str(log)}})
        assert sampling.last_request_rate(process.pid) == 10.5
        log.write_text("requests_per_second=inf requests_per_second=nan requests_per_second=-1\n")
        assert sampling.last_request_rate(process.pid) is None
    finally:
        process.kill()
        process.wait()
