"""Processes on a host: measurement, unit membership and termination."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from helpers.launching import PYTHON, Launch
from memory_leak_host import proc, processes, scripts


def test_end_terminates_only_the_script_even_if_stopped(launch: Launch, script: Path) -> None:
    workload = launch(PYTHON, str(script))
    bystander = launch("tail", "-f", str(script))
    workload.send_signal(19)
    began = time.monotonic()
    # A zombie counts as ended, because its pidfd is readable. This test reaps it.
    processes.end([str(script)], b"")
    assert time.monotonic() - began < 4
    assert workload.wait(timeout=1) == -15
    assert bystander.poll() is None


def test_end_spares_the_processes_of_units(launch: Launch, script: Path) -> None:
    of_unit, manual = launch(PYTHON, str(script)), launch(PYTHON, str(script))
    processes.end([str(script)], b"", [of_unit.pid])
    assert manual.wait(timeout=1) == -15
    assert of_unit.poll() is None


def test_measure_reads_memory_and_age(launch: Launch, script: Path) -> None:
    process = launch(PYTHON, str(script))
    measured = processes.measure(process.pid)
    assert measured
    assert 1024**2 < measured["rss_bytes"] < 100 * 1024**2
    assert 0 <= measured["uptime_s"] < 10
    process.kill()
    process.wait()
    assert processes.measure(process.pid) is None


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("/system.slice/memory-leak.service", "memory-leak.service"),
        ("/system.slice/memory-leak.service/inner", "memory-leak.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/memory-leak.service", None),
        ("/system.slice/other.service/system.slice/memory-leak.service", None),
        ("/system.slice/memory-leak.service.d", None),
        ("/", None),
    ],
)
def test_unit_membership_requires_the_full_cgroup_path(
    monkeypatch: pytest.MonkeyPatch, group: str, unit: str | None
) -> None:
    for systemd_group, prefix in (("/init.scope", ""), ("/machine/init.scope", "/machine"), ("/", "")):
        found = {1: [systemd_group], 7: [prefix + group]}
        monkeypatch.setattr(proc, "cgroups", lambda pid, found=found: found[pid])
        assert processes.unit_of(7, ["another.service", "memory-leak.service"]) == unit


def test_an_ended_process_belongs_to_no_unit() -> None:
    assert processes.unit_of(2**22 + 1, ["memory-leak.service"]) is None
    assert processes.ceiling_bytes(2**22 + 1) is None


def test_a_process_that_forks_on_sigterm_is_killed_with_its_children(launch: Launch, tmp_path: Path) -> None:
    script = tmp_path / "workload.py"
    script.write_text(
        "import os, signal, time\nsignal.signal(signal.SIGTERM, lambda *_: os.fork())\nwhile True: time.sleep(1)\n"
    )
    workload = launch(PYTHON, str(script))
    processes.end([str(script)], b"", patience_s=1)
    assert workload.wait(timeout=1) == -9
    assert scripts.running(scripts.pythons(), [str(script)], b"", []) == {}


@pytest.mark.parametrize("rate", ["nan", "inf", "-3", "0", "1e400", "much"])
def test_an_invalid_rate_falls_back_to_the_default(launch: Launch, script: Path, rate: str) -> None:
    process = launch(PYTHON, str(script), "--ingest-mib-per-min", rate)
    assert processes.target_rate(process.pid) == 30


def test_names_that_are_not_utf8_are_read(launch: Launch, tmp_path: Path) -> None:
    program = tmp_path / "caf\udce9"
    shutil.copy("/bin/sleep", program)
    process = launch(str(program), "60")
    assert proc.command(process.pid)[0] == str(program)
    found = proc.statistics(process.pid)
    assert found and found.name == "caf\udce9"
