"""The host program run on a fleet's hosts without Ansible, whole or killed on the way: hundreds of runs in a minute."""

from __future__ import annotations

from typing import Any

from bench.fleet import Fleet
from bench.steps import DEFINITION, ROLE
from histories import INSPECTION, contradictions
from memory_leak_controller import payload, realism

LIBRARY = payload.library(ROLE)
SOURCE = (ROLE / "files" / "workload.py").read_text()
OTHER_DEFINITION = DEFINITION | {"unit": "cache.service", "rate_mib_per_min": 45.0}
ENDS = {"setup": "running", "reset": "running", "cleanup": "absent"}
PYTHON = "python3 -I -S -"
# Kills the program before its nth step that matters to others: a change of a file, a command, or right after its start.
KILL = """
import os, sys
steps_left = [{step}]
def count(event, arguments):
    changes = event in ("os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.posix_spawn", "fcntl.flock")
    if event == "open":
        changes = isinstance(arguments[0], int) or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    steps_left[0] -= bool(changes)
    if changes and steps_left[0] == 0:
        os.kill(os.getpid(), 9)
sys.addaudithook(count)
"""


def program(operation: str, definition: dict[str, Any] = DEFINITION) -> str:
    """Return the program of an operation."""
    request = {"operation": operation, "check": False, "definition": definition, "source": SOURCE, "observe_s": 0}
    request["places"] = realism.PLACES
    return payload.program(LIBRARY, request).decode()


def run(fleet: Fleet, number: int, operation: str, definition: dict[str, Any] = DEFINITION) -> dict[str, Any]:
    """Carry an operation out on one host, and return its result after a look at the host."""
    answer = fleet.run(number, program(operation, definition), PYTHON)
    result = payload.result(answer.stdout)
    assert result, answer.stdout + answer.stderr
    assert result["outcome"] == ENDS[operation], result
    assert look(fleet, number, result) == []
    return result


def look(fleet: Fleet, number: int, result: dict[str, Any]) -> list[str]:
    """Return where a host contradicts a result."""
    said = fleet.run(number, INSPECTION).stdout
    return contradictions(said, result["outcome"], result["pid"], result["unit"])


def run_killed(fleet: Fleet, number: int, operation: str, step: int, definition: dict[str, Any] = DEFINITION) -> bool:
    """Start an operation on one host and kill it before its nth step. Return whether it had that many."""
    answer = fleet.run(number, KILL.format(step=step) + program(operation, definition), PYTHON)
    return payload.result(answer.stdout) is None
