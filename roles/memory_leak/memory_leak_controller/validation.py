"""Validation of the role's variables, before any host is touched.

Types come from the role's argument specs, by ansible-core's own validator. What a spec can't say is checked here: ranges,
paths, names, combinations, and variables that do not exist.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

from . import measurement

PREFIX = "memory_leak_"
RATE_RANGE_MIB_PER_MIN = (0.2, 6000)
MEMORY_MAX_RANGE_BYTES = (32 * 1024**2, 1024**4)
RUNTIME_MAX_RANGE_S = (60, 7 * 86400)
OBSERVE_RANGE_S = (5, 3600)
SIZE_UNITS = {"M": 1024**2, "G": 1024**3, "T": 1024**4}
TIME_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
SAFE_PATH = re.compile(r"(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")
# Where a workload directory or a log would replace, or sit among, parts of the system.
SYSTEM_DIRECTORIES = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/sbin",
)
SHARED_DIRECTORIES = (
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",  # noqa: S108
    "/usr",
    "/usr/lib",
    "/usr/local",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",  # noqa: S108
)


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

    check("rate_mib_per_min", "rate_mib_per_min", _rate)
    check("memory_max_bytes", "memory_max", _memory_max)
    check("runtime_max_s", "runtime_max", _runtime_max)
    check("user", "user", _user)
    check("unit", "unit", _unit)
    check("directory", "directory", _directory)
    for name in ("log_file", "pid_file"):
        check(name, name, _file)
    check("workload_python", "workload_python", _path)
    if value["allow_host_oom"]:
        result["memory_max_bytes"] = None
    for name, most in (("rate_variation_percent", 50), ("control_percent", 100), ("decoy_percent", 100)):
        check(name, name, _percentage(most), settings)
    check("start_delay_max_s", "start_delay_max", _start_delay_max, settings)
    for name in ("report_dir", "ground_truth_dir", "diagnoses_dir"):
        check(name, name, _report_path, settings)
    check("observe_s", "observe_seconds", _observe_verified if value["verify"] else _observe, settings)
    return result, settings, errors or [*_clashes(result), *_too_many(settings)]


def _with_value(message: str, values: dict[str, Any]) -> str:
    """Add the value to a message of the argument spec validator, which names the variable alone."""
    named = next((name for name in values if f"'{name}'" in message), None)
    return f"{message} (it is {values[named]!r})" if named else message


def _types(option: dict[str, Any]) -> dict[str, Any]:
    return {key: option[key] for key in ("type", "choices", "elements") if key in option} | {"required": True}


def _rate(rate: float) -> float:
    low, high = RATE_RANGE_MIB_PER_MIN
    if not (math.isfinite(rate) and low <= rate <= high):
        raise ValueError(f"a number of MiB per minute from {low} to {high}")
    return float(rate)


def _percentage(most: int) -> Callable[[Any], Any]:
    def parse(value: float) -> float:
        if not 0 <= value <= most:
            raise ValueError(f"a percentage from 0 to {most}")
        return float(value)

    return parse


def _start_delay_max(text: str) -> int:
    return _quantity(text, TIME_UNITS, 0, 3600, "a whole number and a unit (s, min, h), from 0s to 1h")


def _observe(seconds: int) -> int:
    shortest, longest = OBSERVE_RANGE_S
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(f"0 or a whole number of seconds from {shortest} to {longest}")
    return int(seconds)


def _observe_verified(seconds: int) -> int:
    shortest, longest = measurement.SHORTEST_S, OBSERVE_RANGE_S[1]
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(
            f"0 (which is {shortest} here) or from {shortest} to {longest} seconds where {PREFIX}verify is true"
        )
    return int(seconds) or shortest


def _report_path(path: str) -> str:
    if not path.strip() or "\0" in path or "\n" in path:
        raise ValueError("a path on the controller; a relative one starts at the project's root")
    return path


def _quantity(text: str, units: dict[str, int], low: int, high: int, expected: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([a-zA-Z]+)", text.strip())
    factor = units.get(match[2]) if match else None
    if not match or factor is None or not low <= int(match[1]) * factor <= high:
        raise ValueError(expected)
    return int(match[1]) * factor


def _memory_max(text: str) -> int:
    return _quantity(text, SIZE_UNITS, *MEMORY_MAX_RANGE_BYTES, "a whole number and a unit (M, G, T), from 32M to 1T")


def _runtime_max(text: str) -> int:
    return _quantity(text, TIME_UNITS, *RUNTIME_MAX_RANGE_S, "a whole number and a unit (s, min, h, d), from 60s to 7d")


def _user(name: str) -> str:
    if name and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", name):
        raise ValueError("the name of a user of the host, or empty for a dynamic user")
    return str(name)


def _unit(name: str) -> str:
    stem = name.removesuffix(".service")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", stem) or re.search(
        r"\.(socket|timer|slice|scope|target|mount)$", stem
    ):
        raise ValueError("a service name of up to 100 letters, digits, '_', '-' and '.', with or without '.service'")
    return f"{stem}.service"


def _path(path: str) -> str:
    if not SAFE_PATH.fullmatch(path) or len(path) > 200:
        raise ValueError("an absolute path of letters, digits and '._+@-', with no '..', no '//' and no '/' at its end")
    return str(path)


def _outside_system(path: str) -> str:
    for directory in SYSTEM_DIRECTORIES:
        if path == directory or path.startswith(f"{directory}/"):
            raise ValueError(f"outside {directory}")
    return path


def _directory(path: str) -> str:
    if _outside_system(_path(path)) in SHARED_DIRECTORIES:
        raise ValueError(f"a directory of its own, not {path}, which others use")
    return path


def _file(path: str) -> str:
    return _outside_system(_path(path))


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
