"""Measures a command: its time, CPU time and memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.steps import PROJECT

SAMPLE_EVERY_S = 0.02


class BenchError(Exception):
    """A contender failed; the message contains its output."""


@dataclass(frozen=True)
class Cost:
    """Cost of a command: wall-clock time, and CPU time of its processes without ssh masters that it leaves running."""

    seconds: float
    cpu_s: float


@dataclass(frozen=True)
class Memory:
    """Peak memory of a command: RSS of its first process, private memory (USS) of its largest fork, and the total.

    `all_bytes` counts shared pages once (proportional set size).
    """

    parent_bytes: int
    fork_bytes: int
    all_bytes: int


def run(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command and return its cost. Raises BenchError if it fails."""
    with log.open("wb") as output:
        began = time.perf_counter()
        process = _start(command, output.fileno(), environment)
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.terminate()  # the next round, or the end of the fleet, stops what it started on the hosts
            process.wait()
            raise
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"{' '.join(command)[:200]} exited with status {process.returncode}:\n{_tail(log)}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime)


def memory(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Memory:
    """Run a command and return its peak memory. Sampling slows it down, so its time is not measured."""
    parent = fork = everything = 0
    with log.open("wb") as output:
        process = _start(command, output.fileno(), environment)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            sizes = []
            with contextlib.suppress(psutil.Error):
                parent = max(parent, watched.memory_info().rss)
                for child in watched.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        full = child.memory_full_info()
                        sizes.append(full.pss)
                        if child.name().startswith(("python", "ansible")):
                            fork = max(fork, full.uss)
                everything = max(everything, watched.memory_full_info().pss + sum(sizes))
            time.sleep(SAMPLE_EVERY_S)
    return Memory(parent, fork, everything)


def _start(command: list[str], output: int, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    settings = os.environ | dict(environment or {})
    # Let Python cache bytecode, as for a user: otherwise compilation at each start would be measured, too.
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=PROJECT,
        env=settings,
    )


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
