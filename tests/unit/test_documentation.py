"""Defaults, argument specs, the plugin's documentation and the README say the same."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize("entry_point", ["main", "setup", "cleanup", "reset", "status"])
def test_defaults_equal_the_argument_specs(entry_point: str) -> None:
    options = specs("memory_leak")[entry_point]["options"]
    assert {name: option["default"] for name, option in options.items()} == load(
        ROLES / "memory_leak/defaults/main.yml"
    )


def test_every_entry_point_has_tasks_and_a_spec() -> None:
    tasks = {path.stem for path in (ROLES / "memory_leak" / "tasks").glob("*.yml")}
    assert tasks == set(specs("memory_leak"))
    assert {path.stem for path in (ROLES / "lab" / "tasks").glob("*.yml")} == set(specs("lab"))


def test_lab_defaults_equal_the_argument_specs() -> None:
    defaults = load(ROLES / "lab/defaults/main.yml")
    specified = {name: option["default"] for name, option in specs("lab")["up"]["options"].items()}
    assert defaults.keys() == specified.keys()
    del defaults["lab_name"], specified["lab_name"]  # the default is looked up in the environment first
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
    looks = [
        task["investigation_look"]
        for task in load(ROLES / "investigation/tasks/main.yml")
        if "investigation_look" in task
    ]
    assert looks[0] is None
    assert set(looks[1]) == set(plugin_options("investigation", "investigation_look"))


def test_lab_plugin_documents_its_arguments() -> None:
    task = load(ROLES / "lab/tasks/up.yml")[0]["lab"]
    assert set(plugin_options("lab", "lab")) == set(task)


def test_readme_table_equals_the_defaults() -> None:
    rows = re.findall(r"^\| `(memory_leak_\w+)` \| `([^`]*)` \|", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert {name: yaml.safe_load(value) for name, value in rows} == load(ROLES / "memory_leak/defaults/main.yml")
