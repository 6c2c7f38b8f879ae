"""Action plugin: one look at a host, in one round trip, by a program sent over stdin to the host's own python3."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

ROLE = Path(__file__).resolve().parent.parent
sys.path.append(str(ROLE.parent / "memory_leak"))

from memory_leak_controller import payload  # noqa: E402

PROGRAM = (ROLE / "files" / "look.py").read_text()


class ActionModule(ActionBase):
    """Looks at one host; nothing is written there, not even a temporary file."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `look`, or `failed` with a message where the host gave none."""
        super().run(tmp, task_vars)
        since = self._task.args.get("since")
        # As JSON in a Python literal: JSON's own null and true are no Python.
        call = "look()" if since is None else f"look(json.loads({json.dumps(since)!a}))"
        answer = payload.ask(self, f"{PROGRAM}\n{call}\n".encode("ascii"), task_vars or {})
        if isinstance(answer, str):
            return {"failed": True, "msg": answer}
        try:
            return {"changed": False, "look": json.loads(answer["stdout"].splitlines()[-1])}
        except (IndexError, ValueError):
            said = (answer["stderr"] or answer["stdout"]).strip()
            return {"failed": True, "msg": f"the host's python3 gave no look (status {answer['rc']}): {said}"}
