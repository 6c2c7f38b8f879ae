"""Reads a diagnosis from a file: a structured one, front matter with a text, or any text in Markdown, JSON or YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from memory_leak_lab.grading import files
from memory_leak_lab.grading.diagnosis_model import Diagnosis, FiledDiagnosis
from memory_leak_lab.grading.files import UnreadableError

FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S)
SUFFIXES = (".md", ".markdown", ".txt", ".json", ".yml", ".yaml")
MOST_FLAT = files.MOST_CHARACTERS
DEEPEST = 20
LONGEST_FIELD = 60  # characters, of a record on one line
NUMERIC = re.compile(r"[+~]?\d[\d.,:TZ+-]*\s?(?:s|m|min|sec|h)?")


class Document(NamedTuple):
    """A diagnosis as it was handed in: its text, its structured form if it has one, and the host that the form names."""

    text: str
    diagnosis: Diagnosis | None = None
    host: str | None = None


def read(path: Path) -> Document:
    """Return the diagnosis in a file. Raises UnreadableError with the file's name and, where there is one, line and field."""
    text = files.read(path)
    if path.suffix == ".json":
        return _data(path.name, text, _json(path.name, text))
    if path.suffix in (".yml", ".yaml"):
        return _data(path.name, text, _yaml(path.name, text, 0))
    front = FRONT_MATTER.match(text)
    if not front:
        return Document(text)
    found = _yaml(path.name, front[1], 1)
    body = text[front.end() :]
    if not _is_structured(found):
        return Document(text)
    return Document(body, _structured(path.name, found))


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{name}, line {error.lineno}: not graded: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{name}: not graded: not JSON that can be read: {error}") from error


def _yaml(name: str, text: str, first_line: int) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1 + first_line}" if error.problem_mark else ""
        raise UnreadableError(f"{name}{line}: not graded: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{name}: not graded: not YAML that can be read: {error}") from error


def _data(name: str, text: str, found: Any) -> Document:
    if isinstance(found, dict) and set(found) == set(FiledDiagnosis.model_fields):
        filed = _validated(name, FiledDiagnosis, found)
        return Document("", filed.diagnosis, filed.host)
    if _is_structured(found):
        return Document("", _structured(name, found))
    return Document(found if isinstance(found, str) else flat(found)) if found is not None else Document(text)


def _is_structured(found: Any) -> bool:
    """Return whether data is meant as a structured diagnosis: its fields and no others, the required ones among them."""
    return (
        isinstance(found, dict)
        and {"affected", "confidence"} <= set(found)
        and set(found) <= set(Diagnosis.model_fields)
    )


def _structured(name: str, found: Any) -> Diagnosis:
    diagnosis: Diagnosis = _validated(name, Diagnosis, found)
    return diagnosis


def _validated(name: str, model: Any, found: Any) -> Any:
    try:
        # YAML has types of its own for times: back to what JSON has.
        return model.model_validate_json(json.dumps(found, default=lambda value: value.isoformat()))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the diagnosis"
        raise UnreadableError(f"{name}: not graded: {field}: {first['msg']}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise UnreadableError(f"{name}: not graded: {error}") from error


def flat(found: Any) -> str:
    """Return JSON or YAML of any form as Markdown: keys become headings and labels, lists of records become tables."""
    pieces, length = [], 0
    for piece in _flat(found, [], 0):
        pieces.append(piece)
        length += len(piece)
        if length > MOST_FLAT:  # an alias in YAML may stand for any amount of data
            break
    return "\n".join(pieces)


def _flat(found: Any, keys: list[str], depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    if isinstance(found, dict):
        yield from _flat_mapping(found, keys, depth)
    elif isinstance(found, list):
        yield f"\n## {' '.join(keys[-1:])}\n"
        yield from _flat_list(found, keys, depth)
        yield ""
    else:
        yield _scalar(found)


def _flat_mapping(found: dict[Any, Any], keys: list[str], depth: int) -> Iterator[str]:
    label = " ".join(keys[-1:])
    scalars = {key: value for key, value in found.items() if not isinstance(value, (dict, list))}
    timed = {key: value for key, value in scalars.items() if NUMERIC.fullmatch(str(key))}
    if len(timed) > 1:
        # Sizes by time: a table whose heading says what the keys are.
        yield f"\n| {label} | {label} size |\n|---|---|"
        yield from (f"| {key} | {_scalar(value)} |" for key, value in timed.items())
        yield ""
        scalars = {key: value for key, value in scalars.items() if key not in timed}
    if keys:
        yield f"\n## {label}\n"
    lines = [f"{_words(key)}: {_scalar(value)}" for key, value in scalars.items()]
    if keys and len(lines) > 1 and all(len(line) < LONGEST_FIELD for line in lines):
        yield "; ".join(lines) + "."  # a record: its fields belong together
    else:
        yield from (f"{line}\n" for line in lines)
    for key, value in found.items():
        if isinstance(value, (dict, list)):
            yield from _flat(value, [*keys, _words(key)], depth + 1)


def _flat_list(found: list[Any], keys: list[str], depth: int) -> Iterator[str]:
    if _is_table(found):
        names = list(found[0])
        yield "| " + " | ".join(map(_words, names)) + " |\n|" + "---|" * len(names)
        for row in found:
            yield (
                "| " + " | ".join(_scalar(value).replace("|", "/").replace("\n", " ") for value in row.values()) + " |"
            )
    elif found and all(isinstance(each, (int, float)) for each in found):
        yield f"{' '.join(keys[-1:])}: " + ", ".join(map(_scalar, found)) + "\n"
    else:
        for each in found:
            if isinstance(each, (dict, list)):
                yield from _flat(each, [*keys, ""], depth + 1)
            else:
                yield f"- {_scalar(each)}"


def _is_table(found: list[Any]) -> bool:
    """Return whether a list consists of records with the same fields."""
    return (
        len(found) > 1
        and all(isinstance(row, dict) and list(row) == list(found[0]) for row in found)
        and not any(isinstance(value, (dict, list)) for row in found for value in row.values())
    )


def _words(key: Any) -> str:
    """Return a key as words: `rss_mib` stays, since it carries a unit, `rootCause` becomes `root Cause`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(key)).replace("_", " ")


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
