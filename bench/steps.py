"""The scenario's steps as plain shell scripts, as an operator would send them over ssh. They set the limit."""

from __future__ import annotations

import shlex
from pathlib import Path

from memory_leak_controller import assignment, validation
from memory_leak_host import service

PROJECT = Path(__file__).resolve().parents[1]
ROLE = PROJECT / "roles" / "memory_leak"

WORKLOAD = ROLE / "files" / "workload.py"
_definition, _settings, _errors = validation.validate(validation.DEFAULTS)
DEFINITION = assignment.apply(_definition, _settings, "host", "leaker")
UNIT = DEFINITION["unit"]


def start_command(properties: list[str]) -> str:
    """Return the shell command that starts the workload in a unit with these properties."""
    options = [f"--unit={UNIT}", *(f"--property={setting}" for setting in properties)]
    return shlex.join(["systemd-run", "--quiet", *options, "--", *service.command(DEFINITION)])


def scripts() -> dict[str, str]:
    """Return the shell script of each operation: setup, status, reset, cleanup. The unit is the role's own."""
    directory, log_file, pid_file = DEFINITION["directory"], DEFINITION["log_file"], DEFINITION["pid_file"]
    setup = (
        f"mkdir -p {directory}\n"
        f"cat >{directory}/workload.py <<'END_OF_WORKLOAD'\n{WORKLOAD.read_text()}END_OF_WORKLOAD\n"
        f"{start_command(service.properties(DEFINITION))}\n"
    )
    cleanup = (
        f"systemctl stop {UNIT}\n"
        f"rm -f {directory}/workload.py {log_file} {pid_file}\n"
        f"rmdir {directory} {Path(directory).parent} {Path(directory).parent.parent}\n"
    )
    status = f"systemctl show --property=ActiveState,MainPID,Result {UNIT}\ngrep VmRSS /proc/$(cat {pid_file})/status\n"
    operations = {"setup": setup, "status": status, "reset": cleanup + setup, "cleanup": cleanup}
    return {name: f"set -eu\n{script}" for name, script in operations.items()}


def peer_variables() -> dict[str, str]:
    """Return the variables of the six-task role. It needs no hook for the PID file: a task writes it."""
    hooks = ("ExecStartPost=", "ExecStopPost=")
    properties = [setting for setting in service.properties(DEFINITION) if not setting.startswith(hooks)]
    return {
        "workload_source": str(WORKLOAD),
        "workload_directory": DEFINITION["directory"],
        "workload_pid_file": DEFINITION["pid_file"],
        "start_command": start_command(properties),
    }
