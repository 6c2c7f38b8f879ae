"""Fixtures and failure diagnostics shared by all Molecule scenarios."""

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
MAX_WAIT_S = 180
DIAGNOSTICS = (
    "systemctl status --no-pager --full memory-leak.service",
    "journalctl --no-pager --lines=40",
    "tail --lines=40 /tmp/memory-leak.log",
)

Playbook = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> Playbook:
    """Return a function that runs a project playbook on the scenario's lab, as a user would.

    It takes the playbook's name and further ansible-playbook arguments, and returns the records by host name. `fails`
    is the expected result: False for success, True for failure, None for either.
    """

    def run(name: str, *arguments: str, fails: bool | None = False) -> dict[str, dict[str, Any]]:
        records_file = tmp_path_factory.mktemp("records") / "records.json"
        settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "MEMORY_LEAK_RECORDS_FILE": str(records_file)}
        command = ["ansible-playbook", "-i", "molecule/inventory", name, *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert fails in (None, bool(done.returncode)), (
            f"{' '.join(command)} exited with status {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return {record["host"]: record for record in json.loads(records_file.read_text())}

    return run


@pytest.fixture(scope="session")
def ended(playbook: Playbook) -> Callable[..., dict[str, Any]]:
    """Return a function that waits until the service on one host is no longer running, and returns its record.

    It takes further ansible-playbook arguments. A scenario with several hosts must limit the playbook to one.
    """

    def wait(*arguments: str) -> dict[str, Any]:
        deadline = time.monotonic() + MAX_WAIT_S
        while time.monotonic() < deadline:
            [record] = playbook("status.yml", *arguments).values()
            if record["outcome"] != "running":
                return record
            time.sleep(2)
        pytest.fail(f"the service is still running after {MAX_WAIT_S} s: {record}")

    return wait


@pytest.fixture
def investigated(tmp_path: Path) -> Callable[[], dict[str, dict[str, Any]]]:
    """Return a function that investigates the scenario's hosts as a user would, and grades the diagnoses.

    It returns `verdict`, `diagnosis` and `grade` by host name. The answer key is in tmp_path / "ground_truth".
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
    """Return a function that runs an Ansible module on hosts of the scenario's lab and returns the output."""

    def run(name: str, pattern: str, arguments: str) -> str:
        command = ["ansible", "-i", "molecule/inventory", pattern, "-m", name, "-a", arguments]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        # Ansible exits 0 when no host matches.
        assert done.returncode == 0 and "CHANGED" in done.stdout, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add the unit's status, the journal and the log to the report of a failed test."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        for command in DIAGNOSTICS:
            report.sections.append((command, host.run(command).stdout))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the number of passed tests to a file named after the test directory, for molecule/assert_tests_passed.yml."""
    ephemeral = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
    if ephemeral and config.args:
        directory = Path(ephemeral) / "passed"
        directory.mkdir(parents=True, exist_ok=True)
        passed = len(terminalreporter.stats.get("passed", []))
        (directory / Path(config.args[0].split("::")[0]).parent.name).write_text(f"{passed}\n")
