"""Setup, reset, cleanup and status of the workload on this host.

`run` takes a request and returns a result, both plain dictionaries (Python literals on the wire).

Their fields are defined in contract.Request and contract.Result. A missing field is null.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # importing signal is slow
import os
import time

from memory_leak_host import lock, paths, plan, proc, sampling, service, trust, units
from memory_leak_host.observation import Host, describe
from memory_leak_host.plan import Failed, Refused

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from typing import Any

    from memory_leak_controller.contract import Request
    from memory_leak_host.plan import Step

    Found = dict[str, Any]  # the part of a contract.Result that is known so far


TIMEOUT_S = 200


def inspect(request: Request) -> Host:
    """Detect the role's units, processes and files."""
    return Host(request["definition"], request["install_locations"], request["source"].encode())


def check_privilege() -> None:
    """Raise Failed unless this runs as root on a host with systemd."""
    if os.geteuid() != 0:
        raise Failed("not root on this host: set ansible_become in the inventory, or run with -b")
    if not os.path.isdir("/run/systemd/system"):
        raise Failed("this host does not run systemd")


def operate(request: Request) -> Found:
    """Execute a request and return its result. Raises Refused or Failed."""
    check_privilege()
    result = operate_once(request)
    workload = result.get("workload", {})
    pid = workload.get("pid")
    if result["outcome"] == "running" and pid:
        if request["observe_s"]:
            wait_s = sampling.warm_up_s(pid) - workload["uptime_s"]
            if wait_s > sampling.MOST_WAIT_S:
                result["message"] = f"too early to measure: steady state in {wait_s:.0f} s"
                return result
            time.sleep(max(0, wait_s))
            result["observation"] = sampling.observe(pid, request["observe_s"])
            result.update(describe(inspect(request)))
        elif request["operation"] == "status":
            workload["requests_per_s"] = sampling.last_request_rate(pid)
    return result


def operate_once(request: Request) -> Found:
    """Execute a request, except the observation."""
    if request["operation"] == "status":
        return status(inspect(request))
    if request["check"]:
        return change(request)
    try:
        held = lock.acquire()
    except OSError as error:
        raise Failed(f"could not lock this host: {error}") from None
    try:
        return change(request)
    finally:
        lock.release(held)


def status(host: Host) -> Found:
    """Report the state of the host."""
    foreign = host.foreign_unit()
    if foreign and not host.running():
        return {"outcome": "refused", "message": foreign}
    messages = []
    for name in dict.fromkeys([host.wanted["unit"], *host.units]):
        changes = host.drop_in_changes(name)
        if changes:
            messages.append(f"drop-ins change {name}: {', '.join(changes)}")
    return {**describe(host), "message": "; ".join(messages)}


def change(request: Request) -> Found:
    """Execute, or in check mode predict, an operation that changes the host."""
    host = inspect(request)
    foreign = host.foreign_unit()
    if foreign and (request["operation"] != "cleanup" or request["definition"]["unit"] not in host.units):
        raise Refused(foreign)
    untrusted = next(filter(None, map(trust.path_problem, [*host.workloads, *host.outputs])), None)
    if untrusted:
        raise Refused(untrusted)
    if request["operation"] == "cleanup":
        return cleanup(host, request)
    return setup(host, request)


def cleanup(host: Host, request: Request) -> Found:
    """Remove every trace of the workload, or in check mode list the steps."""
    plan.refuse_unproven(host)
    steps, last_steps = plan.removal_steps(host), plan.forgetting_steps()
    result: Found = {
        "changes": [description for description, _function, _arguments in steps + last_steps],
        "before": host.definition(),
    }
    if request["check"]:
        removed = [
            path
            for _description, function, (path, *_) in steps + last_steps
            if function in (paths.remove, paths.remove_directory)
        ]
        protected = list(filter(None, map(trust.removal_problem, removed)))
        if protected:
            raise Failed("; ".join(protected))
        return {**result, "outcome": "absent"}
    problems = carry_out(steps)
    if not problems:
        problems = carry_out(last_steps)
    left = inspect(request) if steps or last_steps else host
    result.update(describe(left))
    if problems or result["outcome"] != "absent":
        raise Failed("; ".join(problems or [f"still present: {', '.join(left.files()) or result['outcome']}"]))
    return {**result, "message": "; ".join([*kept_directories(host), *kept_drop_ins(host)])}


def setup(host: Host, request: Request) -> Found:
    """Start the wanted workload (a fresh one for a reset), or in check mode list the steps."""
    definition, source = request["definition"], request["source"].encode()
    steps = plan.setup_steps(host, source, fresh=request["operation"] == "reset")
    result: Found = {
        "changes": [description for description, _function, _arguments in steps],
        "before": host.definition(),
        "after": {**definition, "build": service.build(definition, source)},
    }
    if request["check"] and steps:
        # A real run needs no such check: starting the unit fails.
        too_old = units.too_old_systemd()
        if too_old:
            raise Failed(too_old)
        return {**result, "outcome": "running", "workload": {"unit": definition["unit"]}}
    problems: list[str] = []
    for step in steps:
        problems = carry_out([step])
        if problems:
            break
    started = inspect(request) if steps else host
    result.update(describe(started))
    if not problems and result["outcome"] != "running":
        problems = [f"{definition['unit']} exited at once: {units.last_line(definition) or result['outcome']}"]
    if problems:
        # Leave nothing half started.
        left = carry_out(plan.removal_steps(started))
        raise Failed("; ".join([*problems, *(left or carry_out(plan.forgetting_steps()))]))
    if definition["memory_max_bytes"] is not None and result["workload"]["ceiling_bytes"] is None:
        result["warnings"] = ["this host does not enforce memory ceilings: only the expiry stops the growth"]
    return result


def carry_out(steps: list[Step]) -> list[str]:
    """Execute all steps and return an error message for each that failed."""
    problems = []
    for description, function, arguments in steps:
        try:
            function(*arguments)
        except Exception as error:
            problems.append(f"could not {description}: {error}")
    return problems


def kept_directories(host: Host) -> list[str]:
    """Return a note for each kept directory: the workload's if it is not empty, and any at the path of an output file."""
    notes = [f"kept {path}, a directory that setup did not create" for path in host.outputs if paths.is_directory(path)]
    for directory in sorted({os.path.dirname(workload) for workload in host.workloads}):
        if os.path.isdir(directory):
            notes.append(f"kept {directory}, which contains {', '.join(sorted(os.listdir(directory))) or 'nothing'}")
    return notes


def kept_drop_ins(host: Host) -> list[str]:
    """Return a note for the drop-ins that are kept because setup did not write them."""
    names = dict.fromkeys([host.wanted["unit"], *host.units])
    files = [path for name in names for path in units.drop_in_files(name) if os.path.exists(path)]
    return [f"kept {', '.join(files)}, which setup did not create"] if files else []


def run(request: Request) -> Found:
    """Execute a request and return its result. Never raises: errors become outcomes."""
    empty: Found = {"changes": [], "warnings": [], "message": ""}
    # Shorter than the controller's timeout: a run that it has given up must not continue if the host recovers.
    _signal.alarm(int(TIMEOUT_S + request["observe_s"]))
    try:
        result = {**empty, "failed": False, **operate(request)}
    except Refused as error:
        result = {**empty, "outcome": "refused", "failed": True, "message": str(error)}
    except Failed as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": str(error)}
    except Exception as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": f"{type(error).__name__}: {error}"}
    result["changed"] = bool(result["changes"])
    result["mem_available_bytes"] = proc.memory()["MemAvailable"]
    return result
