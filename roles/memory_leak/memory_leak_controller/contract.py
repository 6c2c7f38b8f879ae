"""The contract: the fields of a request, a host's result and a report's record, and the closed sets of outcomes and variants.

Every other form of these facts is derived from this module or checked against it: null records, CSV columns, report.html, the
JSON schemas and tables in docs/, the plugin's RETURN documentation and the verdicts on a repair. The host program imports the
types for type checking only, so they cost a host nothing.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from .schema import Field, empty, fields, misfit

Operation = Literal["setup", "reset", "cleanup", "status"]
OPERATIONS: tuple[Operation, ...] = typing.get_args(Operation)
Variant = Literal["leaker", "control", "decoy"]
VARIANTS: tuple[Variant, ...] = typing.get_args(Variant)
OutcomeName = Literal[
    "failed",
    "unreachable",
    "refused",
    "stalled",
    "off_rate",
    "plateaued",
    "crashed",
    "oom_killed",
    "expired",
    "stopped",
    "running",
    "absent",
    "leaking",
]
RUNNING_OPERATIONS = frozenset({"setup", "reset", "status"})  # after these the workload should run


@dataclass(frozen=True)
class Outcome:
    """The meaning of an outcome, its colour in reports, and the operations after which it is a success.

    `is_healthy`: nothing needs attention. `repair`: the effect of a repair after which a leak is observed with this outcome:
    `durable`, `temporary` (until it runs again), `none`, `restarted` (temporary if its PID changed, else none), or None.
    """

    meaning: str
    colour: Literal["red", "yellow", "green", "grey"]
    success: frozenset[str] = frozenset()
    is_healthy: bool = False
    repair: Literal["durable", "temporary", "none", "restarted"] | None = None


# Worst first: reports use this order.
OUTCOMES: dict[OutcomeName, Outcome] = {
    "failed": Outcome(
        "The operation failed; no partly started workload is left. Possible causes: no python3, no systemd 247 or newer, no "
        "privilege, a full or read-only disk.",
        "red",
    ),
    "unreachable": Outcome("No connection, or no answer before the timeout.", "red"),
    "refused": Outcome(
        "The host was not touched; the message says why. For example: a value is invalid; a configured name or path is taken "
        "by a unit or file that is not the role's; the ceiling exceeds the available memory or would not be reached before the "
        "time limit; a directory is where the role must write a file; a directory that the role uses is not owned by root.",
        "red",
    ),
    "stalled": Outcome("Measured: alive, but serves no requests.", "yellow", repair="temporary"),
    "off_rate": Outcome(
        "Measured: RSS changes, but a condition of `leaking` is not met: rate, line, CPU use or request rate.",
        "yellow",
        repair="restarted",
    ),
    "plateaued": Outcome("Measured: serves requests, RSS is flat.", "yellow", repair="durable"),
    "crashed": Outcome("Killed, or exited with an error.", "yellow", repair="temporary"),
    "oom_killed": Outcome("Killed by the OOM killer.", "yellow", repair="none"),
    "expired": Outcome("Stopped by the host at its time limit, `memory_leak_runtime_max`.", "yellow", repair="none"),
    "stopped": Outcome(
        "Files exist, but no process: clean exit, `systemctl stop`, reboot.", "yellow", repair="temporary"
    ),
    "running": Outcome(
        "The process is alive; its growth was not measured. A workload that was started manually is reported this way, too.",
        "green",
        RUNNING_OPERATIONS,
        True,
    ),
    "absent": Outcome(
        "No trace of the incident is on the host.", "grey", frozenset({"cleanup"}), True, repair="temporary"
    ),
    "leaking": Outcome(
        "Measured for 30 s or more: RSS grows within 10 % of the target rate and linearly (R² of 0.99 or more), CPU use is at "
        "most 2 % of one CPU, and the request rate varies by at most 5 %.",
        "green",
        RUNNING_OPERATIONS,
        True,
        repair="restarted",
    ),
}
# The outcome of measuring each variant if all is well.
EXPECTED_OUTCOME: dict[str, OutcomeName] = {"leaker": "leaking", "control": "plateaued", "decoy": "plateaued"}


# The names of the role's action in Ansible: in a checkout or a plain role, and in the collection.
ACTIONS = frozenset({"memory_leak", "ansible.legacy.memory_leak", "sre_incidents.memory_leak.memory_leak"})


class InstallLocation(TypedDict):
    """The paths of a workload on a host, and the name of its unit."""

    unit: str  # with .service
    directory: str
    file_name: str
    log_file: str
    pid_file: str


class Definition(InstallLocation):
    """The workload that a host should run."""

    workload_python: str
    user: str  # empty: a dynamic user
    target_rate_mib_per_min: float
    memory_max_bytes: int | None  # None: no ceiling
    runtime_max_s: int
    max_sessions: int  # 0: no limit
    buffer_mib: int
    start_delay_s: int


class Request(TypedDict):
    """What the controller sends to a host."""

    operation: str
    check: bool  # predict, change nothing
    definition: Definition
    source: str  # the text of the workload
    install_locations: list[InstallLocation]  # more locations that may hold the workload
    observe_s: float  # how long to observe the running workload afterwards; 0: not at all


class Observation(TypedDict):
    """What a host recorded while it observed the workload."""

    # seconds, RSS in bytes, available memory in bytes, CPU time so far in seconds
    samples: list[Annotated[list[float], Field("", minimum=0, items=4)]]
    request_rates: list[Annotated[float, Field("", minimum=0)]]  # per second, one per interval that the service logged
    ended: bool  # whether the process exited in the meantime


class WorkloadState(TypedDict):
    """The workload that runs on a host; all fields are null if there is none."""

    unit: Annotated[
        str | None,
        Field("The transient unit. Null after a manual start.", "memory-leak.service", heading="unit"),
    ]
    pid: Annotated[int | None, Field("The PID of the workload.", 1234, minimum=1, heading="PID")]
    command: Annotated[
        str | None,
        Field(
            "The command line of the workload as `ps` shows it.",
            "/usr/bin/python3 /mcp/scenarios/memory-leak/workload.py",
        ),
    ]
    started_at: Annotated[
        str | None,
        Field("When the workload started, ISO 8601 in UTC by the host's clock.", "2026-11-22T08:07:29Z", is_time=True),
    ]
    uptime_s: Annotated[
        float | None, Field("How long the workload has run, in seconds.", 61.5, minimum=0, heading="uptime s")
    ]
    rss_bytes: Annotated[
        int | None,
        Field(
            "The resident memory of the workload, in bytes.",
            43253760,
            minimum=0,
            heading="RSS MiB",
            divisor=1024**2,
            digits=1,
        ),
    ]
    target_rate_mib_per_min: Annotated[
        float | None, Field("The rate that the workload was started with.", 30.0, minimum=0.001, maximum=1e9)
    ]
    cpu_percent: Annotated[
        float | None,
        Field(
            "CPU time of the workload, in percent of one CPU: the median over six parts of the observation, otherwise the mean "
            "since its start.",
            0.31,
            minimum=0,
            heading="CPU %",
            digits=2,
        ),
    ]
    requests_per_s: Annotated[
        float | None,
        Field(
            "Requests served per second: during the observation, otherwise as last logged.",
            10.0,
            minimum=0,
            heading="requests/s",
            digits=1,
        ),
    ]
    ceiling_bytes: Annotated[
        int | None,
        Field(
            "The memory ceiling in force, in bytes. Null if there is none: after a manual start, with "
            "`memory_leak_allow_host_oom`, or if the kernel enforces none.",
            1073741824,
            minimum=0,
            heading="ceiling MiB",
            divisor=1024**2,
        ),
    ]
    oom_in_s: Annotated[
        int | None,
        Field(
            "Seconds until the workload, at its target rate, reaches its ceiling or, without one, exhausts the host's memory.",
            1963,
            minimum=0,
            heading="ceiling in min",
            divisor=60,
            digits=1,
        ),
    ]


class HostState(WorkloadState):
    """The state that a host reports."""

    mem_available_bytes: Annotated[
        int | None,
        Field(
            "The available memory of the host, in bytes.",
            1503238553,
            minimum=0,
            heading="available MiB",
            divisor=1024**2,
        ),
    ]


class Result(TypedDict):
    """The answer of a host."""

    outcome: OutcomeName
    workload: WorkloadState
    mem_available_bytes: int | None
    failed: bool
    changed: bool
    message: str
    changes: list[str]  # the steps taken, or in check mode predicted
    warnings: list[str]
    before: dict[str, str | float | None] | None  # the definition found on the host, for a diff
    after: dict[str, str | float | None] | None
    observation: Observation | None


class Measurement(TypedDict):
    """The result of an observation; all fields are null or empty without one."""

    rate_mib_per_min: Annotated[
        float | None,
        Field("The measured slope of RSS, in MiB per minute.", 30.02, heading="MiB/min", digits=2),
    ]
    rate_ci95_mib_per_min: Annotated[
        list[float] | None,
        Field(
            "The ends of the 95 % confidence interval of `rate_mib_per_min`.",
            [29.97, 30.07],
            items=2,
            heading="95 % from|to",
            digits=2,
        ),
    ]
    r_squared: Annotated[
        float | None,
        Field("R² of the line fitted to RSS, 0 to 1.", 0.9998, minimum=0, maximum=1, heading="R²", digits=4),
    ]
    samples: Annotated[
        list[Annotated[list[float], Field("seconds, RSS in bytes, available memory in bytes", minimum=0, items=3)]],
        Field("For each sample: seconds since the first one, RSS in bytes, the host's available memory in bytes."),
    ]


class Expectation(TypedDict):
    """What the controller knows about a host and never sends to it."""

    variant: Annotated[Variant | None, Field("The variant of the host.", "leaker", heading="variant")]
    as_expected: Annotated[
        bool | None,
        Field(
            "Whether the measured outcome is the one expected of the host's variant. Null if it was not measured.",
            True,
        ),
    ]


class Identity(TypedDict):
    """The name and the outcome of a host."""

    host: Annotated[str, Field("The name of the host in the inventory.", heading="host", returned="in reports")]
    outcome: Annotated[
        OutcomeName,
        Field(
            "The outcome on the host, or in check mode the predicted one.",
            "running",
            heading="outcome",
            returned="always",
        ),
    ]


class Record(Identity, Expectation, HostState, Measurement):
    """A host in the reports."""

    message: Annotated[
        str,
        Field(
            "Why the host has this outcome; may be empty.",
            heading="message",
            returned="in reports",
        ),
    ]


class GroundTruthLine(TypedDict):
    """The known state of a host after an event: a line of HOST.jsonl."""

    time: Annotated[str, Field("ISO 8601 in UTC, by the controller's clock.", is_time=True)]
    event: Annotated[Literal["setup", "reset", "observation", "cleanup"], Field("What happened.")]
    host: Annotated[str, Field("The name of the host in the inventory.")]
    variant: Variant | None
    outcome: OutcomeName
    pid: Annotated[int | None, Field("The PID of the workload.", minimum=1)]
    command: Annotated[str | None, Field("The command line of the workload as `ps` shows it.")]
    started_at: Annotated[str | None, Field("ISO 8601 in UTC, by the host's clock.", is_time=True)]
    target_rate_mib_per_min: Annotated[
        float | None, Field("The rate that the workload was started with.", minimum=0.001, maximum=1e9)
    ]
    ceiling_bytes: Annotated[int | None, Field("The memory ceiling in force, in bytes.", minimum=0)]
    samples: Annotated[
        list[Annotated[list[float], Field("Unix time, RSS in bytes", minimum=0, items=2)]],
        Field("For each sample: Unix time by the controller's clock, in seconds, and RSS in bytes."),
    ]


class StatusReport(TypedDict):
    """The contents of status.json: the state of each host after a run."""

    generated_at: Annotated[str, Field("ISO 8601 in UTC.")]
    operation: Operation
    hosts: list[Record]


class ActionResult(HostState, Measurement, Expectation):
    """What the role's action returns to Ansible."""

    outcome: OutcomeName
    changed: bool
    changes: list[str]
    msg: str
    ground_truth_dir: NotRequired[str]  # where the controller keeps the answer key
    failed: NotRequired[bool]
    warnings: NotRequired[list[str]]
    diff: NotRequired[dict[str, str]]


def is_own_action(task: Any) -> bool:
    """Return whether an Ansible task runs the role's action, under any of its names."""
    return (task.resolved_action or task.action) in ACTIONS


def is_success(record: Record, operation: str) -> bool:
    """Return whether a host is in the desired state after an operation."""
    return operation in OUTCOMES[record["outcome"]].success or bool(record["as_expected"])


def colour(record: Record) -> str:
    """Return the colour of a host in reports. A host that behaves as its variant should is green, like one that leaks."""
    return "green" if record["as_expected"] else OUTCOMES[record["outcome"]].colour


def record(host: str, outcome: str, found: dict[str, Any]) -> Record:
    """Return the record of a host from its outcome and its known fields; the others are null.

    An invalid field is null too, and the message says so: one host's values can't make a report fail.
    """
    known = {name: found[name] for name in fields(Record) if found.get(name) is not None}
    # Samples were checked when they arrived, and take longer than all else.
    checked = [name for name in known if name != "samples"]
    misfits = {name: misfit(known[name], fields(Record)[name][0], name) for name in checked}
    complaints = [complaint for complaint in misfits.values() if complaint]
    known = {name: value for name, value in known.items() if not misfits.get(name)}
    message = "; ".join([*filter(None, [known.pop("message", "")]), *complaints])
    outcome = outcome if outcome in OUTCOMES else "failed"
    return typing.cast(Record, {**empty(Record), **known, "message": message, "host": host, "outcome": outcome})
