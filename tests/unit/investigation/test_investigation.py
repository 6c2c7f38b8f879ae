"""Analyse the snapshots of an investigation: leaks, flat and slow growth, OOM kills, and the cause in the source."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.interpreters import PYTHONS, VERSIONS
from helpers.project import PROJECT, ROLE
from memory_leak_controller import transport
from memory_leak_lab.grading import grade, ground_truth
from memory_leak_lab.investigation import analysis, render, source

SNAPSHOT_PROGRAM = PROJECT / "roles" / "investigation" / "files" / "host_snapshot.py"
NOON = 1_795_435_200.0  # 2026-11-23, 12:00 UTC
SERVICE = (PROJECT / "files" / "workload.py").read_text()
LOG = "\n".join(f"requests_per_second=10.0 cache_entries={count}" for count in range(100, 900, 100))
GROWING = """
import time
kept = []
while True:
    kept.append(bytes(range(256)) * 4096)
    time.sleep(0.1)
"""


def host_snapshot(rss_kib: float, at: float, **more: Any) -> dict[str, Any]:
    """Return a snapshot of a host with one process (PID 700), taken `at` seconds after noon."""
    return {
        "time": NOON + at,
        "monotonic_s": 1000 + at,
        "memory_kib": {"MemTotal": 2_000_000, "MemAvailable": 1_900_000 - int(rss_kib)},
        "processes": {"700": {"start": 5, "rss_kib": int(rss_kib), "cpu_s": 1.0, "name": "python3"}},
        **dict.fromkeys(("free", "ps", "dmesg", "failed_units"), "as it says"),
        "python_rss_kib": 10_000,
        "oom_kills": [],
        "growing": [],
        **more,
    }


def snapshots(sizes_mib: tuple[float, float], at_the_end_mib_per_min: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two snapshots a minute apart. The second includes 10 s of samples of the process."""
    first, last = (size * 1024 for size in sizes_mib)
    samples = [
        {
            **{"time": NOON + 60 + second, "monotonic_s": 1060 + second, "cpu_s": 1 + second / 1000},
            **{"rss_kib": last + second * at_the_end_mib_per_min * 1024 / 60, "MemAvailable": 1_700_000},
        }
        for second in range(11)
    ]
    command = ["/usr/bin/python3", "/opt/web/service.py", "--ingest-mib-per-min", "30"]
    service = {"properties": {"MemoryMax": str(1024**3)}, "status": "active", "journal": "started"}
    watched = {
        **{"pid": 700, "command": command, "unit": "web.service", "status": "VmRSS", "service": service, "log": LOG},
        **{"script": command[1], "source": SERVICE, "samples": samples},
    }
    return host_snapshot(first, 0), host_snapshot(last, 60, growing=[watched])


@pytest.mark.parametrize(
    ("sizes_mib", "at_the_end", "verdict"),
    [
        ((40, 70), 30, "leaking"),
        ((40, 40.6), 0.6, "leaking"),
        ((40, 70), 0, "no_leak"),  # settled
        ((40, 70), 5, "no_leak"),  # slows down
        ((400, 400), 0, "no_leak"),
        ((70, 40), -30, "no_leak"),
    ],
)
def test_only_steady_growth_until_the_end_is_a_leak(
    sizes_mib: tuple[float, float], at_the_end: float, verdict: str
) -> None:
    assert analysis.analyse(*snapshots(sizes_mib, at_the_end)).verdict == verdict


def test_a_large_but_flat_process_is_named(tmp_path: Path) -> None:
    first, second = host_snapshot(400 * 1024, 0), host_snapshot(400 * 1024, 60)
    assert render.write("web1", first, second, tmp_path).large == ((700, "python3", 400.0, 0.0),)
    text = (tmp_path / "diagnoses" / "web1.reference.md").read_text()
    assert "No leak here" in text and "400.0 MiB, but +0.0 MiB" in text


def test_slow_growth_is_reported_as_too_slow_to_tell(tmp_path: Path) -> None:
    render.write("web1", *snapshots((40, 40.5), 0), tmp_path)
    render.write("web2", *snapshots((40, 70), 0), tmp_path)
    slow, settled = ((tmp_path / "diagnoses" / f"{host}.reference.md").read_text() for host in ("web1", "web2"))
    assert "too slow to tell" in slow
    assert "too slow" not in settled and "not in a straight line" in settled


def answer(samples: list[list[float]], directory: Path) -> ground_truth.GroundTruth:
    """Return the ground truth of a host whose service (PID 700) started at noon and leaks 30 MiB/min."""
    line = {
        **{
            "time": "2026-11-23T12:00:00+00:00",
            "event": "setup",
            "host": "web1",
            "variant": "leaker",
            "outcome": "running",
        },
        **{"pid": 700, "command": "python3", "started_at": "2026-11-23T12:00:00+00:00", "target_rate_mib_per_min": 30},
        **{"ceiling_bytes": 1024**3, "samples": samples},
    }
    (directory / "web1.jsonl").write_text(json.dumps(line) + "\n")
    return ground_truth.load(directory)["web1"]


def test_the_reference_diagnosis_of_a_leak_gets_full_marks(tmp_path: Path) -> None:
    render.write("web1", *snapshots((10, 40), 30), tmp_path)
    text = (tmp_path / "diagnoses" / "web1.reference.md").read_text()
    graded = grade.grade(text, answer([[NOON, 10 * 1024**2]], tmp_path))
    assert (graded["total"], graded["deductions"]) == (100, []), text
    evidence = (tmp_path / "investigation" / "web1.md").read_text()
    assert "a leak" in evidence and "cache_entries=800" in evidence
    assert json.loads((tmp_path / "investigation" / "web1.json").read_text())["leak"]["pid"] == 700


def test_the_reference_diagnosis_of_an_oom_kill_gets_full_marks(tmp_path: Path) -> None:
    properties = {
        "ExecMainPID": "700",
        "ExecMainStartTimestamp": "Mon 2026-11-23 12:00:00 UTC",
        "ExecStart": "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 /opt/web/service.py ; ignore_errors=no ; }",
    }
    service = {"properties": properties, "journal": "", "log": LOG, "script": "/opt/web/service.py", "source": SERVICE}
    kill = {"time": NOON + 2028, "pid": 700, "name": "python3", "rss_kib": 1023 * 1024, "unit": "web.service"}
    second = host_snapshot(
        0, 3060, processes={}, oom_kills=[{**kill, "message": "Killed process 700", "service": service}]
    )
    assert render.write("web1", host_snapshot(0, 3000, processes={}), second, tmp_path).verdict == "oom_killed"
    text = (tmp_path / "diagnoses" / "web1.reference.md").read_text()
    graded = grade.grade(text, answer([[NOON, 10 * 1024**2]], tmp_path))
    assert (graded["total"], graded["deductions"]) == (100, []), text
    assert "30.0 MiB per minute on average" in text


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_python_can_take_a_snapshot(version: str) -> None:
    python = PYTHONS[version]
    first = take_snapshot("snapshot()", python)
    assert first["memory_kib"]["MemTotal"] > first["memory_kib"]["MemAvailable"] > 0
    assert {"growing", "oom_kills"} <= take_snapshot("snapshot({})", python).keys()


def test_a_snapshot_finds_a_growing_process() -> None:
    grower = subprocess.Popen([sys.executable, "-c", GROWING])
    try:
        time.sleep(1)
        first = take_snapshot("snapshot()")
        time.sleep(1)
        second = take_snapshot(f"snapshot(json.loads({json.dumps(first['processes'])!r}))")
    finally:
        grower.kill()
        grower.wait()
    finding = analysis.analyse(first, second)
    assert finding.leak and finding.leak.pid == grower.pid
    assert finding.leak.details["command"][0] == sys.executable
    assert 400 < finding.leak.rate_mib_per_min < 800
    assert "Mem:" in first["free"] and "RSS" in second["ps"]


def test_a_process_that_ends_during_the_snapshot_is_tolerated() -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    call = f"print(json.dumps([statistics({ended.pid}), described({ended.pid})]))"
    statistics, described = json.loads(run_snapshot(call))
    assert statistics is None
    assert (described["command"], described["unit"]) == ([], "")


def run_snapshot(call: str, python: str = sys.executable) -> str:
    text = f"{transport.library(ROLE, ('proc', 'owner_access'))}{SNAPSHOT_PROGRAM.read_text()}\n{call}\n"
    done = subprocess.run([python, "-I", "-S", "-"], input=text, capture_output=True, text=True, check=True)
    return done.stdout


def take_snapshot(call: str, python: str = sys.executable) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_snapshot(call, python))
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("self.kept[key] = value", ["self.kept, line 5, None"]),
        ("self.kept.append(value)", ["self.kept, line 5, None"]),
        ("known.add(value)", ["known, line 5, None"]),
        ("self.kept[key] = value; self.kept.popitem()", []),
        ("local = {}; local[key] = value", []),
        ("places[key] = value", []),
    ],
)
def test_retaining_containers_are_found_in_the_source(body: str, expected: list[str]) -> None:
    text = textwrap.dedent(f"""\
        known = set()
        places = [None] * 5
        class Cache:
            def put(self, key, value):
                {body}
    """)
    assert [
        f"{each.name}, line {each.line}, {each.removed_if}" for each in source.retaining_containers(text)
    ] == expected


def test_the_condition_of_a_removal_is_reported() -> None:
    (container,) = source.retaining_containers(SERVICE)
    line = SERVICE.splitlines()[container.line - 1]
    assert (container.name, line.strip()) == ("self._sessions", "self._sessions[token] = state")
    assert container.removed_if and "self._max_sessions" in container.removed_if


def test_source_that_is_not_python_has_no_retaining_containers() -> None:
    assert source.retaining_containers("#!/bin/sh\nif true; then :; fi\n") == []


HOSTILE = {
    "name": "[/x]`\n# A heading",
    "command": ["python3", "caf\udce9", "\x1b[2J"],
    "log": "```\n# no end of the block\n\x07",
    "source": "x = " + "(" * 500 + "1" + ")" * 500 + "\ndef f(): x.append(1)\n",
}


def test_a_malformed_answer_from_one_host_does_not_affect_the_others(tmp_path: Path) -> None:
    first, second = snapshots((10, 40), 30)
    second["processes"]["700"]["name"] = HOSTILE["name"]
    second["growing"][0] |= {key: value for key, value in HOSTILE.items() if key != "name"}
    broken = [{**first, "processes": 7}, second]
    hosts = {"../../x": [first, second], "web/1": [first, second], "broken": broken, "gone": None}
    done = subprocess.run(
        [sys.executable, "-m", "memory_leak_lab.investigation", f"--report-dir={tmp_path}/reports"],
        input=json.dumps(hosts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert re.search(r"^broken +could not be written: TypeError", done.stdout, re.MULTILINE)
    assert re.search(r"^gone +not inspected", done.stdout, re.MULTILINE)
    assert done.stdout.count(r"[/x]`\n# A heading") == 2
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        f"reports/{directory}/{host}.{suffix}"
        for host in ("..%2F..%2Fx", "web%2F1")
        for directory, suffix in (("investigation", "md"), ("investigation", "json"), ("diagnoses", "reference.md"))
    }
    evidence = tmp_path / "reports" / "investigation" / "web%2F1.md"
    assert evidence.stat().st_mode & 0o777 == 0o600
    text = evidence.read_text()
    assert text.count("```") % 2 == 0
    assert not set(text) & set("\x1b\x07")
    assert "\n# A heading" not in text + (tmp_path / "reports" / "diagnoses" / "web%2F1.reference.md").read_text()
    assert r"caf\udce9" in text


@pytest.mark.parametrize(
    ("cgroup", "root", "unit"),
    [
        ("/system.slice/web.service", "", "web.service"),
        ("/system.slice/system-web.slice/web@1.service/inner.service", "", "web@1.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "", "user@1000.service"),
        ("/user.slice/user-1000.slice/session-3.scope\n", "", "session-3.scope"),
        ("/machine.slice/lab.service/system.slice/web.service", "/machine.slice/lab.service", "web.service"),
        ("/", "", ""),
    ],
)
def test_a_user_cannot_fake_a_system_unit(cgroup: str, root: str, unit: str) -> None:
    library = transport.library(PROJECT / "roles" / "memory_leak", ("proc", "owner_access"))
    call = f"print(unit_in({cgroup!r}, {root!r}))"
    program = f"{library}{SNAPSHOT_PROGRAM.read_text()}\n{call}\n"
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, check=True)
    assert done.stdout == f"{unit}\n"
