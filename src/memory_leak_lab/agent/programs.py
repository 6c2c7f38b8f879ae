"""The programs that the tools send to hosts, and what comes back.

A program is one of on_host's modules with a call at its end. It answers with a Python literal in one line, since a host would
spend longer on importing json than on the rest.
"""

from __future__ import annotations

import ast
from importlib import resources
from typing import Any

from memory_leak_lab.agent.hosts import Answer, HostError

# Login scripts and sudo may print before: the line with the answer starts with this.
MARK = "answer: "
CALL = """
print("\\n{mark}" + ascii({function}(**{arguments!a})), flush=True)
os._exit(0)
"""


def program(module: str, function: str, **arguments: Any) -> bytes:
    """Return a program, in ASCII, that calls a function of one of on_host's modules and prints what it returns."""
    source = (resources.files("memory_leak_lab.agent.on_host") / f"{module}.py").read_text()
    return (source + CALL.format(mark=MARK, function=function, arguments=arguments)).encode("ascii")


def returned(host: str, answer: Answer) -> Any:
    """Return what the function returned. Raises HostError where the program did not get that far."""
    line = next((line for line in reversed(answer.stdout.split("\n")) if line.startswith(MARK)), None)
    try:
        return ast.literal_eval((line or "").removeprefix(MARK))
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):  # none, cut short, or no literal
        raise HostError(
            f"{host} ran the tool, but gave no answer (exit status {answer.status}): either what ran there ended it, or the "
            "host lacks what it needs, such as python3 or free memory"
        ) from None
