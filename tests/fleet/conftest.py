"""Provide a container fleet. The tests in this directory are skipped where the nspawn driver is unavailable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.project import PROJECT
from memory_leak_lab.lab import drivers, lifecycle
from memory_leak_lab.lab.errors import DriverUnavailableError
from memory_leak_lab.lab.fleet import Fleet

# Two test runs on one computer need two labs: MEMORY_LEAK_TEST_LAB names another.
LAB = os.environ.get("MEMORY_LEAK_TEST_LAB", "pytest")
PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
Records = dict[str, dict[str, Any]]
Play = Callable[..., Records]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests in this directory where the nspawn driver is unavailable."""
    reason = unavailable_reason()
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def unavailable_reason() -> str:
    """Return why the nspawn driver is unavailable, or an empty string."""
    if not shutil.which("systemd-nspawn"):
        return "the nspawn driver needs systemd-nspawn"
    try:
        drivers.get("nspawn").check(["bookworm"])
    except DriverUnavailableError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Provide COUNT containers (set in the test module), reached as its USERS (root), and remove them afterwards."""
    users = getattr(request.module, "USERS", ("root",))
    try:
        fleet = Fleet(request.module.COUNT, tmp_path_factory.mktemp("fleet"), LAB, users)
        yield fleet
        fleet.close_connections()
    finally:
        lifecycle.down(LAB)


@pytest.fixture(scope="module")
def play(fleet: Fleet) -> Play:
    """Return a function that runs a playbook on the fleet and returns the records by host name.

    It expects success unless `fails`. `variables` maps a host number to that host's variables.
    """
    records_file = fleet.work / "records.json"

    def run(
        operation: str, *arguments: str, fails: bool = False, variables: dict[int, dict[str, str]] | None = None
    ) -> Records:
        records_file.unlink(missing_ok=True)
        inventory = fleet.inventory(len(fleet.hosts), variables)
        done = subprocess.run(
            [PLAYBOOK, f"{operation}.yml", "-i", str(inventory), *arguments],
            cwd=PROJECT,
            env=os.environ | {"MEMORY_LEAK_RECORDS_FILE": str(records_file)},
            capture_output=True,
            text=True,
            check=False,
        )
        report = done.stdout.rpartition("\n\n")[2] or done.stdout
        assert bool(done.returncode) is fails, f"{operation} exited {done.returncode}:\n{report}{done.stderr}"
        return {record["host"]: record for record in json.loads(records_file.read_text())}

    return run
