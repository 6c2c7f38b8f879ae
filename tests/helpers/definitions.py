"""Workload definitions built from the role's defaults."""

from __future__ import annotations

from typing import Any, cast

from memory_leak_controller import assignment, validation
from memory_leak_controller.contract import Definition


def default(**changes: Any) -> Definition:
    """Return the definition of a host with default variables, with `changes` applied."""
    definition, settings, errors = validation.validate(validation.DEFAULTS)
    assert errors == []
    assigned = assignment.apply(definition, settings, "host", "leaker")
    return cast(Definition, {**assigned, **changes})


DEFINITION = default()
