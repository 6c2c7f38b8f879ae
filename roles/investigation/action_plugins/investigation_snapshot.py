"""Action plugin: takes a snapshot of a host in one round trip, by sending a program to the host's python3 over stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

ROLE = Path(__file__).resolve().parent.parent
MEMORY_LEAK = ROLE.parent / "memory_leak"
sys.path.insert(0, str(MEMORY_LEAK))

import memory_leak_controller  # noqa: E402

memory_leak_controller.require_own_copy(MEMORY_LEAK)
from memory_leak_controller import transport, variables  # noqa: E402
from memory_leak_controller.escaping import LONGEST_MESSAGE, printable  # noqa: E402

sys.path.remove(str(MEMORY_LEAK))

LONGEST_SNAPSHOT = 1 << 24  # characters
DEEPEST = 20  # levels of lists and dictionaries, which later go through Jinja and JSON
PROGRAM = transport.library(MEMORY_LEAK, ("proc", "owner_access")) + (ROLE / "files" / "host_snapshot.py").read_text()


class ActionModule(ActionBase):
    """Inspects one host without writing anything there, not even a temporary file."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `snapshot`, or `failed` with a message if the host printed none."""
        super().run(tmp, task_vars)
        since = self._task.args.get("since")
        # This role uses some variables of the role memory_leak, so misspelt ones are an error here, too.
        unknown = variables.unknown(task_vars or {})
        if unknown:
            return {"failed": True, "msg": "; ".join(unknown)}
        # JSON in a Python string: JSON's null and true are not Python.
        call = "snapshot()" if since is None else f"snapshot(json.loads({json.dumps(since)!a}))"
        answer = transport.ask(self, f"{PROGRAM}\n{call}\n".encode("ascii"), task_vars or {})
        if isinstance(answer, str):
            return {"failed": True, "msg": answer}
        try:
            return {"changed": False, "snapshot": _snapshot_in(answer["stdout"])}
        except (IndexError, ValueError, RecursionError) as error:
            said = (answer["stderr"] or answer["stdout"]).strip()
            message = f"inspection failed ({error}): the host's python3 exited with status {answer['rc']}: {said}"
            return {"failed": True, "msg": printable(message, LONGEST_MESSAGE)}


def _snapshot_in(output: str) -> dict[str, Any]:
    """Return the snapshot that a host printed. Raises ValueError, IndexError or RecursionError if it printed none."""
    line = output.splitlines()[-1]
    if len(line) > LONGEST_SNAPSHOT:
        raise ValueError(f"the output has {len(line)} characters; the limit is {LONGEST_SNAPSHOT}")
    found = json.loads(line)
    if not isinstance(found, dict) or not isinstance(found.get("processes"), dict) or _depth(found) > DEEPEST:
        raise ValueError("the output is not a snapshot")
    return found


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
