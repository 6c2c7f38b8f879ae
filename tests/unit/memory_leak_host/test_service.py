"""Convert definitions to units and back."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from helpers import definitions
from helpers.definitions import DEFINITION
from memory_leak_host import service

UNIT_FILE = """\
[Service]
StandardOutput=append:/tmp/memory-leak.log
ExecStopPostEx=
ExecStopPostEx=+"/bin/rm" "-f" "/tmp/memory-leak.pid"
MemoryMax=1073741824
RuntimeMaxSec=4h
Environment="SESSION_CACHE_BUILD=01234567"
ExecStart=
ExecStart="/usr/bin/python3" "/mcp/scenarios/memory-leak/workload.py" "--ingest-mib-per-min" "30"
"""


DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


@pytest.mark.parametrize(
    ("span", "expected"), [("4h", 14400), ("1d 2h 30min", 95400), ("90s", 90), ("1w", 604800), ("", 0)]
)
def test_systemd_time_spans(span: str, expected: int) -> None:
    assert service.seconds(span) == expected


def test_a_unit_file_is_parsed_into_its_definition() -> None:
    assert service.parse("memory-leak.service", UNIT_FILE) == {**DEFINITION, "build": "01234567"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SESSION_CACHE_BUILD=01234567", "SESSION_CACHE_BUILD=0123456789"),
        ("SESSION_CACHE_BUILD=01234567", "SESSION_CACHE_BUILD=0123456g"),
        ("SESSION_CACHE_BUILD=01234567", "X=SESSION_CACHE_BUILD=01234567"),
        ("SESSION_CACHE_BUILD=01234567", "OTHER_BUILD=01234567"),
        ('Environment="SESSION_CACHE_BUILD=01234567"', 'Environment="SESSION_CACHE_BUILD=01234567"\nEnvironment="A=1"'),
        ('"SESSION_CACHE_BUILD=01234567"', '"SESSION_CACHE_BUILD=01234567" "OTHER=1"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "nan"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--max-sessions" "many"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--max-sessions"'),
        ('"--ingest-mib-per-min" "30"', '"--ingest-mib-per-min" "30" "--surprise" "1"'),
        ('"--ingest-mib-per-min" "30"', ""),
        ('"/mcp/scenarios/memory-leak/workload.py"', '"find.sh"'),
        ('"/usr/bin/python3"', "/usr/bin/python3"),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '"/bin/rm" "-f" "/tmp/memory-leak.pid"'),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '+"/bin/rm" "-rf" "/tmp/memory-leak.pid"'),
        ('+"/bin/rm" "-f" "/tmp/memory-leak.pid"', '+"/bin/rm" "-f" "/etc/passwd" "/tmp/memory-leak.pid"'),
        ("append:/tmp/memory-leak.log", "journal"),
        ("append:/tmp/memory-leak.log", "append:etc/passwd"),
        ("ExecStart=", "ExecReload="),
    ],
)  # fmt: skip
def test_a_unit_of_another_form_is_not_recognised(old: str, new: str) -> None:
    assert old in UNIT_FILE
    assert service.parse("memory-leak.service", UNIT_FILE.replace(old, new)) is None


@pytest.mark.parametrize("name", ["user", ""])
def test_a_named_users_shared_memory_is_kept(name: str) -> None:
    settings = service.properties(definitions.default(user=name))
    assert ("RemoveIPC=yes" in settings) is (name == "")
    assert ("DynamicUser=yes" in settings) is (name == "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_rate_mib_per_min", 31.0),
        ("memory_max_bytes", None),
        ("runtime_max_s", 60),
        ("user", "x"),
        ("log_file", "/tmp/x"),
    ],
)
def test_build_changes_with_every_part_of_the_definition(name: str, value: Any) -> None:
    assert service.build(definitions.default(**{name: value}), b"source") != service.build(DEFINITION, b"source")


def test_build_changes_with_the_source() -> None:
    assert service.build(DEFINITION, b"other") != service.build(DEFINITION, b"source")


@pytest.mark.parametrize("user", ["", "nobody"])
def test_the_hostname_is_protected_only_for_a_named_user(user: str) -> None:
    properties = service.properties(definitions.default(user=user))
    assert "ProcSubset=pid" in properties
    assert ("ProtectHostname=yes" in properties) is ("ProtectKernelTunables=yes" in properties) is bool(user)
