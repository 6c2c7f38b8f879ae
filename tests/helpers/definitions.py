"""The definition that the role's defaults make, which tests change as they need it."""

from __future__ import annotations

from typing import Any, cast

from memory_leak_controller import assignment, validation
from memory_leak_controller.contract import Definition


def default(**changes: Any) -> Definition:
    """Return the definition of a host with the default variables, with some of its fields changed."""
    definition, settings, errors = validation.validate(validation.DEFAULTS)
    assert errors == []
    assigned = assignment.apply(definition, settings, "host", "leaker")
    return cast(Definition, {**assigned, **changes})


DEFINITION = default()
