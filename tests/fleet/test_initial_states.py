"""Run each playbook from each initial state. Checks the outcome, `changed`, check mode and the actual host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpers.initial_states import INITIAL_STATES, INSPECTION, OPERATIONS, contradictions
from memory_leak_lab.lab.fleet import Fleet

COUNT = len(INITIAL_STATES)


def on_all(fleet: Fleet, scripts: list[str]) -> list[str]:
    """Run one script per host and return their outputs. Fail unless all succeed."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(fleet.run, range(COUNT), scripts))
    failed = {
        INITIAL_STATES[number].name: answer.stdout + answer.stderr
        for number, answer in enumerate(answers)
        if answer.returncode
    }
    assert not failed
    return [answer.stdout for answer in answers]


def create_states(fleet: Fleet, play: Any) -> None:
    """Bring each host into its initial state."""
    fresh = [fleet.hosts[number].name for number, initial_state in enumerate(INITIAL_STATES) if initial_state.fresh]
    variables = {number: initial_state.variables for number, initial_state in enumerate(INITIAL_STATES)}
    play("setup", "--limit", ",".join(["all", *(f"!{name}" for name in fresh)]), variables=variables)
    on_all(fleet, [initial_state.script for initial_state in INITIAL_STATES])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_initial_state_ends_as_specified(fleet: Fleet, play: Any, operation: str) -> None:
    create_states(fleet, play)
    names = [host.name for host in fleet.hosts]
    expected = {initial_state.name: initial_state.end(operation) for initial_state in INITIAL_STATES}
    predicted = play(operation, "--check", fails=operation != "status")
    records = play(operation, fails=operation != "status")
    ends = [(records[name]["outcome"], records[name]["changed"]) for name in names]
    assert dict(zip(expected, ends, strict=True)) == expected
    assert {name: record["changes"] for name, record in predicted.items()} == {
        name: record["changes"] for name, record in records.items()
    }
    inspections = on_all(fleet, [INSPECTION] * COUNT)
    wrong = {
        initial_state.name: contradictions(
            inspection, records[name]["outcome"], records[name]["pid"], records[name]["unit"]
        )
        for initial_state, inspection, name in zip(INITIAL_STATES, inspections, names, strict=True)
    }
    assert not {initial_state: found for initial_state, found in wrong.items() if found and operation != "status"}
    on_all(fleet, [initial_state.intact for initial_state in INITIAL_STATES])
    on_all(fleet, [initial_state.undo for initial_state in INITIAL_STATES])
    assert {record["outcome"] for record in play("cleanup").values()} == {"absent"}
    inspections = on_all(fleet, [INSPECTION] * COUNT)
    wrong = {
        initial_state.name: contradictions(inspection, "absent", None, None)
        for initial_state, inspection in zip(INITIAL_STATES, inspections, strict=True)
    }
    assert not {initial_state: found for initial_state, found in wrong.items() if found}
