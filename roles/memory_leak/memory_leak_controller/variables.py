"""The role's variables: one table by which values are checked.

script/generate writes defaults/main.yml, meta/argument_specs.yml and the documentation's table from it.

Each parse function returns what a value stands for, or raises ValueError with what is allowed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from . import measurement
from .contract import VARIANTS

PREFIX = "memory_leak_"
RATE_RANGE_MIB_PER_MIN = (0.2, 6000)
MEMORY_MAX_RANGE_BYTES = (32 * 1024**2, 1024**4)
RUNTIME_MAX_RANGE_S = (60, 7 * 86400)
OBSERVE_RANGE_S = (5, 3600)
SIZE_UNITS = {"M": 1024**2, "G": 1024**3, "T": 1024**4}
TIME_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
SAFE_PATH = re.compile(r"(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")
# Where a workload directory or a log would replace, or sit among, parts of the system.
SYSTEM_DIRECTORIES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/sbin"),
)
SHARED_DIRECTORIES = (
    *("/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/usr", "/usr/lib", "/usr/local"),
    *("/tmp", "/var", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108
)


def _identity(value: Any) -> Any:
    return value


def rate(number: float) -> float:
    """Return MiB per minute."""
    low, high = RATE_RANGE_MIB_PER_MIN
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"a number of MiB per minute from {low} to {high}")
    return float(number)


def percentage(most: int) -> Callable[[Any], Any]:
    """Return a function that returns a percentage of up to `most`."""

    def parse(value: float) -> float:
        if not 0 <= value <= most:
            raise ValueError(f"a percentage from 0 to {most}")
        return float(value)

    return parse


def start_delay_max(text: str) -> int:
    """Return seconds, 0 to 3600."""
    return _quantity(text, TIME_UNITS, 0, 3600, "a whole number and a unit (s, min, h), from 0s to 1h")


def observe(seconds: int) -> int:
    """Return seconds, 0 for no observation."""
    shortest, longest = OBSERVE_RANGE_S
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(f"0 or a whole number of seconds from {shortest} to {longest}")
    return int(seconds)


def observe_verified(seconds: int) -> int:
    """Return seconds, the shortest that a verdict takes by default."""
    shortest, longest = measurement.SHORTEST_S, OBSERVE_RANGE_S[1]
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(
            f"0 (which is {shortest} here) or from {shortest} to {longest} seconds where {PREFIX}verify is true"
        )
    return int(seconds) or shortest


def report_path(text: str) -> str:
    """Return a path on the controller."""
    if not text.strip() or "\0" in text or "\n" in text:
        raise ValueError("a path on the controller; a relative one starts at the project's root")
    return text


def _quantity(text: str, units: dict[str, int], low: int, high: int, expected: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([a-zA-Z]+)", text.strip())
    factor = units.get(match[2]) if match else None
    if not match or factor is None or not low <= int(match[1]) * factor <= high:
        raise ValueError(expected)
    return int(match[1]) * factor


def memory_max(text: str) -> int:
    """Return bytes."""
    return _quantity(text, SIZE_UNITS, *MEMORY_MAX_RANGE_BYTES, "a whole number and a unit (M, G, T), from 32M to 1T")


def runtime_max(text: str) -> int:
    """Return seconds."""
    return _quantity(text, TIME_UNITS, *RUNTIME_MAX_RANGE_S, "a whole number and a unit (s, min, h, d), from 60s to 7d")


def user(name: str) -> str:
    """Return the name of a user of the host, empty for a dynamic one."""
    if name and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", name):
        raise ValueError("the name of a user of the host, or empty for a dynamic user")
    return str(name)


def unit(name: str) -> str:
    """Return the unit's full name, with `.service`."""
    stem = name.removesuffix(".service")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", stem) or re.search(
        r"\.(socket|timer|slice|scope|target|mount)$", stem
    ):
        raise ValueError("a service name of up to 100 letters, digits, '_', '-' and '.', with or without '.service'")
    return f"{stem}.service"


def path(text: str) -> str:
    """Return an absolute path that neither a shell nor systemd takes for more than that."""
    if not SAFE_PATH.fullmatch(text) or len(text) > 200:
        raise ValueError("an absolute path of letters, digits and '._+@-', with no '..', no '//' and no '/' at its end")
    return str(text)


def file(text: str) -> str:
    """Return a path for a file outside the system's own directories."""
    found = path(text)
    for system in SYSTEM_DIRECTORIES:
        if f"{found}/".startswith(f"{system}/"):
            raise ValueError(f"outside {system}")
    return found


def directory(text: str) -> str:
    """Return a path for a directory that is the workload's alone."""
    found = file(text)
    if found in SHARED_DIRECTORIES:
        raise ValueError(f"a directory of its own, not {found}, which others use")
    return found


@dataclass(frozen=True)
class Variable:
    """A variable, named without the prefix.

    Its parsed value goes by `key` into the definition that a host gets, or into the settings that stay on the controller.
    """

    name: str
    type: Literal["str", "int", "float", "bool"]
    default: Any
    description: str  # one text for the defaults, the argument specs and the README
    parse: Callable[[Any], Any] = _identity
    goes_to: Literal["definition", "settings"] = "settings"
    key: str = ""
    choices: tuple[str, ...] = field(default=())

    @property
    def full_name(self) -> str:
        """Return the name as users write it."""
        return PREFIX + self.name


TABLE = (
    Variable(
        "rate_mib_per_min",
        "float",
        30,
        "Growth in MiB per minute, 0.2 to 6000.",
        rate,
        "definition",
        "target_rate_mib_per_min",
    ),
    Variable(
        "memory_max",
        "str",
        "1G",
        "Memory ceiling at which the OOM killer ends the workload, 32M to 1T (units M, G, T). The host must have it and "
        "128 MiB more available.",
        memory_max,
        "definition",
        "memory_max_bytes",
    ),
    Variable(
        "runtime_max",
        "str",
        "4h",
        "The host itself ends the workload after this time, 60s to 7d (units s, min, h, d). The growth must reach its ceiling "
        "before.",
        runtime_max,
        "definition",
        "runtime_max_s",
    ),
    Variable("user", "str", "", "An existing user of the host to run as. Empty: a dynamic user.", user, "definition"),
    Variable(
        "directory",
        "str",
        "/mcp/scenarios/memory-leak",
        "Directory for `workload.py`. Setup creates it; cleanup removes it, and its parents if they are empty.",
        directory,
        "definition",
    ),
    Variable("unit", "str", "memory-leak", "Name of the transient systemd unit.", unit, "definition"),
    Variable(
        "log_file",
        "str",
        "/tmp/memory-leak.log",  # noqa: S108
        "Standard output and error of the workload. Setup replaces a file that is there.",
        file,
        "definition",
    ),
    Variable(
        "pid_file",
        "str",
        "/tmp/memory-leak.pid",  # noqa: S108
        "PID of the workload while it runs. Setup replaces a file that is there.",
        file,
        "definition",
    ),
    Variable(
        "workload_python",
        "str",
        "/usr/bin/python3",
        "The Python (3.9 or newer) on the host that runs the workload.",
        path,
        "definition",
    ),
    Variable(
        "allow_host_oom",
        "bool",
        False,
        "True: no ceiling. The whole host runs out of memory and other processes may die, unless the expiry comes first.",
    ),
    Variable(
        "verify",
        "bool",
        False,
        "True: setup, reset and status fail for each host that is not measured to do what its variant should.",
    ),
    Variable(
        "observe_seconds",
        "int",
        0,
        "How long setup, reset and status measure, 5 to 3600 seconds. 0: not at all, or 30 with `memory_leak_verify`.",
        observe,
        key="observe_s",
    ),
    Variable(
        "variant",
        "str",
        "",
        "What the host runs: `leaker`, `control` (same service, bounded cache) or `decoy` (much memory, but flat). Empty: "
        "chosen by the percentages below, leaker without them.",
        choices=("", *VARIANTS),
    ),
    Variable("control_percent", "float", 0, "Percentage of hosts that are controls, 0 to 100.", percentage(100)),
    Variable(
        "decoy_percent",
        "float",
        0,
        "Percentage of hosts that are decoys, 0 to 100; with the controls 100 at most.",
        percentage(100),
    ),
    Variable(
        "rate_variation_percent",
        "float",
        0,
        "Largest difference of a host's rate from `memory_leak_rate_mib_per_min`, 0 to 50 percent.",
        percentage(50),
    ),
    Variable(
        "start_delay_max",
        "str",
        "0s",
        "Each host starts to serve, and so to grow, a random time after its start, at most this, 0s to 1h.",
        start_delay_max,
        key="start_delay_max_s",
    ),
    Variable("seed", "str", "", "Seed of all random choices: the same seed and host names give the same fleet."),
    Variable(
        "blind",
        "bool",
        False,
        "True: unit, directory, log and PID file of each host get neutral names, chosen by the seed.",
    ),
    Variable(
        "report_dir",
        "str",
        "reports",
        "Directory on the controller for `status.json`, `status.csv` and `report.html`. The first host's value counts for all.",
        report_path,
    ),
    Variable(
        "ground_truth_dir",
        "str",
        "reports/ground_truth",
        "Directory on the controller for the answer key, `HOST.jsonl`. No host ever sees it.",
        report_path,
    ),
    Variable(
        "diagnoses_dir",
        "str",
        "reports/diagnoses",
        "Directory on the controller in which `playbooks/grade.yml` finds diagnoses.",
        report_path,
    ),
    Variable(
        "judge",
        "bool",
        False,
        "True: `playbooks/grade.yml` asks a language model, which the environment names.",
    ),
)
NAMES = frozenset(variable.full_name for variable in TABLE)


def unknown(names: Iterable[str]) -> list[str]:
    """Return a message for each name that has the role's prefix and is not one of its variables."""
    messages = []
    for name in sorted(name for name in names if name.startswith(PREFIX) and name not in NAMES):
        close = difflib.get_close_matches(name, NAMES, n=1)
        messages.append(f"{name} is not a variable of this role" + (f": did you mean {close[0]}?" if close else ""))
    return messages
