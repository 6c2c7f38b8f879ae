"""Generated files are up to date, and handwritten documentation matches the code."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.project import PROJECT

ROLES = PROJECT / "roles"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def specs(role: str) -> dict[str, Any]:
    found: dict[str, Any] = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]
    return found


def plugin_options(role: str, name: str) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("documented", ROLES / role / "library" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options: dict[str, Any] = yaml.safe_load(module.DOCUMENTATION)["options"]
    return options


def test_generated_files_are_up_to_date() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROLES / "memory_leak")}
    command = [sys.executable, str(PROJECT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_every_entry_point_has_tasks_and_a_spec() -> None:
    tasks = {path.stem for path in (ROLES / "memory_leak" / "tasks").glob("*.yml")}
    assert tasks == set(specs("memory_leak"))
    assert {path.stem for path in (ROLES / "lab" / "tasks").glob("*.yml")} == set(specs("lab"))


def test_lab_defaults_equal_the_argument_specs() -> None:
    defaults = load(ROLES / "lab/defaults/main.yml")
    specified = {name: option["default"] for name, option in specs("lab")["up"]["options"].items()}
    assert defaults.keys() == specified.keys()
    del defaults["lab_name"], specified["lab_name"]  # the environment overrides this default
    assert defaults == specified


@pytest.mark.parametrize("entry_point", ["setup", "cleanup", "reset", "status"])
def test_plugin_documents_its_operations(entry_point: str) -> None:
    task = load(ROLES / "memory_leak/tasks" / f"{entry_point}.yml")[0]["memory_leak"]
    options = plugin_options("memory_leak", "memory_leak")
    assert set(task) == set(options)
    assert task["operation"] == entry_point
    assert entry_point in options["operation"]["choices"]


def test_investigation_defaults_equal_the_argument_specs() -> None:
    specified = {name: option["default"] for name, option in specs("investigation")["main"]["options"].items()}
    assert load(ROLES / "investigation/defaults/main.yml") == specified


def test_investigation_plugin_documents_its_arguments() -> None:
    snapshots = [
        task["investigation_snapshot"]
        for task in load(ROLES / "investigation/tasks/main.yml")
        if "investigation_snapshot" in task
    ]
    assert snapshots[0] is None
    assert set(snapshots[1]) == set(plugin_options("investigation", "investigation_snapshot"))


def test_lab_plugin_documents_its_arguments() -> None:
    task = load(ROLES / "lab/tasks/up.yml")[0]["lab"]
    assert set(plugin_options("lab", "lab")) == set(task)
