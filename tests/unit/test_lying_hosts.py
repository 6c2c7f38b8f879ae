"""A malformed answer from one host does not affect the reports on the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.stub_hosts import StubHosts, answer, observation
from memory_leak_controller.transport import RESULT_MARK

OBSERVE = ("-e", "memory_leak_observe_seconds=60")
BACKWARDS = observation()
BACKWARDS["samples"][-1] = [1e-300, 1.0, 1.0, 9e18]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("times that do not ascend", answer(observation=BACKWARDS)),
        ("samples without sizes", answer(observation=observation(samples=[[1.0], [2.0]], ended=True))),
        ("a huge list", RESULT_MARK + "[" + "1," * 1_000_000 + "]"),
        ("a year that no calendar knows", answer({"started_at": "9999-12-31T23:59:59Z"})),
        ("a tiny rate", answer({"target_rate_mib_per_min": 5e-324})),
        ("an unknown outcome", answer(outcome="fine")),
        ("nested lists", RESULT_MARK + "[" * 50_000),
    ],
)
def test_a_malformed_answer_fails_that_host_alone(tmp_path: Path, name: str, given: Any) -> None:
    hosts = StubHosts(tmp_path, {"good": answer(observation=observation()), "bad": given})
    status, output = hosts.run("status", *OBSERVE, "-e", "memory_leak_variant=leaker")
    assert status == 2, (name, output)
    assert {host: record["outcome"] for host, record in hosts.status().items()} == {"good": "leaking", "bad": "failed"}
    assert hosts.truth("good") == [("observation", "leaker")]
    for file in ("status.csv", "report.html"):
        assert "good" in (tmp_path / "r" / file).read_text()
