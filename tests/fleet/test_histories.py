"""Each history of the table, and each playbook after it: the outcome, `changed`, and what is really on the host then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.fleet import Fleet
from histories import HISTORIES, INSPECTION, OPERATIONS, contradictions

COUNT = len(HISTORIES)


def on_all(fleet: Fleet, scripts: list[str]) -> list[str]:
    """Run a script on each host and return what they print. Fails unless all succeed."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(fleet.run, range(COUNT), scripts))
    failed = {
        HISTORIES[number].name: answer.stdout + answer.stderr
        for number, answer in enumerate(answers)
        if answer.returncode
    }
    assert not failed
    return [answer.stdout for answer in answers]


def bring_about(fleet: Fleet, play: Any) -> None:
    """Give each host its history."""
    fresh = [fleet.hosts[number].name for number, history in enumerate(HISTORIES) if history.fresh]
    variables = {number: history.variables for number, history in enumerate(HISTORIES)}
    play("setup", "--limit", ",".join(["all", *(f"!{name}" for name in fresh)]), variables=variables)
    on_all(fleet, [history.script for history in HISTORIES])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_history_ends_as_the_table_says(fleet: Fleet, play: Any, operation: str) -> None:
    bring_about(fleet, play)
    names = [host.name for host in fleet.hosts]
    expected = {history.name: history.end(operation) for history in HISTORIES}
    predicted = play(operation, "--check", fails=operation != "status")
    records = play(operation, fails=operation != "status")
    ends = [(records[name]["outcome"], records[name]["changed"]) for name in names]
    assert dict(zip(expected, ends, strict=True)) == expected
    assert {name: record["changes"] for name, record in predicted.items()} == {
        name: record["changes"] for name, record in records.items()
    }
    inspections = on_all(fleet, [INSPECTION] * COUNT)
    wrong = {
        history.name: contradictions(said, records[name]["outcome"], records[name]["pid"], records[name]["unit"])
        for history, said, name in zip(HISTORIES, inspections, names, strict=True)
    }
    assert not {history: found for history, found in wrong.items() if found and operation != "status"}
    on_all(fleet, [history.intact for history in HISTORIES])
    on_all(fleet, [history.undo for history in HISTORIES])
    assert {record["outcome"] for record in play("cleanup").values()} == {"absent"}
    inspections = on_all(fleet, [INSPECTION] * COUNT)
    wrong = {
        history.name: contradictions(said, "absent", None, None)
        for history, said in zip(HISTORIES, inspections, strict=True)
    }
    assert not {history: found for history, found in wrong.items() if found}
