"""The program that runs a command on a host: its time and output are limited, and nothing of it outlives a time-out."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.interpreters import PYTHONS, VERSIONS
from memory_leak_lab.agent import programs
from memory_leak_lab.agent.hosts import Answer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="commands are run for root alone")
NEWEST = VERSIONS[-1]


def start(version: str, command: str, timeout_s: float, root: bool = True) -> subprocess.Popen[bytes]:
    program = programs.program("command", "run", command=command, timeout_s=timeout_s, most_bytes=1000, root=root)
    python = [PYTHONS[version], "-I", "-S", "-"]
    started = subprocess.Popen(python, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdin
    started.stdin.write(program)
    started.stdin.close()
    return started


def run(command: str, timeout_s: float = 30, version: str = NEWEST, root: bool = True) -> dict[str, Any]:
    with start(version, command, timeout_s, root) as started:
        assert started.stdout
        output = started.stdout.read().decode()
    found: dict[str, Any] = programs.returned("web1", Answer(started.returncode, output, ""))
    return found


def runs(marker: str) -> bool:
    """Tell whether a process with such an argument runs."""
    return any(marker.encode() in path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("root", [True, False])
def test_each_python_runs_a_command(version: str, root: bool) -> None:
    found = run("echo out; echo err >&2; exit 7", version=version, root=root)
    assert (found["exit_code"], found["beginning"] + found["end"], found["timed_out"]) == (7, "out\nerr\n", False)


@pytest.mark.parametrize(("command", "code"), [("exit 255", 255), ("kill -9 $$", 137), ("nonsense_7", 127)])
def test_exit_codes_are_a_shells(command: str, code: int) -> None:
    assert run(command)["exit_code"] == code


def test_the_middle_of_a_long_output_is_cut() -> None:
    found = run("seq 1 100000")
    assert found["beginning"].startswith("1\n2\n")
    assert found["end"].endswith("99999\n100000\n")
    assert found["cut_bytes"] == 588_895 - 1000


def test_a_time_out_ends_all_that_was_started() -> None:
    markers = [f"7100{number}.{os.getpid()}" for number in range(4)]  # of this run alone
    background, daemon, ignoring, foreground = markers
    began = time.monotonic()
    found = run(
        f"sleep {background} & (setsid sleep {daemon} &) ; (trap '' TERM HUP; sleep {ignoring}) & sleep {foreground}", 1
    )
    assert time.monotonic() - began < 10
    assert (found["exit_code"], found["timed_out"], found["all_ended"]) == (None, True, True)
    assert not [marker for marker in markers if runs(marker)]


def test_a_time_out_comes_while_output_flows() -> None:
    found = run("yes", 1)
    assert found["timed_out"]
    assert found["cut_bytes"] > 0


def test_it_does_not_wait_for_what_was_left_in_the_background() -> None:
    began = time.monotonic()
    assert run("sleep 5.71 & echo done")["beginning"] == "done\n"
    assert time.monotonic() - began < 5


def test_a_lost_connection_ends_all_that_was_started() -> None:
    marker = f"71005.{os.getpid()}"
    with start(NEWEST, f"sleep {marker}", 60) as started:
        deadline = time.monotonic() + 10
        while not runs(marker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert runs(marker)
        assert started.stdout
        started.stdout.close()
        assert started.wait(10) == 1
    assert not runs(marker)


def test_a_command_reads_no_input() -> None:
    assert run("cat; echo end")["beginning"] == "end\n"


def test_a_closed_pipe_ends_a_writer_quietly() -> None:
    assert run("yes | head -1")["beginning"] == "y\n"
