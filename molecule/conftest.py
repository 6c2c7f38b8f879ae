"""Fixtures of all Molecule scenarios, and what a failing test shows of the host it failed on."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory_leak_lab.grading import grade, ground_truth

PROJECT = Path(__file__).resolve().parent.parent
MOST_WAIT_S = 180
DIAGNOSES = (
    "systemctl status --no-pager --full memory-leak.service",
    "journalctl --no-pager --lines=40",
    "tail --lines=40 /tmp/memory-leak.log",
)

Playbook = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> Playbook:
    """Return a function that runs a playbook of the project as a user would, on the scenario's lab.

    It takes the playbook's name and further arguments of ansible-playbook, and returns the hosts' records by name. A run
    that does not end as expected (with success, unless `fails`; either way where that is None) fails the test.
    """

    def run(name: str, *arguments: str, fails: bool | None = False) -> dict[str, dict[str, Any]]:
        records_file = tmp_path_factory.mktemp("records") / "records.json"
        settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "MEMORY_LEAK_RECORDS_FILE": str(records_file)}
        command = ["ansible-playbook", "-i", "molecule/inventory", name, *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert fails in (None, bool(done.returncode)), (
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return {record["host"]: record for record in json.loads(records_file.read_text())}

    return run


@pytest.fixture(scope="session")
def ended(playbook: Playbook) -> Callable[..., dict[str, Any]]:
    """Return a function that waits until status no longer finds the service running on one host, and returns its record.

    It takes further arguments of ansible-playbook: without any, the scenario has but one host.
    """

    def wait(*arguments: str) -> dict[str, Any]:
        deadline = time.monotonic() + MOST_WAIT_S
        while time.monotonic() < deadline:
            [record] = playbook("status.yml", *arguments).values()
            if record["outcome"] != "running":
                return record
            time.sleep(2)
        pytest.fail(f"the service still runs after {MOST_WAIT_S} s: {record}")

    return wait


@pytest.fixture
def investigated(tmp_path: Path) -> Callable[[], dict[str, dict[str, Any]]]:
    """Return a function that investigates the scenario's hosts as a user would, and grades what that says.

    It returns each host's `verdict`, the `diagnosis`, and its `grade` by the ground truth in `ground_truth` of tmp_path.
    """

    def run() -> dict[str, dict[str, Any]]:
        command = ["ansible-playbook", "-i", "molecule/inventory", "playbooks/investigate.yml"]
        variables = {"memory_leak_report_dir": str(tmp_path), "memory_leak_observe_seconds": 20}
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)],
            cwd=PROJECT,
            env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers = ground_truth.load(tmp_path / "ground_truth")
        found = {}
        for path in (tmp_path / "investigation").glob("*.json"):
            text = (tmp_path / "diagnoses" / f"{path.stem}.reference.md").read_text()
            verdict = json.loads(path.read_text())["verdict"]
            found[path.stem] = {"verdict": verdict, "diagnosis": text, "grade": grade.grade(text, answers[path.stem])}
        return found

    return run


@pytest.fixture(scope="session")
def module() -> Callable[..., str]:
    """Return a function that runs a module of Ansible on a host of the scenario's lab and returns what it says."""

    def run(name: str, pattern: str, arguments: str) -> str:
        command = ["ansible", "-i", "molecule/inventory", pattern, "-m", name, "-a", arguments]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        # Where no host matches, Ansible is content.
        assert done.returncode == 0 and "CHANGED" in done.stdout, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add the unit's status, the journal and the log to the report of a test that failed."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        for command in DIAGNOSES:
            report.sections.append((command, host.run(command).stdout))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Leave the number of passed tests for molecule/assert_tests_passed.yml, in a file named like the directory of tests."""
    ephemeral = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
    if ephemeral and config.args:
        directory = Path(ephemeral) / "passed"
        directory.mkdir(parents=True, exist_ok=True)
        passed = len(terminalreporter.stats.get("passed", []))
        (directory / Path(config.args[0].split("::")[0]).parent.name).write_text(f"{passed}\n")
