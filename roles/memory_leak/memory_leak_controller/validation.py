"""Validation of the role's variables, before any host is touched.

Types come from the role's argument specs, by ansible-core's own validator. What a spec can't say is checked in Python: the
values one by one in parsing.py, combinations and variables that do not exist here.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

from . import parsing
from .parsing import PREFIX


@functools.cache
def argument_spec(role: Path) -> dict[str, dict[str, Any]]:
    """Return the argument spec of the role's variables (that of its `setup` entry point), by variable."""
    specs = yaml_load((role / "meta" / "argument_specs.yml").read_text())
    spec: dict[str, dict[str, Any]] = specs["argument_specs"]["setup"]["options"]
    return spec


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a message for each name that has the role's prefix and is not one of its variables."""
    messages = []
    for name in sorted(name for name in names if name.startswith(PREFIX) and name not in known):
        close = difflib.get_close_matches(name, list(known), n=1)
        messages.append(f"{name} is not a variable of this role" + (f": did you mean {close[0]}?" if close else ""))
    return messages


def validate(
    spec: dict[str, dict[str, Any]], values: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Turn the role's variables into the definition that the host program takes (its docstring says what it holds).

    Returns the definition, the settings that stay on the controller, and a list of messages, each naming the variable, its
    value and what is allowed. Definition and settings are complete only if there are none.
    The settings: `verify` (bool), `observe_s` (how long to watch the workload, in seconds; 0: not at all), `report_dir`,
    `ground_truth_dir` and `diagnoses_dir` (paths, relative ones to the project's root); and for realism.py `blind`, `seed`,
    `part` (empty: by the percentages), `rate_variation_percent`, `control_percent`, `decoy_percent` and `start_delay_max_s`.
    """
    checked = ArgumentSpecValidator({name: _types(option) for name, option in spec.items()}).validate(values)
    if checked.error_messages:
        return {}, {}, [_with_value(message, values) for message in checked.error_messages]
    value = {name.removeprefix(PREFIX): checked.validated_parameters[name] for name in spec}
    result: dict[str, Any] = {}
    settings: dict[str, Any] = {name: value[name] for name in ("verify", "blind", "seed", "part")}
    errors: list[str] = []

    def check(key: str, name: str, parse: Callable[[Any], Any], into: dict[str, Any] = result) -> None:
        try:
            into[key] = parse(value[name])
        except ValueError as error:
            errors.append(f"{PREFIX}{name} is {values[PREFIX + name]!r}: it must be {error}")

    check("rate_mib_per_min", "rate_mib_per_min", parsing.rate)
    check("memory_max_bytes", "memory_max", parsing.memory_max)
    check("runtime_max_s", "runtime_max", parsing.runtime_max)
    check("user", "user", parsing.user)
    check("unit", "unit", parsing.unit)
    check("directory", "directory", parsing.directory)
    for name in ("log_file", "pid_file"):
        check(name, name, parsing.file)
    check("workload_python", "workload_python", parsing.path)
    if value["allow_host_oom"]:
        result["memory_max_bytes"] = None
    for name, most in (("rate_variation_percent", 50), ("control_percent", 100), ("decoy_percent", 100)):
        check(name, name, parsing.percentage(most), settings)
    check("start_delay_max_s", "start_delay_max", parsing.start_delay_max, settings)
    for name in ("report_dir", "ground_truth_dir", "diagnoses_dir"):
        check(name, name, parsing.report_path, settings)
    check("observe_s", "observe_seconds", parsing.observe_verified if value["verify"] else parsing.observe, settings)
    return result, settings, errors or [*_clashes(result), *_too_many(settings)]


def _with_value(message: str, values: dict[str, Any]) -> str:
    """Add the value to a message of the argument spec validator, which names the variable alone."""
    named = next((name for name in values if f"'{name}'" in message), None)
    return f"{message} (it is {values[named]!r})" if named else message


def _types(option: dict[str, Any]) -> dict[str, Any]:
    return {key: option[key] for key in ("type", "choices", "elements") if key in option} | {"required": True}


def _clashes(result: dict[str, Any]) -> list[str]:
    """Return a message for each pair of paths that can't go together."""
    places = {"log_file": result["log_file"], "pid_file": result["pid_file"]}
    messages = []
    if places["log_file"] == places["pid_file"]:
        messages.append(f"{PREFIX}log_file and {PREFIX}pid_file are both {places['log_file']!r}: they must differ")
    for name, path in places.items():
        if f"{path}/".startswith(f"{result['directory']}/") or f"{result['directory']}/".startswith(f"{path}/"):
            messages.append(
                f"{PREFIX}{name} is {path!r}: it must be outside {PREFIX}directory, {result['directory']!r}"
            )
    return messages


def _too_many(settings: dict[str, Any]) -> list[str]:
    """Return a message if controls and decoys are more than all hosts."""
    controls, decoys = settings["control_percent"], settings["decoy_percent"]
    if controls + decoys <= 100:
        return []
    return [
        f"{PREFIX}control_percent is {controls:g} and {PREFIX}decoy_percent is {decoys:g}: together they must be 100 at most"
    ]
