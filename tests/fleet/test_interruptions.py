"""Killed and concurrent runs: the next run must always succeed.

By default a sample, chosen by the environment variable RANDOM_SEED (default: the date). `script/soak` runs all of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from helpers.definitions import DEFINITION
from helpers.host_runs import ENDS, OTHER_DEFINITION, PYTHON, inspect, program, run, run_killed
from helpers.project import PROJECT
from memory_leak_controller import transport
from memory_leak_controller.contract import Definition, Result
from memory_leak_lab.lab.fleet import Fleet

COUNT = 3
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
THOROUGH = bool(os.environ.get("THOROUGH"))
SEED = os.environ.get("RANDOM_SEED") or f"{datetime.now(UTC):%Y-%m-%d}"
CONTROLLER_KILLS = 100 if THOROUGH else 6
RACES = 50 if THOROUGH else 4
NEXT = ("setup", "reset", "cleanup")


@pytest.fixture(scope="module")
def chance() -> random.Random:
    """Return a random number generator. Its seed is printed, so that a failing test shows it."""
    print(f"RANDOM_SEED={SEED}")
    return random.Random(SEED)  # noqa: S311 # not a secret


@pytest.mark.parametrize(
    ("before", "operation", "definition"),
    [
        ("cleanup", "setup", DEFINITION),
        ("setup", "setup", OTHER_DEFINITION),
        ("setup", "reset", DEFINITION),
        ("setup", "cleanup", DEFINITION),
    ],
    ids=["setup", "setup with another definition", "reset", "cleanup"],
)
def test_operations_recover_from_a_host_program_killed_at_any_step(
    fleet: Fleet, before: str, operation: str, definition: Definition
) -> None:
    def try_on(number: int) -> int:
        for step in count(1):
            # Unless thorough, each host tries a third of the steps.
            if not THOROUGH and step % COUNT != number:
                continue
            for following in NEXT if THOROUGH else [NEXT[step // COUNT % len(NEXT)]]:
                run(fleet, number, before)
                if not run_killed(fleet, number, operation, step, definition):
                    run(fleet, number, "cleanup")
                    return step - 1
                run(fleet, number, following)
        raise AssertionError

    with ThreadPoolExecutor(COUNT) as pool:
        steps = list(pool.map(try_on, range(1 if THOROUGH else COUNT)))
    print(f"{operation}: killed before each of {max(steps)} steps")
    assert max(steps) >= 8


def start(fleet: Fleet, operation: str) -> subprocess.Popen[bytes]:
    """Start a playbook on the fleet."""
    return subprocess.Popen(
        [PLAYBOOK, f"{operation}.yml", "-i", str(fleet.inventory(COUNT))],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_operations_recover_from_a_controller_killed_at_any_moment(
    fleet: Fleet, play: Any, chance: random.Random
) -> None:
    began = time.monotonic()
    assert start(fleet, "reset").wait() == 0
    whole_s = time.monotonic() - began
    interrupted = 0
    for number in range(CONTROLLER_KILLS):
        operation, following = NEXT[number % len(NEXT)], chance.choice(NEXT)
        controller = start(fleet, operation)
        # Skip most of Ansible's startup: kills are more interesting after it.
        moment_s = chance.uniform(0.2, 0.9) * whole_s
        time.sleep(moment_s)
        if controller.poll() is None:
            os.killpg(controller.pid, signal.SIGKILL)
        interrupted += controller.wait() == -signal.SIGKILL
        records = play(following)
        for host_number, host in enumerate(fleet.hosts):
            record = records[host.name]
            assert record["outcome"] == ENDS[following], (operation, moment_s, following, record)
            assert inspect(fleet, host_number, record) == [], (operation, moment_s, following)
    print(f"{interrupted} of {CONTROLLER_KILLS} runs killed before they finished")
    assert interrupted


@pytest.mark.parametrize("operations", [("setup", "setup"), ("setup", "cleanup"), ("reset", "reset")])
def test_concurrent_operations_never_start_two_workloads(
    fleet: Fleet, chance: random.Random, operations: tuple[str, str]
) -> None:
    def run_delayed(number: int, operation: str, delay_s: float) -> Result:
        time.sleep(delay_s)
        answer = fleet.run(number, program(operation), PYTHON)
        result = transport.result(answer.stdout)
        assert result, answer.stderr
        return result

    def race(number: int) -> None:
        for _round in range(-(-RACES // COUNT)):
            with ThreadPoolExecutor(2) as pool:
                results = list(pool.map(run_delayed, [number] * 2, operations, [0, chance.uniform(0, 0.3)]))
            assert [result["outcome"] for result in results] == [ENDS[operation] for operation in operations]
            # Either may have run last, so the host must match one of the results.
            assert [] in [inspect(fleet, number, result) for result in results], results
            run(fleet, number, chance.choice(NEXT))

    with ThreadPoolExecutor(COUNT) as pool:
        list(pool.map(race, range(COUNT)))


def test_concurrent_playbooks_succeed(fleet: Fleet, play: Any) -> None:
    for operations in (("setup", "setup"), ("reset", "reset"), ("setup", "cleanup")):
        controllers = [start(fleet, operation) for operation in operations]
        assert [controller.wait() for controller in controllers] == [0, 0]
        for number, record in enumerate(play("status").values()):
            assert record["outcome"] in ("running", "absent")
            assert inspect(fleet, number, record) == []
