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

from controller import payload
from host_program import commands, observation, paths, processes, units

ROLE = Path(__file__).resolve().parents[2] / "roles" / "memory_leak"
DEFINITION = {
    "unit": "memory-leak.service",
    "directory": "/mcp/scenarios/memory-leak",
    "log_file": "/tmp/memory-leak.log",
    "pid_file": "/tmp/memory-leak.pid",
    "workload_python": "/usr/bin/python3",
    "user": "",
    "rate_mib_per_min": 30.0,
    "memory_max_bytes": 1024**3,
    "runtime_max_s": 14400,
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
    assert paths.removable_directories(str(leaf), {str(workload)}) == expected
    (leaf.parent / "neighbour").mkdir()
    assert paths.removable_directories(str(leaf), {str(workload)}) == expected[:1]
    (leaf / "notes").write_text("")
    assert paths.removable_directories(str(leaf), {str(workload)}) == []


def test_standard_directories_stay() -> None:
    assert paths.removable_directories("/srv", set()) == []
    assert paths.removable_directories("/usr/local/share", set()) == []


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


def test_a_unit_on_its_way_down_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [{"u": {"ActiveState": state}} for state in ("deactivating", "deactivating", "failed")]
    monkeypatch.setattr(units, "show", lambda _names: shown.pop(0))
    assert units.show_settled(["u"]) == {"u": {"ActiveState": "failed"}}


class FakeHost:
    """A host with one unit of ours, in a given state, and no process."""

    def __init__(self, **state: str) -> None:
        self.units = {"memory-leak.service": DEFINITION}
        self.states = {"memory-leak.service": {"MainPID": "0", "ActiveState": "failed", **state}}
        self.started_by_hand: list[int] = []

    def running_unit(self) -> None:
        return None

    def is_running(self) -> bool:
        return False

    def files(self) -> list[str]:
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


def test_program_runs_from_stdin_and_answers_with_one_result() -> None:
    request = {"operation": "status", "check": False, "definition": DEFINITION, "source": ""}
    command = [sys.executable, "-I", "-S", "-"]
    done = subprocess.run(
        command, input=payload.program(payload.library(ROLE), request), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    result = payload.result("motd\n" + done.stdout.decode())
    assert result
    if not os.path.isdir("/run/systemd/system") or os.geteuid() != 0:  # noqa: PTH112
        assert (result["outcome"], result["failed"]) == ("failed", True)
        assert "root" in result["message"] or "systemd" in result["message"]


def test_no_result_is_none() -> None:
    assert payload.result("python3: not found\n") is None
    assert payload.result(payload.RESULT_MARK + "{'outcome': 'runn") is None


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
        assert processes.is_in_unit(os.getpid(), [part])
    assert not processes.is_in_unit(os.getpid(), ["memory-leak.service"])
    assert not processes.is_in_unit(2**22 + 1, ["memory-leak.service"])
