"""Run the host program without Ansible, to completion or killed part-way: hundreds of runs a minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers import definitions
from helpers.definitions import DEFINITION
from helpers.initial_states import INSPECTION, contradictions
from helpers.project import ROLE
from memory_leak_controller import assignment, transport
from memory_leak_controller.contract import Definition, Request, Result
from memory_leak_lab.lab.fleet import Fleet

LIBRARY = transport.library(ROLE)
SOURCE = (ROLE / "files" / "workload.py").read_text()
OTHER_DEFINITION = definitions.default(
    unit="cache.service",
    directory="/srv/cache/app",
    log_file="/var/log/cache.log",
    pid_file="/run/cache.pid",
    target_rate_mib_per_min=45.0,
)
ENDS = {"setup": "running", "reset": "running", "cleanup": "absent"}
PYTHON = "python3 -I -S -"
# Kills the program before its nth step with an external effect (a file change, a lock, a command), or right after its start.
KILL = """
import os, sys
steps_left = [{step}]
def count(event, arguments):
    changes = event in ("os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.chmod", "os.posix_spawn", "fcntl.flock")
    if event == "open":
        changes = isinstance(arguments[0], int) or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    steps_left[0] -= bool(changes)
    if changes and steps_left[0] == 0:
        os.kill(os.getpid(), 9)
sys.addaudithook(count)
"""


def program(operation: str, definition: Definition = DEFINITION) -> str:
    """Return the source of the host program for an operation."""
    request: Request = {
        "operation": operation,
        "check": False,
        "definition": definition,
        "source": SOURCE,
        "install_locations": assignment.INSTALL_LOCATIONS,
        "observe_s": 0,
    }
    return transport.program(LIBRARY, request).decode()


def run(fleet: Fleet, number: int, operation: str, definition: Definition = DEFINITION) -> Result:
    """Run an operation on one host, check the host against its result, and return the result."""
    answer = fleet.run(number, program(operation, definition), PYTHON)
    result = transport.result(answer.stdout)
    assert result, answer.stdout + answer.stderr
    assert result["outcome"] == ENDS[operation], result
    assert inspect(fleet, number, result) == []
    return result


def inspect(fleet: Fleet, number: int, found: Mapping[str, Any]) -> list[str]:
    """Return the contradictions between a host and its result or record."""
    inspection = fleet.run(number, INSPECTION).stdout
    workload = found.get("workload", found)
    return contradictions(inspection, found["outcome"], workload["pid"], workload["unit"])


def run_killed(fleet: Fleet, number: int, operation: str, step: int, definition: Definition = DEFINITION) -> bool:
    """Run an operation on one host and kill it before its nth step. Return False if it finished first."""
    answer = fleet.run(number, KILL.format(step=step) + program(operation, definition), PYTHON)
    return transport.result(answer.stdout) is None
