"""The program sent to a host, and the handling of its answer or of no answer."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from helpers.definitions import DEFINITION
from helpers.interpreters import PYTHONS, VERSIONS
from helpers.project import ROLE
from memory_leak_controller import transport
from memory_leak_controller.contract import Request

LIBRARY = transport.library(ROLE)
REQUEST: Request = {
    "operation": "status",
    "check": False,
    "definition": DEFINITION,
    "source": "",
    "install_locations": [],
    "observe_s": 0,
}


def check_answer(python: str, library: str) -> None:
    """Check that a Python interpreter runs the program and returns one result."""
    command = [python, "-I", "-S", "-"]
    done = subprocess.run(command, input=transport.program(library, REQUEST), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    result = transport.result("motd\n" + done.stdout.decode())
    assert result
    if not os.path.isdir("/run/systemd/system") or os.geteuid() != 0:  # noqa: PTH112
        assert (result["outcome"], result["failed"]) == ("failed", True)
        assert "root" in result["message"] or "systemd" in result["message"]


@pytest.mark.parametrize("version", VERSIONS)
def test_program_runs_from_stdin_and_answers_with_one_result(version: str) -> None:
    check_answer(PYTHONS[version], LIBRARY)


def test_the_same_python_version_runs_bytecode_and_another_the_source() -> None:
    compiled, sources = re.findall(r"unpacked\((b'[^']*')\)", LIBRARY)
    own_magic, other_magic = repr(importlib.util.MAGIC_NUMBER), repr(b"another")
    check_answer(sys.executable, LIBRARY.replace(sources, "b''"))
    check_answer(sys.executable, LIBRARY.replace(compiled, "b''").replace(own_magic, other_magic))
    with pytest.raises(AssertionError, match=r"zlib\.error"):
        check_answer(sys.executable, LIBRARY.replace(compiled, "b''"))


def test_an_old_python_is_reported_in_one_line() -> None:
    program = transport.program(LIBRARY, REQUEST).decode()
    old = "import sys; sys.version_info = (3, 6, 9); exec(sys.stdin.read())"
    done = subprocess.run([sys.executable, "-c", old], input=program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "this is Python 3.6, and 3.9 or newer is needed\n")


def test_a_missing_or_truncated_result_is_none() -> None:
    assert transport.result("python3: not found\n") is None
    assert transport.result(transport.RESULT_MARK + "{'outcome': 'runn") is None


@pytest.mark.parametrize("answer", ["[]", "{'outcome': 'fine'}", "{'outcome': 'running', 'workload': 7}", "7"])
def test_an_answer_that_violates_the_contract_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError, match="does not fit the contract: "):
        transport.result(f"{transport.RESULT_MARK}{answer}\n")


def test_text_in_an_answer_is_escaped() -> None:
    fields = {"outcome": "absent", "failed": False, "changed": False, "changes": ["remove \x1b[2J"], "warnings": []}
    result = transport.result(transport.RESULT_MARK + ascii({**fields, "message": "caf\udce9\n"}))
    assert result
    assert (result["message"], result["changes"]) == (r"caf\udce9\n", [r"remove \x1b[2J"])


class Action:
    """An action whose host answers late. Like a connection with retries, it swallows every Exception."""

    _connection = type("Connection", (), {"has_pipelining": True})

    def __init__(self, answers_after_s: float):
        self._answers_at = time.monotonic() + answers_after_s

    def _low_level_execute_command(self, command: str, **_options: Any) -> dict[str, Any]:
        while time.monotonic() < self._answers_at:
            with contextlib.suppress(Exception):
                time.sleep(self._answers_at - time.monotonic())
        return {"rc": 0, "stdout": command, "stderr": ""}


def test_a_host_that_does_not_answer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT_S", 0.2)
    handler = signal.getsignal(signal.SIGALRM)
    with pytest.raises(AnsibleConnectionFailure, match="no answer in 1 s"):
        transport.ask(Action(20), b"", {}, observe_s=0.5)
    assert transport.ask(Action(0.3), b"", {}, observe_s=0.5)["stdout"] == "/usr/bin/python3 -I -S -"  # type: ignore[index]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is handler


def test_the_timeout_of_a_task_is_preserved() -> None:
    def ring(_signal: int, _frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(100)
    try:
        transport.ask(Action(0), b"", {})
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
        assert signal.getsignal(signal.SIGALRM) is ring
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
