"""The Python program that goes to a host over stdin: the host program's modules and a request; one line comes back.

Request and result travel as Python literals, since a host would spend longer on importing json than on the rest of its imports.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from ansible import constants

MODULES = (
    "commands",
    "lock",
    "paths",
    "processes",
    "units",
    "observation",
    "sampling",
    "plan",
    "operations",
)  # in the order of their imports
# Login scripts and sudo may print before us: the line with the result starts with this.
RESULT_MARK = "memory-leak-result: "

LIBRARY = """\
import sys
if sys.version_info < (3, 9):
    sys.exit("this is Python %d.%d, and 3.9 or newer is needed" % sys.version_info[:2])
import types
modules = {modules!r}
package = sys.modules["host_program"] = types.ModuleType("host_program")
for name, source in modules:
    module = sys.modules["host_program." + name] = types.ModuleType("host_program." + name)
    setattr(package, name, module)
    exec(compile(source, "host_program/" + name + ".py", "exec"), module.__dict__)
"""
OPERATION = """\
print("\\n{mark}" + ascii(package.operations.run({request!a})))
"""


def library(role: Path) -> str:
    """Return the part of the program that is the same for every request: the host program's modules."""
    modules = [(name, (role / "host_program" / f"{name}.py").read_text()) for name in MODULES]
    return LIBRARY.format(modules=modules)


def program(library: str, request: dict[str, Any]) -> bytes:
    """Return the program, in ASCII, that carries a request out on a host."""
    return (library + OPERATION.format(mark=RESULT_MARK, request=request)).encode("ascii")


def ask(action: Any, program: bytes, task_vars: dict[str, Any]) -> dict[str, Any] | str:
    """Run a program with the host's Python in one command of an action's connection; return `rc`, `stdout` and `stderr`.

    Returns a message in place of it where the connection can't do that.
    """
    if not action._connection.has_pipelining:
        transport = action._connection.transport
        return f"the connection plugin {transport} can't send data to a command: use ssh or local"
    # -I and -S: nothing of the host's environment or site-packages takes part, and it starts faster.
    command = f"{interpreter(task_vars)} -I -S -"
    answer: dict[str, Any] = action._low_level_execute_command(command, in_data=program, sudoable=True)
    return answer


def interpreter(task_vars: dict[str, Any]) -> str:
    """Return the host's Python: the one set in the inventory or ansible.cfg, never a discovered one."""
    python = str(task_vars.get("ansible_python_interpreter") or constants.config.get_config_value("INTERPRETER_PYTHON"))
    return python if python.startswith("/") else "/usr/bin/python3"


def result(output: str) -> dict[str, Any] | None:
    """Return the result found in what a host printed, or None if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith(RESULT_MARK):
            try:
                found: dict[str, Any] = ast.literal_eval(line.removeprefix(RESULT_MARK))
            except (SyntaxError, ValueError):  # cut short
                return None
            return found
    return None
