"""The role's variables: the table by which their values are validated.

script/generate writes defaults/main.yml, meta/argument_specs.yml and the documentation's table from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from . import parsing
from .contract import VARIANTS
from .parsing import PREFIX


def _identity(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Variable:
    """A variable, named without the prefix.

    Its parsed value is stored under `key` in the definition for the host, or in the settings that stay on the controller.
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
        parsing.rate,
        "definition",
        "target_rate_mib_per_min",
    ),
    Variable(
        "memory_max",
        "str",
        "1G",
        "Memory ceiling at which the OOM killer ends the workload, 32M to 1T (units M, G, T). The host must have "
        "this much memory plus 128 MiB available.",
        parsing.memory_max,
        "definition",
        "memory_max_bytes",
    ),
    Variable(
        "runtime_max",
        "str",
        "4h",
        "The host ends the workload after this time, 60s to 7d (units s, min, h, d). At the set rate, the workload "
        "must reach the ceiling before this time; otherwise the host is refused.",
        parsing.runtime_max,
        "definition",
        "runtime_max_s",
    ),
    Variable(
        "user", "str", "", "Existing user on the host to run as. Empty: a dynamic user.", parsing.user, "definition"
    ),
    Variable(
        "directory",
        "str",
        "/mcp/scenarios/memory-leak",
        "Directory for `workload.py`. Setup creates it; cleanup removes it, and its parents if they are empty.",
        parsing.directory,
        "definition",
    ),
    Variable("unit", "str", "memory-leak", "Name of the transient systemd unit.", parsing.unit, "definition"),
    Variable(
        "log_file",
        "str",
        "/tmp/memory-leak.log",  # noqa: S108
        "Standard output and error of the workload. Setup replaces an existing file if it is the role's. In a sticky "
        "directory such as `/tmp`, it replaces any file.",
        parsing.file,
        "definition",
    ),
    Variable(
        "pid_file",
        "str",
        "/tmp/memory-leak.pid",  # noqa: S108
        "PID of the workload while it runs. Setup replaces an existing file under the same conditions as for the log.",
        parsing.file,
        "definition",
    ),
    Variable(
        "workload_python",
        "str",
        "/usr/bin/python3",
        "Interpreter on the host (Python 3.9 or newer) with which the workload is run.",
        parsing.path,
        "definition",
    ),
    Variable(
        "allow_host_oom",
        "bool",
        False,
        "True: no ceiling. The whole host runs out of memory and other processes may die, unless the time limit comes first.",
    ),
    Variable(
        "verify",
        "bool",
        False,
        "True: setup, reset and status fail for each host whose measured outcome is not the one expected of its variant.",
    ),
    Variable(
        "observe_seconds",
        "int",
        0,
        "How long setup, reset and status measure, 5 to 3600 seconds. 0: no measurement, or 30 with `memory_leak_verify`.",
        parsing.observe,
        key="observe_s",
    ),
    Variable(
        "variant",
        "str",
        "",
        "Host variant: `leaker`, `control` (same service, bounded cache) or `decoy` (high but flat memory). Empty: assigned "
        "from the percentages below. If both are 0, setup and reset keep the variant of the last setup, or use leaker.",
        choices=("", *VARIANTS),
    ),
    Variable(
        "control_percent",
        "float",
        0,
        "Percentage of controls, 0 to 100: the probability for each host.",
        parsing.percentage(100),
    ),
    Variable(
        "decoy_percent",
        "float",
        0,
        "Percentage of decoys, 0 to 100; together with the controls at most 100.",
        parsing.percentage(100),
    ),
    Variable(
        "rate_variation_percent",
        "float",
        0,
        "Maximum deviation of a host's rate from `memory_leak_rate_mib_per_min`, 0 to 50 percent.",
        parsing.percentage(50),
    ),
    Variable(
        "start_delay_max",
        "str",
        "0s",
        "Maximum random delay, 0s to 1h, before the workload starts to serve requests and its memory starts to grow.",
        parsing.start_delay_max,
        key="start_delay_max_s",
    ),
    Variable(
        "seed",
        "str",
        "",
        "Seed of all random choices. With the same variables, the same seed and host names give the same fleet.",
    ),
    Variable(
        "blind",
        "bool",
        False,
        "True: unit, directory, log and PID file of each host get neutral names, chosen by the seed.",
    ),
    Variable(
        "empty_group",
        "str",
        "error",
        "What a playbook does if the group `memory_leak` has no hosts: `error`, or `skip` (for AWX job slices).",
        choices=("error", "skip"),
    ),
    Variable(
        "report_dir",
        "str",
        "reports",
        "Directory on the controller for `status.json`, `status.csv` and `report.html`. The first host's value applies to all.",
        parsing.report_path,
    ),
    Variable(
        "ground_truth_dir",
        "str",
        "reports/ground_truth",
        "Directory on the controller for the answer key, `HOST.jsonl`. No host ever sees it.",
        parsing.report_path,
    ),
    Variable(
        "diagnoses_dir",
        "str",
        "reports/diagnoses",
        "Directory on the controller from which `playbooks/grade.yml` reads diagnoses.",
        parsing.report_path,
    ),
    Variable(
        "judge",
        "bool",
        False,
        "True: `playbooks/grade.yml` asks a language model, configured by environment variables.",
    ),
)
NAMES = frozenset(variable.full_name for variable in TABLE)


def unknown(names: Iterable[str]) -> list[str]:
    """Return a message for each name with the role's prefix that is not one of its variables."""
    messages = []
    for name in sorted(name for name in names if name.startswith(PREFIX) and name not in NAMES):
        close = difflib.get_close_matches(name, NAMES, n=1)
        messages.append(f"{name} is not a variable of this role" + (f": did you mean {close[0]}?" if close else ""))
    return messages
