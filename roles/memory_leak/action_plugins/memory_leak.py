"""Action plugin: setup, reset, cleanup or status of the memory leak on one host, in one round trip.

It validates the role's variables here, sends one Python program over stdin to the host's own interpreter in a single
command of the connection, and reads one JSON result back. Nothing is written to the host but what the operation asks for.
`ansible-doc -M roles/memory_leak/library memory_leak` shows its options and what it returns.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

ROLE = Path(__file__).resolve().parent.parent
sys.path.append(str(ROLE))

from memory_leak_controller import measurement, payload, realism, validation  # noqa: E402

OPERATIONS = ("setup", "reset", "cleanup", "status")

# Ansible forks a worker for each host after it has loaded this module: what is read here is read once for all hosts.
SPEC = validation.argument_spec(ROLE)
LIBRARY = payload.library(ROLE)
SOURCE = (ROLE / "files" / "workload.py").read_text()
# A worker's garbage collector leaves alone what was made before the fork, so those pages need not be copied.
gc.freeze()


class ActionModule(ActionBase):
    """Carries one operation of the role out on one host."""

    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the host's result record, `failed` with a message where the operation did not succeed."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        operation = self._task.args.get("operation")
        if operation not in OPERATIONS or len(self._task.args) > 1:
            return _refused(f"the arguments are {self._task.args!r}: there must be one, operation, of {OPERATIONS}")
        errors = validation.unknown_variables(task_vars, SPEC)
        values = {name: self._templar.template(task_vars[name]) for name in SPEC if name in task_vars}
        definition, settings, bad_values = validation.validate(SPEC, values)
        if errors or bad_values:
            return _refused("; ".join([*errors, *bad_values]))
        host = str(task_vars["inventory_hostname"])
        definition, part = realism.apply(definition, settings, host, task_vars["groups"].get("memory_leak", [host]))
        measured = operation != "cleanup" and not self._task.check_mode
        request = {
            "operation": operation,
            "check": self._task.check_mode,
            "definition": definition,
            "source": SOURCE,
            "places": realism.PLACES,
            "observe_s": settings["observe_s"] if measured else 0,
        }
        result = self._ask_host(request, task_vars)
        result["part"] = part
        result["as_promised"] = result["outcome"] == ("leaking" if part == "leaker" else "plateaued")
        if measured and settings["verify"] and not result["as_promised"]:
            result["failed"] = True
        return result

    def _ask_host(self, request: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = payload.ask(self, payload.program(LIBRARY, request), task_vars, request["observe_s"])
        if isinstance(answer, str):
            return _failed(answer)
        result = payload.result(answer["stdout"])
        if result is None:
            said = (answer["stderr"] or answer["stdout"]).strip()
            python = payload.interpreter(task_vars)
            return _failed(f"{python} gave no result on this host (status {answer['rc']}): {said}")
        before, after = result.pop("before"), result.pop("after")
        if self._task.diff:
            result["diff"] = {"before": _as_text(before), "after": _as_text(after)}
        result["msg"] = result.pop("message")
        if not result["warnings"]:
            del result["warnings"]
        observation = result.pop("observation")
        if observation:
            measured = measurement.measure(observation, request["definition"]["rate_mib_per_min"])
            reason = measured.pop("reason")
            # Where it has ended meanwhile, how it did is the outcome.
            if result["outcome"] != "running":
                measured.pop("outcome", None)
            result.update(measured, msg="; ".join(filter(None, (reason, result["msg"]))))
        return {**measurement.UNMEASURED, **result}


def _as_text(definition: dict[str, Any] | None) -> str:
    return yaml.safe_dump(definition) if definition else ""


def _refused(message: str) -> dict[str, Any]:
    return {"failed": True, "changed": False, "outcome": "refused", "changes": [], "msg": message}


def _failed(message: str) -> dict[str, Any]:
    return {"failed": True, "changed": False, "outcome": "failed", "changes": [], "msg": message}
