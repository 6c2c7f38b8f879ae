"""Action plugin: setup, reset, cleanup or status of the memory leak on one host, in one round trip.

It validates the role's variables, sends one Python program over stdin to the host's interpreter in a single command of the
connection, and reads one result back. It writes only what the operation needs to the host.
`ansible-doc -M roles/memory_leak/library memory_leak` shows its options and return values.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any, cast

import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

ROLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROLE))

import memory_leak_controller  # noqa: E402

memory_leak_controller.require_own_copy(ROLE)
from memory_leak_controller import assignment, contract, measurement, report, schema, transport, validation, variables  # noqa: E402
from memory_leak_controller.contract import EXPECTED_OUTCOME, OPERATIONS, Request, Variant  # noqa: E402
from memory_leak_controller.escaping import LONGEST_MESSAGE, printable  # noqa: E402
from memory_leak_controller.parsing import PREFIX  # noqa: E402
from memory_leak_controller.report import records  # noqa: E402

sys.path.remove(str(ROLE))

UNKNOWN_VARIANT = (
    "this controller has no record of the host's setup: set memory_leak_variant, or the setup's percentages and seed"
)
# Ansible loads this module before it forks a worker per host: these are read once for all hosts.
LIBRARY = transport.library(ROLE)
SOURCE = (ROLE / "files" / "workload.py").read_text()
# Callbacks are loaded earlier, so this warning appears once and costs no time per host.
if not report.callback_file:
    Display().warning(report.NOT_ENABLED)
# Workers' garbage collectors skip the objects created before the fork, so those pages need not be copied.
gc.freeze()


class ActionModule(ActionBase):
    """Executes one operation of the role on one host."""

    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a contract.ActionResult, `failed` with a message if the operation did not succeed."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        operation = self._task.args.get("operation")
        if operation not in OPERATIONS or len(self._task.args) > 1:
            return _failure(
                "refused", f"the arguments are {self._task.args!r}: the only one must be operation, one of {OPERATIONS}"
            )
        if self._task.delegate_to not in (None, task_vars["inventory_hostname"]):
            return _failure("refused", f"delegate_to is {self._task.delegate_to!r}: run the role on the host itself")
        errors = variables.unknown(task_vars)
        values, bad_templates = self._template(task_vars)
        errors += bad_templates
        definition, settings, bad_values = validation.validate(validation.DEFAULTS | values if errors else values)
        if errors or bad_values:
            return _failure("refused", "; ".join([*errors, *bad_values]))
        host = str(task_vars["inventory_hostname"])
        try:
            recorded = _recorded(operation, settings, host)
        except OSError as error:
            return _failure("refused", f"{PREFIX}ground_truth_dir is {settings['ground_truth_dir']!r}: {error}")
        variant = _variant(operation, settings, host, recorded)
        assigned = assignment.apply(definition, settings, host, variant or "leaker")
        may_measure = operation != "cleanup" and not self._task.check_mode
        request: Request = {
            "operation": operation,
            "check": self._task.check_mode,
            "definition": assigned,
            "source": SOURCE,
            "install_locations": assignment.INSTALL_LOCATIONS,
            "observe_s": settings["observe_s"] if may_measure else 0,
        }
        target_rate = assigned["target_rate_mib_per_min"]
        if operation == "status" and recorded and recorded.target_rate_mib_per_min:
            target_rate = recorded.target_rate_mib_per_min  # that of the setup, which may have had other variables
        found = self._ask_host(request, target_rate, variant, task_vars)
        if operation in ("setup", "reset") and found["pid"] is not None:
            found["target_rate_mib_per_min"] = target_rate  # as started, whatever the host answers
        found["variant"] = variant
        found["as_expected"] = None
        found["ground_truth_dir"] = settings["ground_truth_dir"]
        if request["observe_s"] and variant:
            found["as_expected"] = found["outcome"] == EXPECTED_OUTCOME[variant]
        if may_measure and settings["verify"] and not found["as_expected"]:
            found["failed"] = True
            found["msg"] = "; ".join(filter(None, [found["msg"], None if variant else UNKNOWN_VARIANT]))
        return found

    def _template(self, task_vars: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the values of the role's variables, and a message for each that can't be templated."""
        values, errors = {}, []
        for name in validation.DEFAULTS.keys() & task_vars.keys():
            try:
                values[name] = self._templar.template(task_vars[name])
            except Exception as error:  # a template may raise anything
                errors.append(f"{name} is {validation.shown(task_vars[name])}: {error}")
        return values, errors

    def _ask_host(
        self, request: Request, target_rate: float, variant: Variant | None, task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        answer = transport.ask(self, transport.program(LIBRARY, request), task_vars, request["observe_s"])
        if isinstance(answer, str):
            return _failure("failed", answer)
        try:
            result = transport.result(answer["stdout"])
        except ValueError as error:
            return _failure("failed", str(error))
        if result is None:
            said = printable((answer["stderr"] or answer["stdout"]).strip(), LONGEST_MESSAGE)
            python = transport.interpreter(self, task_vars)
            return _failure("failed", f"{python} returned no result on this host (exit status {answer['rc']}): {said}")
        found: dict[str, Any] = {**schema.empty(contract.Measurement), **result, **result["workload"]}
        del found["workload"]
        before, after = found.pop("before"), found.pop("after")
        if self._task.diff:
            found["diff"] = {"before": _as_text(before), "after": _as_text(after)}
        messages = [found.pop("message")]
        if self._task.check_mode and found["changes"]:
            messages.append(f"would {', '.join(found['changes'])}")
        if not found["warnings"]:
            del found["warnings"]
        observation = found.pop("observation")
        try:
            measured = observation and measurement.measure(observation, target_rate)
        except ValueError as error:
            return _failure("failed", f"the host's answer does not fit the contract: {error}")
        if measured:
            message = measured.pop("message")
            if variant and measured.get("outcome") == EXPECTED_OUTCOME[variant] == "plateaued":
                message = f"as expected of this host, RSS is flat ({measured['rate_mib_per_min']:+.2f} MiB/min)"
            messages.insert(0, message)
            # If it exited in the meantime, keep the outcome that says how.
            if found["outcome"] != "running":
                measured.pop("outcome", None)
            found.update(measured)
        found["msg"] = "; ".join(filter(None, messages))
        return found


def _recorded(operation: str, settings: dict[str, Any], host: str) -> records.RecordedSetup | None:
    """Return what the host's last setup recorded. Raises OSError if that is unreadable and a setup or reset needs it."""
    directory = records.base_directory(ROLE) / Path(settings["ground_truth_dir"]).expanduser()
    try:
        return records.recorded_setup(directory, host)
    except OSError:
        if operation in ("setup", "reset"):
            raise
        return None  # the report says so, when it can't be written


def _variant(
    operation: str, settings: dict[str, Any], host: str, recorded: records.RecordedSetup | None
) -> Variant | None:
    """Return the variant of a host: assigned by setup or reset, later as recorded; None if it is unknown."""
    recorded_variant = recorded.variant if recorded else None
    if operation in ("setup", "reset"):
        decided = settings["variant"] or assignment.dealt(settings, host) or recorded_variant or "leaker"
        return cast(Variant, decided)
    return assignment.variant(settings, host, recorded_variant)


def _as_text(definition: dict[str, Any] | None) -> str:
    return yaml.safe_dump(definition) if definition else ""


def _failure(outcome: str, message: str) -> dict[str, Any]:
    return {
        **schema.empty(contract.HostState),
        **schema.empty(contract.Measurement),
        **{"failed": True, "changed": False, "outcome": outcome, "changes": [], "msg": message},
    }
