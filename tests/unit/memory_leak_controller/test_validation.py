"""Validation of the role's variables on the controller."""

from __future__ import annotations

from typing import Any

import pytest

from memory_leak_controller import validation, variables

DEFAULTS = validation.DEFAULTS


def check(**changes: Any) -> tuple[dict[str, Any], list[str]]:
    """Validate the defaults with changed variables, given without the memory_leak_ prefix."""
    definition, _settings, errors = validation.validate(
        DEFAULTS | {f"memory_leak_{name}": value for name, value in changes.items()}
    )
    return definition, errors


def test_defaults_make_the_definition() -> None:
    definition, errors = check()
    assert errors == []
    assert definition == {
        "target_rate_mib_per_min": 30.0,
        "memory_max_bytes": 1024**3,
        "runtime_max_s": 4 * 3600,
        "user": "",
        "unit": "memory-leak.service",
        "directory": "/mcp/scenarios/memory-leak",
        "log_file": "/tmp/memory-leak.log",
        "pid_file": "/tmp/memory-leak.pid",
        "workload_python": "/usr/bin/python3",
    }


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("rate_mib_per_min", "7.5", "target_rate_mib_per_min", 7.5),
        ("rate_mib_per_min", 6000, "target_rate_mib_per_min", 6000.0),
        ("memory_max", "512M", "memory_max_bytes", 512 * 1024**2),
        ("runtime_max", "90min", "runtime_max_s", 5400),
        ("runtime_max", "7d", "runtime_max_s", 604800),
        ("unit", "session-cache.service", "unit", "session-cache.service"),
        ("user", "nobody", "user", "nobody"),
        ("directory", "/srv/cache", "directory", "/srv/cache"),
        ("allow_host_oom", "true", "memory_max_bytes", None),
    ],
)
def test_valid_values_are_converted(name: str, value: Any, key: str, expected: Any) -> None:
    definition, errors = check(**{name: value})
    assert errors == []
    assert definition[key] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rate_mib_per_min", bad) for bad in ("nan", "inf", 0, -3, 0.1, 6001, "fast", None)),
        *(("memory_max", bad) for bad in ("1", "1.5G", "16M", "2T", "-1G", "1 G", "infinity", "")),
        *(("runtime_max", bad) for bad in ("59s", "8d", "4", "h", "forever", "1h30min")),
        *(("user", bad) for bad in ("a b", "../root", "Root", "x" * 40)),
        *(("unit", bad) for bad in ("a/b", "", "memory leak", "-x", "x.timer", "a" * 101, "%n")),
        *(
            ("directory", bad)
            for bad in ("/", "/tmp", "relative", "/mcp/../etc", "/a//b", "/a/", "/etc/x", "/usr/bin", "/a b")
        ),
        *(
            ("log_file", bad)
            for bad in ("../x", "/", "", "/proc/x", "/tmp/a;b", "/tmp/$(id)", "/mcp/scenarios/memory-leak/log")
        ),
        *(("pid_file", bad) for bad in ("pid", "/tmp/memory-leak.log", "/mcp/scenarios/memory-leak", "/tmp/x\n")),
        *(("workload_python", bad) for bad in ("python3", "", "/usr/bin/python3 -u")),
        ("allow_host_oom", "perhaps"),
    ],
)
def test_an_invalid_value_is_reported_with_its_variable(name: str, value: Any) -> None:
    _definition, errors = check(**{name: value})
    assert len(errors) == 1
    assert f"memory_leak_{name}" in errors[0]
    if value is not None:
        assert str(value) in errors[0] or repr(value) in errors[0]


def test_an_unprintable_value_is_reported_with_its_variable() -> None:
    for name in (
        "memory_leak_observe_seconds",
        "memory_leak_rate_mib_per_min",
        "memory_leak_unit",
        "memory_leak_verify",
    ):
        (message,) = validation.validate(validation.DEFAULTS | {name: 10**5000})[2]
        assert message.startswith(f"{name} is a value of type int too long to show: it must be ")


def test_all_invalid_values_are_reported_at_once() -> None:
    _definition, errors = check(rate_mib_per_min=0, memory_max="1", unit="a b")
    assert len(errors) == 3


def test_unknown_variables_are_errors_with_a_suggestion() -> None:
    names = ["memory_leak_rate_mb_per_min", "memory_leak_unit", "other", "ansible_host"]
    [error] = variables.unknown(names)
    assert (
        error
        == "memory_leak_rate_mb_per_min is not a variable of this role: did you mean memory_leak_rate_mib_per_min?"
    )
