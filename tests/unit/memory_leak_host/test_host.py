"""What the host program makes of a definition, of units and of commands, without a systemd."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers import definitions
from helpers.definitions import DEFINITION
from memory_leak_host import commands, lock, observation, plan, processes, scripts, service, units


def test_a_lock_is_waited_for_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    (tmp_path / "lock").write_text("")  # left by a run that was killed
    held = lock.acquire()
    with pytest.raises(TimeoutError, match="another run has been at work"):
        lock.acquire()
    lock.release(held)
    assert not (tmp_path / "lock").exists()
    lock.release(lock.acquire())


def test_a_command_of_a_run_that_was_killed_holds_the_lock_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    held = lock.acquire()
    command = os.posix_spawn("/bin/sleep", ["sleep", "0.6"], {})
    os.close(held)  # as when it is killed
    with pytest.raises(TimeoutError):
        lock.acquire()
    os.waitpid(command, 0)
    lock.release(lock.acquire())


MIB = 1024**2


@pytest.mark.parametrize(
    ("changes", "held_mib", "words"),
    [
        ({}, 0, []),
        ({"memory_max_bytes": 1400 * MIB}, 0, []),
        (
            {"memory_max_bytes": 1401 * MIB},
            0,
            ["memory_leak_memory_max", "1401 MiB", "1528 MiB", "of 2000", "500 MiB of swap"],
        ),
        ({"memory_max_bytes": 1401 * MIB}, 10, []),
        (
            {"target_rate_mib_per_min": 4.0},
            0,
            ["memory_leak_rate_mib_per_min (4)", "256.0 min", "memory_leak_runtime_max", "240.0 min"],
        ),
        ({"runtime_max_s": 600}, 0, ["34.1 min", "10.0 min"]),
        ({"runtime_max_s": 600, "target_rate_mib_per_min": 103.0}, 0, []),
    ],
)
def test_a_host_without_the_capacity_is_refused(changes: dict[str, Any], held_mib: int, words: list[str]) -> None:
    available = {"MemTotal": 2000 * MIB, "MemAvailable": 1528 * MIB, "SwapTotal": 500 * MIB}
    problem = plan.capacity_problem(definitions.default(**changes), available, held_mib * MIB)
    assert (problem is None) == (not words)
    assert [word for word in words if word not in str(problem)] == []


@pytest.mark.parametrize(
    ("span", "expected"), [("4h", 14400), ("1d 2h 30min", 95400), ("90s", 90), ("1w", 604800), ("", 0)]
)
def test_time_spans_of_systemd(span: str, expected: int) -> None:
    assert service.seconds(span) == expected


UNIT_FILE = """\
[Service]
StandardOutput=append:/tmp/memory-leak.log
ExecStopPostEx=
ExecStopPostEx=+"/bin/rm" "-f" "/tmp/memory-leak.pid"
MemoryMax=1073741824
RuntimeMaxSec=4h
Environment="SESSION_CACHE_BUILD=01234567"
ExecStart=
ExecStart="/usr/bin/python3" "/mcp/scenarios/memory-leak/workload.py" "--ingest-mib-per-min" "30"
"""


def test_a_unit_file_gives_its_definition_back() -> None:
    assert service.parse("memory-leak.service", UNIT_FILE) == {**DEFINITION, "build": "01234567"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SESSION_CACHE_BUILD=01234567", "SESSION_CACHE_BUILD=0123456789"),
        ("SESSION_CACHE_BUILD=01234567", "SESSION_CACHE_BUILD=0123456g"),
        ("SESSION_CACHE_BUILD=01234567", "X=SESSION_CACHE_BUILD=01234567"),
        ('"SESSION_CACHE_BUILD=01234567"', '"SESSION_CACHE_BUILD=01234567" "OTHER=1"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "nan"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--max-sessions" "many"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--max-sessions"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--surprise" "1"'),
        ('"--ingest-mib-per-min" "30"', ""),
        ('"/mcp/scenarios/memory-leak/workload.py"', '"find.sh"'),
        ('"/usr/bin/python3"', "/usr/bin/python3"),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '"/bin/rm" "-f" "/tmp/memory-leak.pid"'),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '+"/bin/rm" "-rf" "/tmp/memory-leak.pid"'),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '+"/bin/rm" "-f" "/etc/passwd" "/tmp/memory-leak.pid"'),
        ("append:/tmp/memory-leak.log", "journal"),
        ("append:/tmp/memory-leak.log", "append:etc/passwd"),
        ("ExecStart=", "ExecReload="),
    ],
)  # fmt: skip
def test_a_unit_of_another_shape_is_somebody_elses(old: str, new: str) -> None:
    assert old in UNIT_FILE
    assert service.parse("memory-leak.service", UNIT_FILE.replace(old, new)) is None


@pytest.mark.parametrize("name", ["user", ""])
def test_an_accounts_shared_memory_stays(name: str) -> None:
    settings = service.properties(definitions.default(user=name))
    assert ("RemoveIPC=yes" in settings) is (name == "")
    assert ("DynamicUser=yes" in settings) is (name == "")


def test_a_unit_that_is_named_like_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "capacity_problem", lambda *_: None)
    host = observation.Host(definitions.default(unit="backup.service", directory="/srv/of-nobody"), [], b"")
    with pytest.raises(plan.Refused, match="memory_leak_unit is backup, which is an account of this host"):
        plan.refuse_or_fail(host, b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_rate_mib_per_min", 31.0),
        ("memory_max_bytes", None),
        ("runtime_max_s", 60),
        ("user", "x"),
        ("log_file", "/tmp/x"),
    ],
)
def test_build_changes_with_every_part_of_the_definition(name: str, value: Any) -> None:
    assert service.build(definitions.default(**{name: value}), b"source") != service.build(DEFINITION, b"source")


def test_build_changes_with_the_source() -> None:
    assert service.build(DEFINITION, b"other") != service.build(DEFINITION, b"source")


DEAD = subprocess.Popen(["/bin/true"])
DEAD.wait()
OUR_UNIT = "memory-leak.service"


def says(active_state: str, pid: int = 0, **more: str) -> dict[str, dict[str, str]]:
    """Return what systemd says of our unit."""
    return {OUR_UNIT: {"ActiveState": active_state, "MainPID": str(pid), "Result": "success", **more}}


@pytest.mark.parametrize(
    "before",
    [
        [says("deactivating"), says("deactivating")],
        [says("active", DEAD.pid)],
        [says("active", DEAD.pid), says("deactivating")],
    ],
    ids=["on its way down", "killed, and systemd has not noticed", "noticed in between"],
)
def test_a_unit_that_is_about_to_end_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, before: list[dict[str, dict[str, str]]]
) -> None:
    shown = [*before, says("failed")]
    monkeypatch.setattr(units, "show", lambda _names: shown.pop(0))
    assert units.show_settled([OUR_UNIT]) == says("failed")
    assert not shown


def test_a_service_that_is_killed_while_we_look_is_no_stopped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = subprocess.Popen(["/bin/sleep", "9"])

    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        if dying.poll() is None:
            return says("active", dying.pid)
        return says("failed", Result="oom-kill")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {OUR_UNIT: DEFINITION})
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (OUR_UNIT, dying.pid)
    dying.kill()
    dying.wait()
    assert observation.describe(host)["outcome"] == "oom_killed"


def test_what_runs_in_our_unit_is_seen_without_asking_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        raise AssertionError("systemd was asked")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {OUR_UNIT: DEFINITION})
    monkeypatch.setattr(scripts, "find", lambda _script, _known: [os.getpid()])
    monkeypatch.setattr(processes, "unit_of", lambda pid, _names: OUR_UNIT if pid == os.getpid() else None)
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (OUR_UNIT, os.getpid())
    assert host.started_by_hand == []
    found = observation.describe(host)
    assert (found["outcome"], found["workload"]["unit"], found["workload"]["pid"]) == ("running", OUR_UNIT, os.getpid())


class FakeHost:
    """A host with one unit of ours, in a given state, and no process."""

    def __init__(self, **state: str) -> None:
        self.units = {"memory-leak.service": DEFINITION}
        self.states = {"memory-leak.service": {"MainPID": "0", "ActiveState": "failed", **state}}

    def running(self) -> None:
        return None

    def files(self) -> list[str]:
        return []

    def empty_directories(self) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ({"Result": "oom-kill"}, "oom_killed"),
        ({"Result": "timeout"}, "expired"),
        ({"Result": "signal"}, "crashed"),
        ({"Result": "exit-code"}, "crashed"),
        ({"Result": "success", "ActiveState": "inactive"}, "stopped"),
    ],
)
def test_outcome_of_a_unit_that_has_ended(state: dict[str, str], outcome: str) -> None:
    assert observation.describe(FakeHost(**state))["outcome"] == outcome  # type: ignore[arg-type]


def test_a_command_returns_its_status_and_all_it_prints() -> None:
    script = "echo out; echo err >&2; head -c 200000 /dev/zero; cat; echo $LC_ALL; exit 3"
    status, printed = commands.run("sh", "-c", script)
    assert (status, printed.replace("\0", "")) == (3, "out\nerr\nC\n")
    assert printed.count("\0") == 200000


def test_a_command_that_takes_too_long_is_killed() -> None:
    with pytest.raises(TimeoutError, match="sleep took longer than 0 s"):
        commands.run("sleep", "30", timeout_s=0.2)
    with pytest.raises(FileNotFoundError, match="there is no no-such-command"):
        commands.run("no-such-command")
