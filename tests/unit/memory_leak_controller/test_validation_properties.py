"""Property tests: every value of every variable is refused with a complete message or reaches the host unchanged."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.project import PROJECT
from memory_leak_controller import assignment, transport, validation, variables
from memory_leak_controller.contract import Definition, Request
from memory_leak_host import service

DEFAULTS = validation.DEFAULTS
HOSTILE = (
    *(
        "",
        " ",
        "\n",
        "\0",
        "a\nb",
        "..",
        "../..",
        "/",
        "//",
        "/..",
        "/tmp/..",
        "/tmp/../etc/x",
        "/tmp/x/",
        "./x",
        "~root/x",
    ),
    *(
        "$(id)",
        "`id`",
        "; id",
        "| id",
        "&& id",
        "a b",
        "'",
        '"',
        "\\",
        "%n",
        "%%",
        "${PATH}",
        "*",
        "?",
        "[a]",
        "#",
        "!",
        "-rf",
    ),
    *("{{ 7 * 7 }}", "{% raw %}", "{{ lookup('pipe', 'id') }}", "ünïcode", "٣", "\u202e", "\ud800", "\uff11\uff27"),
    *(
        "/etc/passwd",
        "/usr/bin/x",
        "/proc/self/x",
        "/dev/shm",
        "a/b",
        "x.timer",
        "x.service.service",
        "nan",
        "inf",
        "-0",
        "1e309",
    ),
)
VALUES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=300),
    st.text(alphabet="/._-abc09 %$;{}'\"\\\n", max_size=40),
    st.from_regex(r"(/[a-z.]{1,8}){1,6}", fullmatch=True),
    st.from_regex(r"[0-9]{1,12}[A-Za-z]{0,3}", fullmatch=True),
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.none(),
    st.booleans(),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@settings(max_examples=1500, deadline=None)
@given(name=st.sampled_from(sorted(DEFAULTS)), value=VALUES)
@example(name="memory_leak_log_file", value="/tmp/x\n")
@example(name="memory_leak_rate_mib_per_min", value=math.nan)
@example(name="memory_leak_unit", value="memory-leak.service\n")
@example(name="memory_leak_observe_seconds", value="inf")
@example(name="memory_leak_observe_seconds", value="1e999999999")
def test_a_value_is_refused_by_name_or_kept_unchanged(name: str, value: Any) -> None:
    definition, found, errors = validation.validate(DEFAULTS | {name: value})
    if errors:
        assert all(name in error for error in errors)
        assert any(repr(value)[:200] in error or str(value) in error for error in errors)
        assert re.search(r"must be|must differ|are both", errors[0])
        return
    check_definition(assignment.apply(definition, found, "host", "leaker"))


def check_definition(definition: Definition) -> None:
    """Check that a definition passes unchanged through a shell, systemd and the wire format."""
    assert 0.2 <= definition["target_rate_mib_per_min"] <= 6000
    assert definition["memory_max_bytes"] is None or 32 * 1024**2 <= definition["memory_max_bytes"] <= 1024**4
    assert 60 <= definition["runtime_max_s"] <= 7 * 86400
    assert definition["unit"].endswith(".service")
    values: dict[str, Any] = {**definition}
    texts = [str(values[key]) for key in ("unit", "user", "directory", "log_file", "pid_file", "workload_python")]
    for text in texts:
        assert text.isascii()
        assert shlex.quote(text) == text or not text  # needs no shell quoting
        assert not set(text) & set("%$\\\"'\n ")  # and no systemd escaping
    for key in ("directory", "log_file", "pid_file", "workload_python"):
        path = values[key]
        assert os.path.normpath(path) == path
        assert path.startswith("/")
        assert (
            path.count("/") == 1
            or not path.startswith(("/etc/", "/proc/", "/sys/", "/dev/", "/boot/"))
            or key == "workload_python"
        )
    assert service.parse(definition["unit"], unit_file(definition)) == {**definition, "build": "0123abcd"}
    request: Request = {
        "operation": "setup",
        "check": False,
        "definition": definition,
        "source": "",
        "install_locations": [],
        "observe_s": 0,
    }
    call = next(line for line in transport.program("", request).decode().splitlines() if line.startswith("print("))
    sent: list[Any] = []
    exec(call, {"package": _Package(sent)})  # noqa: S102 # the exact text that the host's Python runs
    assert sent == [request]


class _Package:
    """Stands in for the host program and records requests."""

    def __init__(self, sent: list[Any]):
        self.operations = self
        self._sent = sent

    def run(self, request: Any) -> None:
        """Record a request."""
        self._sent.append(request)


def unit_file(definition: Definition) -> str:
    """Return the unit file that systemd would write, limited to the lines that the role parses."""
    words = " ".join(f'"{word}"' for word in service.command(definition))
    user = definition["user"]
    lines = [
        f"ExecStart={words}",
        *(line for line in service.properties(definition) if not line.startswith("ExecStopPost")),
        f'ExecStopPostEx=+"/bin/rm" "-f" "{definition["pid_file"]}"',
        f'Environment="{service.MARKER}=0123abcd"',
    ]
    seconds = definition["runtime_max_s"]
    return "\n".join([*lines, f"RuntimeMaxSec={seconds}s", *([f"User={user}"] if user else [])])


@settings(max_examples=300, deadline=None)
@given(name=st.from_regex(r"memory_leak_[a-z_]{0,30}", fullmatch=True))
def test_an_unknown_name_is_an_error(name: str) -> None:
    errors = variables.unknown([name])
    assert bool(errors) is (name not in DEFAULTS)
    assert all(name in error for error in errors)


# Any text is valid for these. Paths on the controller are the user's choice.
ANY_TEXT = {"memory_leak_seed", "memory_leak_report_dir", "memory_leak_ground_truth_dir", "memory_leak_diagnoses_dir"}


def test_hostile_values_are_not_executed_by_ansible(tmp_path: Path) -> None:
    # One invalid value per host. With a local connection, a shell that ran it would create the mark file.
    mark = tmp_path / "mark"
    injections = [
        f"$(touch {mark})",
        f"`touch {mark}`",
        f"; touch {mark} #",
        f"' ; touch {mark} ; '",
        f'" ; touch {mark}',
        "a\nb",
    ]
    hosts = {
        f"{name}-{number}": {name: injection}
        for name in sorted(DEFAULTS.keys() - ANY_TEXT)
        for number, injection in enumerate(injections)
    }
    settings = {"ansible_connection": "local", "ansible_python_interpreter": "/bin/false"}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"memory_leak": {"hosts": hosts, "vars": settings}}))
    records = tmp_path / "records.json"
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(PROJECT / "setup.yml")],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "MEMORY_LEAK_RECORDS_FILE": str(records)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    found = {record["host"]: record for record in json.loads(records.read_text())}
    assert found.keys() == hosts.keys()
    assert {record["outcome"] for record in found.values()} == {"refused"}
    assert all(host.rpartition("-")[0] in record["message"] for host, record in found.items())
    assert not mark.exists()
