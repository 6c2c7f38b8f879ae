"""Whom a diagnosis accuses: the true process or service, another one, or nobody by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from memory_leak_lab.grading import quantities, reader
from memory_leak_lab.grading.ground_truth import GroundTruth
from memory_leak_lab.grading.passages import Passage

DEFAULT = "memory-leak"  # the unit and its directory, unless the mode is blind
MOST_EVIDENCE = 600  # characters
MOST_PIDS = 12  # accused at once: more is a list of guesses
# 'Python' alone may be the language.
INTERPRETER = re.compile(
    r"\bpython3(?:\.\d+)?\b|\bpython\b[\s-]+(?:\w+[\s-]+){0,2}?(?:process|service|program|script|daemon|application|app"
    r"|interpreter|worker|cache|server|task)\b"
    r"|\b(?:process|interpreter)\s+\W{0,2}python\b|\bpython\s*[\[(/]|/\s*python\b|\b(?:python|the) interpreter\b"
    r"|\bpython\b[^.;]{0,40}\b(?:grows?|uses|holds|\d+ ?[kmg]i?b)\b",
    re.I,
)
# The service as its log, its unit's description and its source call it.
SERVICE = re.compile(
    r"\b(?:sessions?|cach\w*|token|login|auth\w*|account|portal)[- ](?:\w+[- ])?(?:service|process|program|application"
    r"|component|daemon|server|unit)\b|\bcaching service\b"
    r"|\b(?:component|service|program|part)\b[^.;]{0,30}\bsessions\b",
    re.I,
)
UNIT = re.compile(r"(?<![\w/.@-])([\w@-][\w.@-]*?)\.service\b")
SCRIPT = re.compile(r"(?<![\w-])([\w-]+)\.(?:py|sh|js|jar|rb|pl)\b")
# Units that every host has and that reports list in passing.
ORDINARY = re.compile(
    r"^(?:system|user|init|ssh|sshd|cron|dbus|getty|rsyslog|networking|lab-network|serial|run-|session-\d|app)",
    re.I,
)
LABELLED = re.compile(r"\W*(?:\w+ ){0,2}pid\b", re.I)
Standing = Literal["right", "wrong", "unnamed"]


class Subject(NamedTuple):
    """Whom a text accuses, the passage that shows it, whether it gives a right PID, and which names it gives."""

    standing: Standing
    evidence: str
    has_pid: bool = False
    has_name: bool = False
    has_own_name: bool = False  # one that the leaker has, and that neither the brief nor the rubric tells


def names(truth: GroundTruth, strict: bool = False) -> re.Pattern[str]:
    """Return a pattern of the names that only the leaker has: its script, its directory, and in blind mode its unit.

    A strict one leaves out those that are also ordinary words, such as 'memory-leak process'.
    """
    found = set()
    for run in truth.runs:
        for path in run.command.split()[1:2]:
            folder, _, script = path.rpartition("/")
            name = folder.rpartition("/")[2]
            found |= {re.escape(path), rf"{re.escape(name)}\.service"}
            if script not in ("service.py", "main.py", "app.py", "server.py"):
                found.add(rf"(?<![\w-]){re.escape(script)}\b")
            if name == DEFAULT and strict:
                found.add(r"/memory-leak/")
            elif name == DEFAULT:  # also the name of a kind of incident
                found |= {
                    r"/memory-leak\b",
                    r"memory-leak (?:unit|service|process|daemon)\b",
                    r"\b(?:unit|service) [\"']?memory-leak\b",
                }
            elif name:
                found.add(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
                found.add(rf"\b{re.escape(name.replace('-', ' '))}\b")
    return re.compile("|".join(sorted(found, key=len, reverse=True)) or r"(?!)", re.I)


def find(passages: list[Passage], truth: GroundTruth) -> Subject:
    """Return whom a text accuses."""
    own = names(truth)
    everywhere = "\n".join(each.text for each in passages)
    accusing = [each for each in passages if each.kind in ("sentence", "heading") and reader.accuses(each)]
    standing, evidence, has_pid = _accused(passages, accusing, own, truth)
    return Subject(
        standing,
        evidence[:MOST_EVIDENCE],
        has_pid,
        has_name=bool(own.search(everywhere) or INTERPRETER.search(everywhere) or SERVICE.search(everywhere)),
        has_own_name=bool(names(truth, strict=True).search(everywhere)),
    )


def _accused(
    passages: list[Passage], accusing: list[Passage], own: re.Pattern[str], truth: GroundTruth
) -> tuple[Standing, str, bool]:
    """Return whom a text accuses, the passage that shows it, and whether it gives a right PID."""
    accused = {pid for each in accusing for pid in _pids(each.text)}
    if len(accused) > MOST_PIDS:
        return "wrong", accusing[0].text, False
    # A PID that no sentence accuses may stand in a table, in output, or beside the name.
    listed = (
        _first(accusing, lambda each: truth.pids & _pids(each.text))
        or _first(passages, lambda each: truth.pids & _pids(each.text))
        or _first(passages, lambda each: truth.pids & _bare(each.text) and _is_listing(each))
    )
    named = _first([*accusing, *passages], lambda each: own.search(each.text))
    if listed and (truth.pids & accused or not accused or named or not _others(accusing, own)):
        return "right", listed.text, True
    wrong = _wrong(passages, accusing, own, is_named=bool(named), is_listed=bool(listed))
    if wrong:
        return "wrong", wrong, False
    if named or listed:
        return "right", (named or listed or passages[0]).text, bool(listed)
    said = _first(passages, lambda each: SERVICE.search(each.text) or INTERPRETER.search(each.text))
    return "unnamed", said.text if said else "", False


def _wrong(
    passages: list[Passage], accusing: list[Passage], own: re.Pattern[str], is_named: bool, is_listed: bool
) -> str:
    """Return the passage that accuses another process, by PID or by name, or an empty text."""
    with_pid = [each for each in passages if each.kind != "output" and _pids(each.text)]
    # A PID beside an interpreter, a service or nothing but its label is meant as the culprit's.
    meant = _first(with_pid, lambda each: LABELLED.match(each.text) or own.search(each.text) or _is_listing(each))
    if not is_listed and (meant or (with_pid and not is_named) or any(_pids(each.text) for each in accusing)):
        return (meant or with_pid[0]).text
    others = _others(accusing, own) or ([] if is_named or is_listed else _others(passages, own))
    return others[0] if others and not is_named else ""


def _first(passages: Iterable[Passage], test: Callable[[Passage], object]) -> Passage | None:
    return next((each for each in passages if test(each)), None)


def _pids(text: str) -> set[int]:
    return {int(each.value) for each in quantities.find(text).pids}


def _bare(text: str) -> set[int]:
    """Return the integers that stand alone, as in a column of PIDs: without a unit, and not part of a time."""
    return {int(match) for match in re.findall(r"(?<![\w.:,/])(\d{2,7})(?![\w.:,/]|\s*(?:[kmg]i?b|%))", text, re.I)}


def _is_listing(passage: Passage) -> bool:
    """Return whether a bare number in a passage may be a PID: in a table, in output, or beside an interpreter."""
    return passage.kind in ("row", "output") or bool(INTERPRETER.search(passage.text))


def _others(accusing: Iterable[Passage], own: re.Pattern[str]) -> list[str]:
    """Return the passages that accuse another unit or script."""
    found = []
    for each in accusing:
        named = [match[1] for pattern in (UNIT, SCRIPT) for match in pattern.finditer(each.text)]
        if any(not ORDINARY.match(name) and not own.search(name) for name in named):
            found.append(each.text)
    return found


def is_a_name(name: str, truth: GroundTruth) -> bool:
    """Return whether a name is one of the leaker's: the interpreter, the service, or a part of its command."""
    parts = {
        part for run in truth.runs for word in run.command.split()[:2] for part in (word, *word.split("/")) if part
    }
    return name in parts or bool(INTERPRETER.search(name) or SERVICE.search(name))
