"""Run the workload as real processes on every installed Python from 3.9 to 3.14, in parallel."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers.interpreters import PYTHONS, VERSIONS
from helpers.project import ROLE
from memory_leak_controller import growth

WORKLOAD = ROLE / "files" / "workload.py"
RATE_MIB_PER_MIN = 30
SLOW_MIB_PER_MIN = 1
SECONDS = 60
LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}) requests=(?P<requests>\d+) "
    r"requests_per_second=(?P<rate>\d+\.\d) cache_entries=(?P<entries>\d+) hits=(?P<hits>\d+) misses=(?P<misses>\d+)"
)


each_python = pytest.mark.parametrize("version", VERSIONS)


@dataclass
class Run:
    """A running service, its log, and its samples: (monotonic time in s, RSS in MiB, CPU time in s)."""

    process: subprocess.Popen[bytes]
    log: Path
    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def sample(self) -> None:
        proc = Path(f"/proc/{self.process.pid}")
        rss = re.search(r"^VmRSS:\s+(\d+) kB", (proc / "status").read_text(), re.MULTILINE)
        assert rss
        ticks = (proc / "stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        self.samples.append((time.monotonic(), int(rss[1]) / 1024, cpu_s))

    def lines(self) -> list[dict[str, str]]:
        matches = [LINE.fullmatch(line) for line in self.log.read_text().splitlines() if "requests" in line]
        assert all(matches), self.log.read_text()
        return [match.groupdict() for match in matches if match]


def start(log: Path, *arguments: str, python: str | None = None) -> Run:
    with log.open("wb") as output:
        command = [python or next(iter(PYTHONS.values())), str(WORKLOAD), *arguments]
        return Run(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT), log)


def wait_for_first_line(run: Run) -> None:
    deadline = time.monotonic() + 10
    while not run.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.log.read_text(), "the log is empty after 10 s"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Provide runs on every Python, at the default and the slow rate, after a minute of sampling."""
    logs = tmp_path_factory.mktemp("logs")
    started = {version: start(logs / version, python=python) for version, python in PYTHONS.items()}
    for version, python in PYTHONS.items():
        started[f"{version} slow"] = start(
            logs / f"{version} slow", "--ingest-mib-per-min", f"{SLOW_MIB_PER_MIN}", python=python
        )
    try:
        for run in started.values():
            wait_for_first_line(run)
        for second in range(SECONDS + 1):
            for run in started.values():
                run.sample()
            if second < SECONDS:
                time.sleep(1)
        yield started
    finally:
        for run in started.values():
            run.process.kill()
            run.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Run]:
    """Provide a running service that has logged its first line."""
    run = start(tmp_path / "log")
    try:
        wait_for_first_line(run)
        yield run
    finally:
        run.process.kill()
        run.process.wait()


@each_python
def test_rss_grows_linearly_at_the_configured_rate(runs: dict[str, Run], version: str) -> None:
    times_s, rss_mib, _cpu_s = zip(*runs[version].samples, strict=True)
    line = growth.fit(times_s, rss_mib)
    print(f"Python {version}: {line}")
    assert line.rate_per_min == pytest.approx(RATE_MIB_PER_MIN, rel=0.01)
    assert line.r_squared >= 0.999
    assert line.largest_residual <= 1, "the growth has a step"
    assert 5 <= rss_mib[0] <= 20


@each_python
def test_rss_grows_from_the_start_at_a_low_rate(runs: dict[str, Run], version: str) -> None:
    times_s, rss_mib, _cpu_s = zip(*runs[f"{version} slow"].samples, strict=True)
    line = growth.fit(times_s, rss_mib)
    print(f"Python {version}: {line}")
    # One-off effects: first use of interpreter parts (up to 0.06 MiB), and refilled memory freed at startup (up to 0.17 MiB).
    assert line.rate_per_min == pytest.approx(SLOW_MIB_PER_MIN, rel=0.08)
    assert line.r_squared >= 0.99


@each_python
def test_the_workload_uses_little_cpu(runs: dict[str, Run], version: str) -> None:
    times_s, _rss_mib, cpu_s = zip(*runs[version].samples, strict=True)
    share = (cpu_s[-1] - cpu_s[0]) / (times_s[-1] - times_s[0])
    print(f"Python {version}: {share:.2%} of a core")
    assert share <= 0.005


@each_python
def test_log_has_a_line_every_ten_seconds_with_a_steady_request_rate(runs: dict[str, Run], version: str) -> None:
    lines = runs[version].lines()
    assert len(lines) == SECONDS // 10 + 1
    for line in lines[1:]:
        assert float(line["rate"]) == pytest.approx(10, rel=0.02)
        assert line["requests"] == line["entries"]
        assert int(line["hits"]) + int(line["misses"]) == int(line["requests"])
    times = [time.mktime(time.strptime(line["time"], "%Y-%m-%dT%H:%M:%S%z")) for line in lines]
    assert all(9 <= later - earlier <= 12 for earlier, later in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("rate", ["0.5", "300"])
def test_request_rate_does_not_depend_on_the_ingest_rate(tmp_path: Path, rate: str) -> None:
    run = start(tmp_path / "log", "--ingest-mib-per-min", rate)
    wait_for_first_line(run)
    time.sleep(3)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(timeout=2) == 0
    assert float(run.lines()[-1]["rate"]) == pytest.approx(10, rel=0.05)


def test_at_most_five_seconds_are_made_up_after_a_stall(service: Run) -> None:
    time.sleep(1)
    service.process.send_signal(signal.SIGSTOP)
    time.sleep(9)
    service.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=2) == 0
    requests = int(service.lines()[-1]["requests"])
    assert 60 <= requests <= 80, "10 before, 10 after, and 50 of the 90 missed ones"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_a_last_line_and_status_0(service: Run, number: signal.Signals) -> None:
    lines_before = len(service.lines())
    service.process.send_signal(number)
    assert service.process.wait(timeout=2) == 0
    assert len(service.lines()) == lines_before + 1
    assert service.log.read_text().endswith(f"stopped by {number.name}\n")


@pytest.mark.parametrize(
    "arguments",
    [["--ingest-mib-per-min", bad] for bad in ("0", "-3", "nan", "inf", "fast", "0.1", "6001")]
    + [["--verbose"], ["x"]],
)
def test_invalid_arguments_print_the_usage_and_exit_2(arguments: list[str]) -> None:
    python = next(iter(PYTHONS.values()))
    done = subprocess.run([python, str(WORKLOAD), *arguments], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: workload.py")
    assert arguments[-1] in done.stderr


def test_source_is_short_and_does_not_reveal_its_purpose() -> None:
    source = WORKLOAD.read_text()
    assert len(source.splitlines()) < 155
    for word in ("leak", "grow", "unbounded", "evict", "scenario", "simulat"):
        assert word not in source.lower()


def test_a_bounded_cache_stays_flat_and_the_buffer_is_allocated_at_the_start(tmp_path: Path) -> None:
    run = start(tmp_path / "log", "--ingest-mib-per-min", "600", "--max-sessions", "10", "--buffer-mib", "50")
    try:
        wait_for_first_line(run)
        for _sample in range(6):
            time.sleep(0.5)
            run.sample()
    finally:
        run.process.terminate()
        run.process.wait()
    sizes = [size for _time, size, _cpu in run.samples]
    assert all(65 < size < 80 for size in sizes), sizes  # without a bound, 600 MiB/min would add 30 MiB in 3 s
    assert max(sizes[1:]) - min(sizes[1:]) < 3
    assert run.lines()[-1]["entries"] == "10"


def test_requests_are_served_after_the_delay(tmp_path: Path) -> None:
    run = start(tmp_path / "log", "--start-delay", "2")
    wait_for_first_line(run)
    time.sleep(1)
    run.process.terminate()
    run.process.wait()
    assert run.lines()[-1]["requests"] == "0"
    run = start(tmp_path / "log", "--start-delay", "2")
    wait_for_first_line(run)
    time.sleep(4)
    run.process.terminate()
    run.process.wait()
    assert 15 <= int(run.lines()[-1]["requests"]) <= 25
