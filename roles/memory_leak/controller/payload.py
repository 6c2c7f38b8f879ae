"""The Python program that goes to a host over stdin: the host program's modules, a request, and one line of JSON back."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

MODULES = ("paths", "processes", "units", "observation", "plan", "operations")  # in the order of their imports
# Login scripts and sudo may print before us: the line with the result starts with this.
RESULT_MARK = "memory-leak-result: "

PROGRAM = """\
import sys, types
modules = {modules!r}
package = sys.modules["host_program"] = types.ModuleType("host_program")
for name, source in modules:
    module = sys.modules["host_program." + name] = types.ModuleType("host_program." + name)
    setattr(package, name, module)
    exec(compile(source, "host_program/" + name + ".py", "exec"), module.__dict__)
import json
result = package.operations.run(json.loads({request!a}))
print("\\n" + {mark!r} + json.dumps(result))
"""


@cache
def _modules(role: Path) -> list[tuple[str, str]]:
    return [(name, (role / "host_program" / f"{name}.py").read_text()) for name in MODULES]


def program(role: Path, request: dict[str, Any]) -> bytes:
    """Return the program, in ASCII, that carries a request out on a host."""
    return PROGRAM.format(modules=_modules(role), request=json.dumps(request), mark=RESULT_MARK).encode("ascii")


def result(output: str) -> dict[str, Any] | None:
    """Return the result found in what a host printed, or None if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith(RESULT_MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(RESULT_MARK))
            return found
    return None
