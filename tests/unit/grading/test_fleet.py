"""Split a fleet diagnosis by host."""

from __future__ import annotations

import pytest

from memory_leak_lab.grading import fleet

HOSTS = ["cache1", "db1", "web1", "web2"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web1 leaks. db1 does not.", {"web1": "web1 leaks.", "db1": "db1 does not.", "web2": ""}),
        ("All leak.", {"web1": "All leak.", "db1": "All leak."}),
        ("- web1: PID 5\n- web2: PID 6", {"web1": "web1: PID 5", "web2": "web2: PID 6", "db1": ""}),
        ("my-web1 leaks, and my.web1 too.", {"web2": "my-web1 leaks, and my.web1 too."}),
        ("web10 leaks, and so does web1.example.", {"web1": "web10 leaks, and so does web1.example."}),
        ("# db1\nFlat.\n# Sum\nDone.", {"web1": "# Sum\n\nDone.", "db1": "# db1\n\nFlat.\n\n# Sum\n\nDone."}),
        ("|t|RSS|\n|---|---|\n|1|2 MB|\n\ndb1 too.", {"web1": "|t|RSS|\n|1|2 MB|", "db1": "|t|RSS|\n|1|2 MB|\n\ndb1 too."}),
    ],
)  # fmt: skip
def test_part_about_a_host(text: str, parts: dict[str, str]) -> None:
    found = fleet.parts(HOSTS, text)
    assert {host: found[host] for host in parts} == parts
