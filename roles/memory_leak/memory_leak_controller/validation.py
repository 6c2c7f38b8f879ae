"""Validation of the role's variables, before any host is touched.

Types are checked by ansible-core's own validator, values by the parse functions in variables.py, and combinations here.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .parsing import PREFIX, observe_verified
from .variables import TABLE

ARGUMENT_SPEC = {
    variable.full_name: {"type": variable.type, "required": True}
    | ({"choices": list(variable.choices)} if variable.choices else {})
    for variable in TABLE
}
DEFAULTS = {variable.full_name: variable.default for variable in TABLE}


def validate(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Turn the role's variables into the definition for a host (a contract.Definition, but for what assignment.py adds).

    Returns the definition, the settings that stay on the controller, by the keys in variables.TABLE, and a list of messages,
    each naming the variable, its value and what is allowed. Definition and settings are complete only if there are none.
    """
    checked = ArgumentSpecValidator(ARGUMENT_SPEC).validate(values)
    if checked.error_messages:
        return {}, {}, [_with_value(message, values) for message in checked.error_messages]
    results: dict[str, dict[str, Any]] = {"definition": {}, "settings": {}}
    errors: list[str] = []
    for variable in TABLE:
        parse = variable.parse
        if variable.name == "observe_seconds" and checked.validated_parameters[f"{PREFIX}verify"]:
            parse = observe_verified
        try:
            value = parse(checked.validated_parameters[variable.full_name])
        except ValueError as error:
            errors.append(f"{variable.full_name} is {values[variable.full_name]!r}: it must be {error}")
        else:
            results[variable.goes_to][variable.key or variable.name] = value
    definition, settings = results["definition"], results["settings"]
    if settings["allow_host_oom"]:
        definition["memory_max_bytes"] = None
    return definition, settings, errors or [*_clashes(definition), *_too_many(settings)]


def _with_value(message: str, values: dict[str, Any]) -> str:
    """Add the value to a message of the argument spec validator, which names the variable alone."""
    named = next((name for name in sorted(values, key=len, reverse=True) if name in message), None)
    return f"{message} (it is {values[named]!r})" if named else message


def _clashes(definition: dict[str, Any]) -> list[str]:
    """Return a message for each pair of paths that can't go together."""
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
    """Return a message if controls and decoys are more than all hosts."""
    controls, decoys = settings["control_percent"], settings["decoy_percent"]
    if controls + decoys <= 100:
        return []
    return [
        f"{PREFIX}control_percent is {controls:g} and {PREFIX}decoy_percent is {decoys:g}: together they must be 100 at most"
    ]
