"""Validation of the role's variables, before any host is touched.

Types are checked by ansible-core's own validator, values by the parse functions in variables.py, and combinations here.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .parsing import PREFIX, observe_verified
from .variables import TABLE, Variable

LONGEST_SHOWN_VALUE = 200
# One per variable, so that a value that makes a validator raise does not hide the other messages.
VALIDATORS = {
    variable.full_name: ArgumentSpecValidator(
        {
            variable.full_name: {"type": variable.type, "required": True}
            | ({"choices": list(variable.choices)} if variable.choices else {})
        }
    )
    for variable in TABLE
}
DEFAULTS = {variable.full_name: variable.default for variable in TABLE}


def validate(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Convert the role's variables to the definition for a host (a contract.Definition without what assignment.py adds).

    Returns the definition, the settings that stay on the controller, by the keys in variables.TABLE, and a list of messages,
    each with the variable, its value and what is allowed. Definition and settings are complete only if there are no messages.
    """
    typed, errors = _typed(values)
    if errors:
        return {}, {}, errors
    results: dict[str, dict[str, Any]] = {"definition": {}, "settings": {}}
    for variable in TABLE:
        parse = variable.parse
        if variable.name == "observe_seconds" and typed[f"{PREFIX}verify"]:
            parse = observe_verified
        try:
            value = parse(typed[variable.full_name])
        except ValueError as error:
            errors.append(f"{variable.full_name} is {shown(values[variable.full_name])}: it must be {error}")
        else:
            results[variable.goes_to][variable.key or variable.name] = value
    definition, settings = results["definition"], results["settings"]
    if errors:
        return definition, settings, errors
    if settings["allow_host_oom"]:
        definition["memory_max_bytes"] = None
    return definition, settings, [*_clashes(definition), *_too_many(settings)]


def valid_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that stay on the controller, with defaults instead of invalid values."""
    valid = {name: value for name, value in values.items() if not validate(DEFAULTS | {name: value})[2]}
    defaults, settings = validate(DEFAULTS)[1], validate(DEFAULTS | valid)[1]
    return defaults | settings


def _typed(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values converted to the types of their variables, and a message for each that can't be converted."""
    typed: dict[str, Any] = {}
    errors: list[str] = []
    for variable in TABLE:
        name = variable.full_name
        if name not in values:
            errors.append(f"{name} is missing")
            continue
        try:
            if _is_of_another_kind(values[name], variable.type):
                raise ValueError(variable.type)
            checked = VALIDATORS[name].validate({name: values[name]})
            fits = not checked.error_messages
        except (ArithmeticError, ValueError):  # infinity as an integer, or an integer with too many digits
            fits = False
        if fits:
            typed |= checked.validated_parameters
        else:
            errors.append(f"{name} is {shown(values[name])}: it must be {_expected(variable)}")
    return typed, errors


def _is_of_another_kind(value: Any, kind: str) -> bool:
    """Return whether a value has the wrong type, although the validator would convert it."""
    if kind in ("int", "float"):
        # It would expand 1e999999999 to all its digits.
        return isinstance(value, bool) or (kind == "int" and "e" in str(value).lower())
    return kind == "str" and (value is None or isinstance(value, list | dict | tuple | set | bytes))


def _expected(variable: Variable) -> str:
    """Return what a variable allows, for messages."""
    if variable.choices:
        return f"one of {', '.join(choice or 'an empty string' for choice in variable.choices)}"
    return {"bool": "true or false", "float": "a number", "int": "a whole number", "str": "text"}[variable.type]


def shown(value: Any) -> str:
    """Return a value for a message."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a value of type {type(value).__name__} too long to show"
    return text if len(text) <= LONGEST_SHOWN_VALUE else f"{text[:LONGEST_SHOWN_VALUE]}…"


def _clashes(definition: dict[str, Any]) -> list[str]:
    """Return a message for each pair of conflicting paths."""
    outputs = {"log_file": definition["log_file"], "pid_file": definition["pid_file"]}
    messages = []
    if outputs["log_file"] == outputs["pid_file"]:
        messages.append(f"{PREFIX}log_file and {PREFIX}pid_file are both {outputs['log_file']!r}: they must differ")
    for name, path in outputs.items():
        if f"{path}/".startswith(f"{definition['directory']}/") or f"{definition['directory']}/".startswith(f"{path}/"):
            messages.append(
                f"{PREFIX}{name} is {path!r}: it must be outside {PREFIX}directory, {definition['directory']!r}"
            )
    return messages


def _too_many(settings: dict[str, Any]) -> list[str]:
    """Return a message if controls and decoys exceed 100 percent."""
    controls, decoys = settings["control_percent"], settings["decoy_percent"]
    if controls + decoys <= 100:
        return []
    return [
        f"{PREFIX}control_percent is {controls:g} and {PREFIX}decoy_percent is {decoys:g}: together they must be 100 at most"
    ]
