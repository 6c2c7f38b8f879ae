"""Typed dictionaries with documented fields: return their null records, and validate values from outside."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

LARGEST_INTEGER = 2**63 - 1
LONGEST_TEXT = 65536
LONGEST_LIST = 100_000
YEARS = range(1970, 3000)


@dataclass(frozen=True)
class Field:
    """The description of a record's field: for documentation, schemas, and the columns of report.html."""

    description: str
    sample: Any = None
    minimum: float | None = None
    maximum: float | None = None
    items: int | None = None  # the length of a list
    is_time: bool = False  # ISO 8601, in one of YEARS
    heading: str = ""  # of its column ('|' separates the columns of a list); without one it has no column
    divisor: float = 1  # from its unit to the column's
    digits: int = 0
    returned: str = "when the host answered"


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def fields(kind: type) -> dict[str, tuple[Any, Field]]:
    """Return the fields of a typed dictionary in order, with their types and descriptions."""
    found = {}
    for name, hint in _hints(kind).items():
        described = [each for each in typing.get_args(hint)[1:] if isinstance(each, Field)]
        found[name] = (hint, described[0] if described else Field(""))
    return found


def empty(kind: type) -> dict[str, Any]:
    """Return the null record of a type: null for fields that allow it, an empty list for lists."""
    nulls: dict[str, Any] = {}
    for name, (hint, _field) in fields(kind).items():
        if misfit(None, hint) is None:
            nulls[name] = None
        elif misfit([], hint) is None:
            nulls[name] = []
    return nulls


def misfit(value: Any, kind: Any, name: str = "it") -> str | None:
    """Return where a value does not fit a type, or None. Texts, lists and numbers are bounded."""
    if typing.is_typeddict(kind):
        return _misfit_of_fields(value, kind, name)
    check = _CHECKS.get(typing.get_origin(kind))
    if check:
        return check(value, typing.get_args(kind), name)
    if kind is Any or _fits_plainly(value, kind):
        return None
    return _complaint(value, "null" if kind is type(None) else kind.__name__, name)


def _misfit_of_annotated(value: Any, arguments: tuple[Any, ...], name: str) -> str | None:
    return misfit(value, arguments[0], name) or _out_of_bounds(value, arguments[1], name)


def _misfit_of_union(value: Any, arguments: tuple[Any, ...], name: str) -> str | None:
    complaints = [misfit(value, each, name) for each in arguments]
    return None if None in complaints else complaints[0]


def _misfit_of_list(value: Any, arguments: tuple[Any, ...], name: str) -> str | None:
    if not isinstance(value, list) or len(value) > LONGEST_LIST:
        return _complaint(value, "a list", name)
    found = (misfit(each, arguments[0], f"{name}[{place}]") for place, each in enumerate(value))
    return next(filter(None, found), None)


def _misfit_of_dict(value: Any, arguments: tuple[Any, ...], name: str) -> str | None:
    if not isinstance(value, dict) or len(value) > LONGEST_LIST:
        return _complaint(value, "a dictionary", name)
    kind_of_key, kind = arguments
    found = (
        misfit(key, kind_of_key, f"a key of {name}") or misfit(each, kind, f"{name}.{key}"[:100])
        for key, each in value.items()
    )
    return next(filter(None, found), None)


def _misfit_of_literal(value: Any, arguments: tuple[Any, ...], name: str) -> str | None:
    if isinstance(value, str) and value in arguments:
        return None
    return _complaint(value, f"one of {', '.join(arguments)}", name)


_CHECKS: dict[Any, Callable[[Any, tuple[Any, ...], str], str | None]] = {
    Annotated: _misfit_of_annotated,
    Literal: _misfit_of_literal,
    dict: _misfit_of_dict,
    list: _misfit_of_list,
    types.UnionType: _misfit_of_union,
    typing.Union: _misfit_of_union,
}


def _fits_plainly(value: Any, kind: type) -> bool:
    if isinstance(value, bool) and kind is not bool:
        return False
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= LARGEST_INTEGER  # neither infinite nor NaN
    if kind is int:
        return isinstance(value, int) and abs(value) <= LARGEST_INTEGER
    if kind is str:
        return isinstance(value, str) and len(value) <= LONGEST_TEXT
    return isinstance(value, kind)


def _misfit_of_fields(value: Any, kind: Any, name: str) -> str | None:
    if not isinstance(value, dict):
        return _complaint(value, kind.__name__, name)
    hints = _hints(kind)
    unknown = [str(key) for key in value if key not in hints]
    if unknown:
        return f"{name} has an unknown field: {unknown[0][:60]!r}"
    missing = [key for key in hints if key in kind.__required_keys__ and key not in value]
    if missing:
        return f"{name} has no {missing[0]}"
    prefix = "" if name == "it" else f"{name}."
    return next(filter(None, (misfit(value[key], hints[key], f"{prefix}{key}") for key in value)), None)


def _out_of_bounds(value: Any, field: Field, name: str) -> str | None:
    if field.is_time and isinstance(value, str) and not _is_time(value):
        return _complaint(value, f"an ISO 8601 time in the years {YEARS[0]} to {YEARS[-1]}", name)
    numbers = value if isinstance(value, list) else [value]
    if isinstance(value, list) and field.items is not None and len(value) != field.items:
        return _complaint(value, f"a list of {field.items}", name)
    for number in numbers:
        if isinstance(number, int | float) and not isinstance(number, bool):
            if field.minimum is not None and number < field.minimum:
                return _complaint(number, f"at least {field.minimum:g}", name)
            if field.maximum is not None and number > field.maximum:
                return _complaint(number, f"at most {field.maximum:g}", name)
    return None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year in YEARS
    except ValueError:
        return False


def _complaint(value: Any, expected: str, name: str) -> str:
    try:
        shown = repr(value)
    except ValueError:  # Python does not format an integer of thousands of digits
        shown = "a huge integer"
    return f"{name} is {shown if len(shown) <= 60 else shown[:57] + '...'}: it must be {expected}"
