"""The contract: validation of answers, and complete tables of outcomes and variants."""

from __future__ import annotations

import math
import typing
from types import SimpleNamespace
from typing import Any

import pytest

from memory_leak_controller import contract, schema
from memory_leak_controller.contract import Record, Result, WorkloadState

ANSWER: dict[str, Any] = {
    **schema.empty(Result),
    **{"outcome": "running", "failed": False, "changed": False, "message": "", "changes": [], "warnings": []},
    "workload": schema.empty(WorkloadState) | {"pid": 7, "rss_bytes": 1, "cpu_percent": 0},
}


def test_every_outcome_and_variant_is_described() -> None:
    assert tuple(contract.OUTCOMES) == typing.get_args(contract.OutcomeName)
    assert tuple(contract.EXPECTED_OUTCOME) == contract.VARIANTS
    assert all(outcome.success <= set(contract.OPERATIONS) for outcome in contract.OUTCOMES.values())
    assert all(
        any(operation in outcome.success for outcome in contract.OUTCOMES.values()) for operation in contract.OPERATIONS
    )


def test_a_record_has_every_field_and_null_for_unknown_values() -> None:
    record = contract.record("web1", "unreachable", {"message": "no answer", "changes": ["something"]})
    assert schema.misfit(record, Record) is None
    assert set(record) == set(schema.fields(Record))
    assert {name for name, value in record.items() if value} == {"host", "outcome", "message"}
    assert record["samples"] == []


def test_a_valid_answer_is_accepted() -> None:
    assert schema.misfit(ANSWER, Result) is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"outcome": "fine"}, "outcome is 'fine': it must be one of failed, unreachable"),
        ({"outcome": ["running"]}, "outcome is ['running']"),
        ({"failed": 0}, "failed is 0: it must be bool"),
        ({"message": None}, "message is None: it must be str"),
        ({"message": "x" * 10**6}, "message is 'xxx"),
        ({"changes": "all"}, "changes is 'all': it must be a list"),
        ({"changes": [1]}, "changes[0] is 1: it must be str"),
        ({"before": []}, "before is []"),
        ({"mem_available_bytes": 10**5000}, "mem_available_bytes is a huge integer"),
        ({"mem_available_bytes": 2**70}, "mem_available_bytes is 1180591620717411303424"),
        ({"mem_available_bytes": True}, "mem_available_bytes is True"),
        ({"observation": {"samples": [[math.nan]], "request_rates": [], "ended": False}}, "observation.samples[0][0] is nan"),
        ({"observation": {"samples": [], "request_rates": [math.inf], "ended": False}}, "observation.request_rates[0] is inf"),
        ({"observation": {"samples": []}}, "observation has no request_rates"),
        ({"password": "x"}, "it has an unknown field: 'password'"),
        ({"workload": schema.empty(WorkloadState) | {"pid": -1}}, "workload.pid is -1: it must be at least 1"),
        ({"workload": schema.empty(WorkloadState) | {"unit": 5}}, "workload.unit is 5: it must be str"),
        ({"before": {"user": ["x"]}}, "before.user is ['x']: it must be str"),
        ({"after": {"x" * 70000: 1}}, "a key of after is"),
        ({"workload": None}, "workload is None: it must be WorkloadState"),
    ],
)  # fmt: skip
def test_an_invalid_field_is_reported(changes: dict[str, Any], complaint: str) -> None:
    found = schema.misfit(ANSWER | changes, Result)
    assert found
    assert found.startswith(complaint)
    assert len(found) < 300


def test_values_that_are_not_answers_are_rejected() -> None:
    answers: list[Any] = [None, [], "running", 7, {1: 2}]
    assert all(schema.misfit(answer, Result) for answer in answers)


def test_success_depends_on_the_outcome_or_the_variants_expectation() -> None:
    flat = contract.record("web1", "plateaued", {"as_expected": True})
    assert contract.is_success(flat, "status")
    assert contract.colour(flat) == "green"
    assert not contract.is_success(contract.record("web1", "plateaued", {"as_expected": False}), "status")
    assert contract.is_success(contract.record("web1", "absent", {}), "cleanup")
    assert not contract.is_success(contract.record("web1", "absent", {}), "setup")


@pytest.mark.parametrize(
    ("action", "resolved", "own"),
    [
        ("memory_leak", None, True),
        ("sre_incidents.memory_leak.memory_leak", "sre_incidents.memory_leak.memory_leak", True),
        ("memory_leak", "sre_incidents.memory_leak.memory_leak", True),
        ("memory_leak", "another.collection.memory_leak", False),
        ("ansible.builtin.debug", "ansible.builtin.debug", False),
    ],
)
def test_a_task_is_recognised_by_its_resolved_action(action: str, resolved: str | None, own: bool) -> None:
    assert contract.is_own_action(SimpleNamespace(action=action, resolved_action=resolved)) is own
