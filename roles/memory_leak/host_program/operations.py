"""Setup, reset, cleanup and status of the workload on this host.

`run` takes a request and returns a result, both plain dictionaries (Python literals on the wire).

Request: `operation` ('setup', 'reset', 'cleanup' or 'status'), `check` (bool: predict, change nothing), `source` (the
workload's text), `observe_s` (for how long to watch the workload that runs in the end; 0: not at all), `definition`, and
`places` (further places, parts of a definition, where a workload of ours may lie). A definition holds `unit`, `directory`,
`file_name`, `log_file`, `pid_file`, `workload_python`, `user` (strings; an empty user means a dynamic one), `rate_mib_per_min`
(float), `memory_max_bytes` (int, or null for no ceiling), `runtime_max_s`, `max_sessions` (0: no limit), `buffer_mib` and
`open_after_s` (int).

Result: `outcome`, `changed`, `failed`, `message`, `changes` (what was, or in check mode would be, done), `warnings`, `before`
and `after` (the definitions, for a diff; null where there is none), `mem_available_bytes` (of the host), `observation` (what
`sampling.observe` returns, null if there was none), and of the running workload, null otherwise, `pid`, `unit` (null too if it
was started by hand), `started_at`, `uptime_s`, `rss_bytes`, `cpu_percent` (since its start), `requests_per_s` (the last that
it logged), `ceiling_bytes`, `oom_in_s`, `command` and `promised_mib_per_min` (its rate by its command line).
"""

from __future__ import annotations

import os
import time

from host_program import lock, paths, plan, sampling, service, units
from host_program.observation import NOT_RUNNING, Host, describe, memory
from host_program.plan import Failed, Refused

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from typing import Any

    from host_program.plan import Step

    Record = dict[str, Any]


def look(request: Record) -> Host:
    """Return what there is on this host."""
    return Host(request["definition"], request["places"], request["source"].encode())


def check_privilege() -> None:
    """Raise Failed unless we are root on a host that systemd runs."""
    if os.geteuid() != 0:
        raise Failed("not root on this host: set ansible_become in the inventory, or run with -b")
    if not os.path.isdir("/run/systemd/system"):
        raise Failed("this host does not run systemd")


def operate(request: Record) -> Record:
    """Carry a request out and return the result; raises Refused or Failed."""
    check_privilege()
    result = operate_once(request)
    if result["outcome"] == "running" and result.get("pid"):
        if request["observe_s"]:
            wait_s = sampling.warm_up_s(result["pid"]) - result["uptime_s"]
            if wait_s > sampling.MOST_WAIT_S:
                result["message"] = f"too early to measure: it settles in {wait_s:.0f} s"
                return result
            time.sleep(max(0, wait_s))
            result["observation"] = sampling.observe(result["pid"], request["observe_s"])
            result.update(describe(look(request)))
        elif request["operation"] == "status":
            result["requests_per_s"] = sampling.last_request_rate(result["pid"])
    return result


def operate_once(request: Record) -> Record:
    """Carry a request out, all but the observation."""
    if request["operation"] == "status":
        return status(look(request))
    if request["check"]:
        return change(request)
    try:
        held = lock.acquire()
    except OSError as error:
        raise Failed(f"could not lock this host against other runs: {error}") from None
    try:
        return change(request)
    finally:
        lock.release(held)


def status(host: Host) -> Record:
    """Report what there is of ours."""
    foreign = host.foreign_unit()
    if foreign and not host.running():
        return {"outcome": "refused", "message": foreign}
    return describe(host)


def change(request: Record) -> Record:
    """Carry out (or in check mode predict) an operation that changes the host."""
    host = look(request)
    foreign = host.foreign_unit()
    if foreign and (request["operation"] != "cleanup" or request["definition"]["unit"] not in host.units):
        raise Refused(foreign)
    untrusted = next(filter(None, map(paths.untrusted_directory, [*host.workloads, *host.outputs])), None)
    if untrusted:
        raise Refused(untrusted)
    if request["operation"] == "cleanup":
        return cleanup(host, request)
    return setup(host, request)


def cleanup(host: Host, request: Record) -> Record:
    """Remove all there is of ours, or in check mode say what that takes."""
    for path in host.outputs:
        if os.path.isdir(path) and not os.path.islink(path):
            raise Refused(f"a directory is in the way at {path}")
    steps = plan.removal_steps(host)
    result: Record = {
        "changes": [description for description, _function, _arguments in steps],
        "before": host.definition(),
    }
    if request["check"]:
        return {**result, "outcome": "absent"}
    problems = carry_out(steps)
    left = look(request) if steps else host
    result.update(describe(left))
    if problems or result["outcome"] != "absent":
        raise Failed("; ".join(problems or [f"still there: {', '.join(left.files()) or result['outcome']}"]))
    return {**result, "message": "; ".join(kept_directories(host))}


def setup(host: Host, request: Record) -> Record:
    """Bring the wanted workload to run (a fresh one for a reset), or in check mode say what that takes."""
    definition, source = request["definition"], request["source"].encode()
    steps = plan.setup_steps(host, source, fresh=request["operation"] == "reset")
    result: Record = {
        "changes": [description for description, _function, _arguments in steps],
        "before": host.definition(),
        "after": {**definition, "build": service.build(definition, source)},
    }
    if request["check"] and steps:
        # A real run does without this question: starting the unit fails then.
        too_old = units.too_old_systemd()
        if too_old:
            raise Failed(too_old)
        return {**result, "outcome": "running", "unit": definition["unit"]}
    problems: list[str] = []
    for step in steps:
        problems = carry_out([step])
        if problems:
            break
    started = look(request) if steps else host
    result.update(describe(started))
    if not problems and result["outcome"] != "running":
        problems = [f"{definition['unit']} ended at once: {units.last_line(definition) or result['outcome']}"]
    if problems:
        # Nothing stays half started.
        raise Failed("; ".join(problems + carry_out(plan.removal_steps(started))))
    if definition["memory_max_bytes"] is not None and result["ceiling_bytes"] is None:
        result["warnings"] = ["this host does not enforce memory ceilings: only the expiry stops the growth"]
    return result


def carry_out(steps: list[Step]) -> list[str]:
    """Carry all the steps out and return what went wrong with those that failed."""
    problems = []
    for description, function, arguments in steps:
        try:
            function(*arguments)
        except Exception as error:
            problems.append(f"could not {description}: {error}")
    return problems


def kept_directories(host: Host) -> list[str]:
    """Return a note for each directory of the workload that stays because it holds other things."""
    notes = []
    for directory in sorted({os.path.dirname(workload) for workload in host.workloads}):
        if os.path.isdir(directory):
            notes.append(f"kept {directory}, which holds {', '.join(sorted(os.listdir(directory))) or 'nothing'}")
    return notes


def run(request: Record) -> Record:
    """Carry a request out and return the result. Never raises: what goes wrong is an outcome."""
    empty: Record = {
        **NOT_RUNNING,
        "changes": [],
        "warnings": [],
        "message": "",
        "before": None,
        "after": None,
        "observation": None,
    }
    try:
        result = {**empty, "failed": False, **operate(request)}
    except Refused as error:
        result = {**empty, "outcome": "refused", "failed": True, "message": str(error)}
    except Failed as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": str(error)}
    except Exception as error:
        result = {**empty, "outcome": "failed", "failed": True, "message": f"{type(error).__name__}: {error}"}
    result["changed"] = bool(result["changes"])
    result["mem_available_bytes"] = memory()["MemAvailable"]
    return result
