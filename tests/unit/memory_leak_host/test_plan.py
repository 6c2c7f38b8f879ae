"""Refusals before anything is changed."""

from __future__ import annotations

import pwd
import subprocess
from typing import Any

import pytest

from helpers import definitions
from memory_leak_host import observation, plan

MIB = 1024**2


DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


@pytest.mark.parametrize(
    ("changes", "held_mib", "words"),
    [
        ({}, 0, []),
        ({"memory_max_bytes": 1400 * MIB}, 0, []),
        (
            {"memory_max_bytes": 1401 * MIB},
            0,
            ["memory_leak_memory_max", "1401 MiB", "1528 MiB", "of 2000", "500 MiB of swap"],
        ),
        ({"memory_max_bytes": 1401 * MIB}, 10, []),
        (
            {"target_rate_mib_per_min": 4.0},
            0,
            ["memory_leak_rate_mib_per_min (4)", "256.0 min", "memory_leak_runtime_max", "240.0 min"],
        ),
        ({"runtime_max_s": 600}, 0, ["34.1 min", "10.0 min"]),
        ({"runtime_max_s": 600, "target_rate_mib_per_min": 103.0}, 0, []),
    ],
)
def test_insufficient_capacity_is_reported(changes: dict[str, Any], held_mib: int, words: list[str]) -> None:
    available = {"MemTotal": 2000 * MIB, "MemAvailable": 1528 * MIB, "SwapTotal": 500 * MIB}
    problem = plan.capacity_problem(definitions.default(**changes), available, held_mib * MIB)
    assert (problem is None) == (not words)
    assert [word for word in words if word not in str(problem)] == []


def test_a_unit_named_like_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "capacity_problem", lambda *_: None)
    host = observation.Host(definitions.default(unit="backup.service", directory="/srv/of-nobody"), [], b"")
    with pytest.raises(plan.Refused, match="memory_leak_unit is backup, which is an account of this host"):
        plan.refuse_or_fail(host, b"")


def test_the_dynamic_user_of_the_managed_unit_is_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """libnss-systemd shows it as one while the unit runs."""
    for user, expected in ((61999, False), (1000, True)):
        account = pwd.struct_passwd(("memory-leak", "x", user, user, "", "/", "/usr/sbin/nologin"))
        monkeypatch.setattr(pwd, "getpwnam", lambda _name, account=account: account)
        assert plan.has_account("memory-leak", unless_dynamic=True) is expected
        assert plan.has_account("memory-leak")
    monkeypatch.undo()
    assert plan.has_account("shadow")  # a group without a user
