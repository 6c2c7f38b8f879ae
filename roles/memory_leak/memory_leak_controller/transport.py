"""Send a Python program to a host over stdin (the host program's modules and a request), and read one line back.

Request and result are Python literals: importing json would take a host longer than all its other imports. The modules are sent
as source and also compiled by the controller's Python: a host with the same minor version of Python need not compile them,
which would take two thirds of its time.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import marshal
import shlex
import signal
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ansible import constants
from ansible.errors import AnsibleConnectionFailure

from . import schema
from .contract import Request, Result, WorkloadState
from .escaping import printable, printable_values

MODULES = (
    "commands",
    "lock",
    "trust",
    "paths",
    "proc",
    "owner_access",
    "workload_interface",
    "records",
    "scripts",
    "processes",
    "service",
    "drop_ins",
    "units",
    "observation",
    "sampling",
    "plan",
    "operations",
)  # in import order
# Starts the line with the result: login scripts and sudo may print other lines before.
RESULT_MARK = "memory-leak-result: "
LONGEST_ANSWER = 1 << 19  # characters: a longer one takes seconds to parse
ANSWER_TIMEOUT_S = 210  # longer than any operation on a working host, and than its wait for another run

LIBRARY = """\
import sys
if sys.version_info < (3, 9):
    sys.exit("this is Python %d.%d, and 3.9 or newer is needed" % sys.version_info[:2])
import binascii, gc, marshal, os, types, zlib
gc.disable()
def unpacked(text):
    return marshal.loads(zlib.decompress(binascii.a2b_base64(text)))
# The bytecode version, as in .pyc files.
if sys.modules["_frozen_importlib_external"].MAGIC_NUMBER == {magic_number!r}:
    modules = unpacked({compiled!r})
else:
    modules = [(name, compile(source, name, "exec")) for name, source in unpacked({sources!r})]
package = sys.modules["memory_leak_host"] = types.ModuleType("memory_leak_host")
for name, code in modules:
    module = sys.modules["memory_leak_host." + name] = types.ModuleType("memory_leak_host." + name)
    setattr(package, name, module)
    exec(code, module.__dict__)
"""
# Exiting without cleanup saves a tenth of the time.
OPERATION = """\
print("\\n{mark}" + ascii(package.operations.run({request!a})), flush=True)
os._exit(0)
"""


def library(role: Path, modules: Sequence[str] = MODULES) -> str:
    """Return the part of the program that all requests share: the host program's modules, or some of them."""
    sources = [(name, (role / "memory_leak_host" / f"{name}.py").read_text()) for name in modules]
    compiled = [(name, compile(source, name, "exec", dont_inherit=True)) for name, source in sources]
    return LIBRARY.format(
        magic_number=importlib.util.MAGIC_NUMBER,
        # Only the same Python version reads the code objects, so they use its own format: those of 3.14 contain slices,
        # which older formats lack. Every Python reads text in version 2.
        compiled=_packed(compiled, marshal.version),
        sources=_packed(sources, 2),
    )


def _packed(modules: list[tuple[str, Any]], version: int) -> bytes:
    return base64.b64encode(zlib.compress(marshal.dumps(modules, version), level=1))


def program(library: str, request: Request) -> bytes:
    """Return the program, in ASCII, that executes a request on a host."""
    return (library + OPERATION.format(mark=RESULT_MARK, request=request)).encode("ascii")


def ask(action: Any, program: bytes, task_vars: dict[str, Any], observe_s: float = 0) -> dict[str, Any] | str:
    """Run a program with the host's Python in one command of an action's connection; return `rc`, `stdout` and `stderr`.

    Returns an error message instead if the connection can't do that. Raises AnsibleConnectionFailure if there is no answer
    within ANSWER_TIMEOUT_S plus `observe_s`.
    """
    if not action._connection.has_pipelining:
        transport = action._connection.transport
        return f"the connection plugin {transport} can't send data to a command: use ssh or local"
    # -I and -S: ignore the host's environment and site-packages, and start faster.
    command = f"{shlex.quote(interpreter(action, task_vars))} -I -S -"
    timeout_s = ANSWER_TIMEOUT_S + observe_s
    try:
        with _alarm(timeout_s):
            answer: dict[str, Any] = action._low_level_execute_command(command, in_data=program, sudoable=True)
    except _Alarm:
        raise AnsibleConnectionFailure(f"no answer in {timeout_s:.0f} s") from None
    return answer


class _Alarm(BaseException):
    """Deadline expired. A BaseException, so that `except Exception` and a connection's retries cannot swallow it."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Alarm in the body after this time, unless an alarm is already set, for example by the `timeout` of a task.

    A task's `timeout` would do, but computing it from a variable takes Ansible a fifth of a worker's time.
    """

    def ring(_signal: int, _frame: Any) -> None:
        raise _Alarm

    if signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interpreter(action: Any, task_vars: dict[str, Any]) -> str:
    """Return the host's Python, as set in the inventory (possibly a template) or ansible.cfg, never a discovered one."""
    configured = task_vars.get("ansible_python_interpreter")
    python = str(
        action._templar.template(configured) if configured else constants.config.get_config_value("INTERPRETER_PYTHON")
    )
    return python if python.startswith("/") else "/usr/bin/python3"


def result(output: str) -> Result | None:
    """Return the result in a host's output, or None if there is none. Raises ValueError if it breaks the contract.

    Results are validated only here: a host may print anything.
    """
    line = next((line for line in reversed(output.splitlines()) if line.startswith(RESULT_MARK)), None)
    if line is None:
        return None
    if len(line) > LONGEST_ANSWER:
        raise ValueError(f"the host's answer has {len(line)} characters: at most {LONGEST_ANSWER} are allowed")
    try:
        found = ast.literal_eval(line.removeprefix(RESULT_MARK))
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # truncated, or not a literal
        return None
    if isinstance(found, dict):
        found = schema.empty(Result) | {"workload": {}} | found
        if isinstance(found["workload"], dict):
            found["workload"] = schema.empty(WorkloadState) | found["workload"]
    misfit = schema.misfit(found, Result)
    if misfit:
        raise ValueError(f"the host's answer does not fit the contract: {printable(misfit)}")
    return cast(Result, printable_values(found))
