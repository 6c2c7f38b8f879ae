"""The workload's service: convert a definition to the settings of its unit and back."""

from __future__ import annotations

import os
import zlib

from memory_leak_host import paths
from memory_leak_host.workload_interface import OPTIONS, RATE_OPTION

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from typing import Any

    from memory_leak_controller.contract import Definition, InstallLocation

    FoundDefinition = dict[str, Any]  # the part of contract.Definition that is in a unit file, and the service's build

# An environment variable in every managed unit. It identifies them whatever their name, and its value changes with the
# definition. On the host it reads like the build of an ordinary service.
MARKER = "SESSION_CACHE_BUILD"
BUILD_LENGTH = 8
REMOVE = ("/bin/rm", "-f")  # followed by the PID file, after the service has exited
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
SECONDS = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1}
SANDBOX = (
    "CapabilityBoundingSet=",
    "DevicePolicy=closed",
    "IPAddressDeny=any",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "PrivateUsers=yes",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "UMask=0077",
)


def workload_path(definition: InstallLocation | FoundDefinition) -> str:
    """Return the path of the workload on the host."""
    return os.path.join(definition["directory"], definition["file_name"])


def parse(name: str, text: str) -> FoundDefinition | None:
    """Parse the file of a transient unit into a definition, or None if it is not a managed unit.

    A managed unit has exactly the marker, and the command and hook in the form that setup writes (see `command` and REMOVE).
    Nothing in any other unit is trusted.
    """
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if value:
            settings.setdefault(key, []).append(value)
    last = {key: values[-1] for key, values in settings.items()}
    build = _build(settings.get("Environment", []))
    words = _words(last.get("ExecStart", ""))
    options = _options(words[2:])
    pid_file = _removed_pid_file(last.get("ExecStopPostEx") or last.get("ExecStopPost") or "")
    log_file = last.get("StandardOutput", "").partition("append:")[2]
    if build is None or options is None or pid_file is None or not all(map(os.path.isabs, [*words[:2], log_file])):
        return None
    ceiling = last.get("MemoryMax", "infinity")
    return {
        "unit": name,
        "directory": os.path.dirname(words[1]),
        "file_name": os.path.basename(words[1]),
        "log_file": log_file,
        "pid_file": pid_file,
        "workload_python": words[0],
        "target_rate_mib_per_min": float(options[RATE_OPTION]),
        **{key: int(options.get(option, 0)) for key, option in OPTIONS.items()},
        "memory_max_bytes": int(ceiling) if ceiling.isdigit() else None,
        "runtime_max_s": seconds(last.get("RuntimeMaxSec", "")),
        "user": last.get("User", ""),
        "build": build,
    }


def _build(assignments: list[str]) -> str | None:
    """Return the marker's value if it is valid and the only assignment, or None."""
    marker = [assignment.strip('"').partition("=") for assignment in assignments]
    if len(marker) != 1 or marker[0][0] != MARKER:
        return None
    build = marker[0][2]
    return build if len(build) == BUILD_LENGTH and not build.strip("0123456789abcdef") else None


def _words(command: str) -> list[str]:
    """Return the words of a command line, each quoted as systemd writes those of managed units; none for any other."""
    first, *parts = command.split('"')
    words, gaps = parts[::2], parts[1::2]
    return words if not first and gaps == [" "] * (len(words) - 1) + [""] else []


def _options(words: list[str]) -> dict[str, str] | None:
    """Return the options on a managed unit's command line, or None for any other."""
    options = dict(zip(words[::2], words[1::2]))
    if len(words) % 2 or list(options)[:1] != [RATE_OPTION] or len(options) * 2 != len(words):
        return None
    rate, *others = options.items()
    if any(option not in OPTIONS.values() or not _is_number(value) for option, value in others):
        return None
    return options if _is_number(rate[1].replace(".", "", 1)) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _removed_pid_file(hook: str) -> str | None:
    words = _words(hook[1:]) if hook.startswith("+") else []
    matches = len(words) == len(REMOVE) + 1 and words[: len(REMOVE)] == list(REMOVE) and os.path.isabs(words[-1])
    return words[-1] if matches else None


def seconds(span: str) -> int:
    """Parse a time span as systemd writes it ('1d 2h 30min') into seconds."""
    total = 0
    for part in span.split():
        number = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        if _is_number(number):
            total += int(number) * SECONDS.get(part[len(number) :] or "s", 0)
    return total


def properties(definition: Definition) -> list[str]:
    """Return the unit properties for a definition."""
    pid_file = definition["pid_file"]
    # In /tmp anyone can create a symlink at the path of the PID file: write a new file and move it there.
    # PIDFile= would also remove it, but systemd trusts its content, and would kill a process that anyone wrote into it.
    write_pid_file = (
        f"set -e; umask 022; new=$(mktemp {pid_file}{paths.TEMPORARY_SUFFIX}); trap 'rm -f $new' EXIT; trap 'exit 1' TERM; "
        f"echo $MAINPID >$new; chmod 644 $new; mv -fT $new {pid_file}"
    )
    ceiling = definition["memory_max_bytes"]
    return [
        "Type=exec",
        # A dynamic user can't change kernel settings anyway, and ProtectKernelTunables= takes a sixth of the start time.
        *(_of_user(definition["user"]) if definition["user"] else ("DynamicUser=yes", "RemoveIPC=yes")),
        "WorkingDirectory=/",
        f"StandardOutput=append:{definition['log_file']}",
        f"StandardError=append:{definition['log_file']}",
        'ExecStartPost=+/bin/sh -c "{}"'.format(write_pid_file.replace("$", "$$")),
        f"ExecStopPost=+{' '.join(REMOVE)} {pid_file}",
        f"MemoryMax={'infinity' if ceiling is None else ceiling}",
        "MemorySwapMax=0",
        "OOMScoreAdjust=1000",
        f"RuntimeMaxSec={definition['runtime_max_s']}",
        f"TimeoutStartSec={START_TIMEOUT_S}",
        f"TimeoutStopSec={STOP_TIMEOUT_S}",
        *SANDBOX,
    ]


def _of_user(name: str) -> tuple[str, ...]:
    """Return the properties of a unit that runs as an existing user.

    RemoveIPC= would delete the account's own shared memory and semaphores. A dynamic user can't change kernel settings or the
    hostname anyway: for it ProtectKernelTunables= would only take a sixth of the start time, and without that systemd 247
    can't combine ProtectHostname= with ProcSubset=pid (226/NAMESPACE).
    """
    return f"User={name}", "ProtectKernelTunables=yes", "ProtectHostname=yes"


def build(definition: Definition, source: bytes) -> str:
    """Return a checksum of the whole service: command, properties and source."""
    parts = [*properties(definition), *command(definition), source.decode()]
    return format(zlib.crc32("\0".join(parts).encode()), "08x")


def command(definition: Definition) -> list[str]:
    """Return the command line of the service."""
    rate = format(definition["target_rate_mib_per_min"], "g")
    values: dict[str, Any] = dict(definition)
    options = [word for key, option in OPTIONS.items() if values[key] for word in (option, str(values[key]))]
    return [definition["workload_python"], workload_path(definition), RATE_OPTION, rate, *options]
