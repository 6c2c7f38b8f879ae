"""The parts of the host program that need no systemd: processes, paths, unit files, the program as it is sent."""

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

from host_program import commands, lock, observation, paths, plan, processes, units

ROLE = Path(__file__).resolve().parents[2] / "roles" / "memory_leak"
DEFINITION = {
    "unit": "memory-leak.service",
    "directory": "/mcp/scenarios/memory-leak",
    "file_name": "workload.py",
    "log_file": "/tmp/memory-leak.log",
    "pid_file": "/tmp/memory-leak.pid",
    "workload_python": "/usr/bin/python3",
    "user": "",
    "rate_mib_per_min": 30.0,
    "memory_max_bytes": 1024**3,
    "runtime_max_s": 14400,
    "max_sessions": 0,
    "buffer_mib": 0,
    "open_after_s": 0,
}
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


def test_create_replaces_a_link_without_following_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep")
    link = tmp_path / "memory-leak.log"
    link.symlink_to(precious)
    old_umask = os.umask(0o077)
    try:
        paths.create(str(link), b"new")
    finally:
        os.umask(old_umask)
    assert precious.read_text() == "keep"
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert link.stat().st_mode & 0o777 == 0o644


def test_create_replaces_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    paths.create(str(fifo), b"")
    assert fifo.is_file()


def test_obstacles_are_named(tmp_path: Path) -> None:
    workload, log = str(tmp_path / "a" / "workload.py"), str(tmp_path / "log")
    assert paths.obstacle(workload, [log]) is None
    (tmp_path / "log").mkdir()
    assert paths.obstacle(workload, [log]) == f"a directory is in the way at {log}"
    (tmp_path / "a").write_text("")
    assert paths.obstacle(workload, []) == f"{tmp_path / 'a'} is not a directory"
    assert paths.obstacle(str(tmp_path / "w.py"), ["/no/such/log"]) == "/no/such does not exist"


@pytest.mark.skipif(os.geteuid() != 0, reason="directories that do not belong to root stay")
def test_only_empty_directories_are_removable(tmp_path: Path) -> None:
    leaf = tmp_path / "mcp" / "scenarios" / "memory-leak"
    leaf.mkdir(parents=True)
    (tmp_path / "other").write_text("")
    workload = leaf / "workload.py"
    workload.write_text("")
    expected = [str(leaf), str(leaf.parent), str(leaf.parent.parent)]
    assert paths.removable_directories(str(leaf), [str(workload)]) == expected
    (leaf.parent / "neighbour").mkdir()
    assert paths.removable_directories(str(leaf), [str(workload)]) == expected[:1]
    (leaf / "notes").write_text("")
    assert paths.removable_directories(str(leaf), [str(workload)]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives directories away")
def test_a_directory_that_others_control_is_not_trusted(tmp_path: Path) -> None:
    lair = tmp_path / "lair"
    path = str(lair / "app" / "log")
    assert paths.untrusted_directory(path) is None  # it does not exist, and nobody else can make it
    lair.mkdir()
    lair.chmod(0o777)
    assert (
        paths.untrusted_directory(path) == f"anyone can write to {lair}, and so lead what is done at {path} elsewhere"
    )
    lair.chmod(0o1777)
    assert paths.untrusted_directory(path) is None  # like /tmp
    os.chown(lair, 1, -1)
    assert str(lair) in str(paths.untrusted_directory(path))
    os.chown(lair, 0, -1)
    (lair / "app").symlink_to("/root")
    os.chown(lair / "app", 1, -1, follow_symlinks=False)
    assert f"{lair}/app does not belong to root" in str(paths.untrusted_directory(path))


def test_content_reads_the_end_of_plain_files_alone(tmp_path: Path) -> None:
    file, pipe, link = tmp_path / "file", tmp_path / "pipe", tmp_path / "link"
    file.write_bytes(b"x" * 5000 + b"end")
    os.mkfifo(pipe)
    link.symlink_to(file)
    assert paths.content(str(file), 5) == b"xxend"
    assert paths.content(str(file), 10000) == b"x" * 5000 + b"end"
    assert [paths.content(str(path), 5) for path in (pipe, link, tmp_path, tmp_path / "none")] == [None] * 4


def test_only_files_that_mktemp_would_make_are_half_written_ones(tmp_path: Path) -> None:
    for name in ("pid", "pid.new-aBcD1234", "pid.new-short", "pid.new-muchtoolong", "pid.backup", "other.new-aBcD1234"):
        (tmp_path / name).write_text("")
    (tmp_path / "pid.new-aLink567").symlink_to("pid")
    expected = [str(tmp_path / "pid.new-aBcD1234")] if os.geteuid() == 0 else []
    assert paths.half_written(str(tmp_path / "pid")) == expected


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
            {"rate_mib_per_min": 4.0},
            0,
            ["memory_leak_rate_mib_per_min (4)", "256.0 min", "memory_leak_runtime_max", "240.0 min"],
        ),
        ({"runtime_max_s": 600}, 0, ["34.1 min", "10.0 min"]),
        ({"runtime_max_s": 600, "rate_mib_per_min": 103.0}, 0, []),
    ],
)
def test_the_fault_contract(changes: dict[str, Any], held_mib: int, words: list[str]) -> None:
    available = {"MemTotal": 2000 * MIB, "MemAvailable": 1528 * MIB, "SwapTotal": 500 * MIB}
    broken = plan.broken_contract(DEFINITION | changes, available, held_mib * MIB)
    assert (broken is None) == (not words)
    assert [word for word in words if word not in str(broken)] == []


def test_standard_directories_stay() -> None:
    assert paths.removable_directories("/srv", []) == []
    assert paths.removable_directories("/usr/local/share", []) == []


@pytest.mark.parametrize(
    ("span", "expected"), [("4h", 14400), ("1d 2h 30min", 95400), ("90s", 90), ("1w", 604800), ("", 0)]
)
def test_time_spans_of_systemd(span: str, expected: int) -> None:
    assert units.seconds(span) == expected


def test_a_unit_file_gives_its_definition_back() -> None:
    text = """\
[Service]
StandardOutput=append:/tmp/memory-leak.log
ExecStopPostEx=
ExecStopPostEx=+"/bin/rm" "-f" "/tmp/memory-leak.pid"
MemoryMax=1073741824
RuntimeMaxSec=4h
Environment="SESSION_CACHE_BUILD=0123456789abcdef"
ExecStart=
ExecStart="/usr/bin/python3" "/mcp/scenarios/memory-leak/workload.py" "--ingest-mib-per-min" "30"
"""
    assert units.parse("memory-leak.service", text) == {**DEFINITION, "build": "0123456789abcdef"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_mib_per_min", 31.0),
        ("memory_max_bytes", None),
        ("runtime_max_s", 60),
        ("user", "x"),
        ("log_file", "/tmp/x"),
    ],
)
def test_build_changes_with_every_part_of_the_definition(name: str, value: Any) -> None:
    assert units.build({**DEFINITION, name: value}, b"source") != units.build(DEFINITION, b"source")


def test_build_changes_with_the_source() -> None:
    assert units.build(DEFINITION, b"other") != units.build(DEFINITION, b"source")


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
    monkeypatch.setattr(processes, "find", lambda _script: [DEAD.pid, os.getpid()])
    monkeypatch.setattr(processes, "unit_of", lambda pid, _names: OUR_UNIT if pid == os.getpid() else None)
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (OUR_UNIT, os.getpid())
    assert host.started_by_hand == [DEAD.pid]
    found = observation.describe(host)
    assert (found["outcome"], found["unit"], found["pid"]) == ("running", OUR_UNIT, os.getpid())


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


def test_a_process_is_in_its_own_cgroup_alone() -> None:
    own = Path("/proc/self/cgroup").read_text().splitlines()
    for part in {part for line in own for part in line.split(":", 2)[2].split("/")} - {""}:
        assert processes.unit_of(os.getpid(), ["another.service", part]) == part
    assert processes.unit_of(os.getpid(), ["memory-leak.service"]) is None
    assert processes.unit_of(2**22 + 1, ["memory-leak.service"]) is None
    assert processes.ceiling_bytes(2**22 + 1) is None
