"""The service that the workload runs as: what makes it up, from a definition to the unit's settings and back."""

from __future__ import annotations

import os
import zlib

from host_program import paths

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from typing import Any

    Definition = dict[str, Any]

# An environment variable in every unit of ours. It tells them from other people's under any name, and its value changes
# with the definition. On the host it reads like the build of an ordinary service.
MARKER = "SESSION_CACHE_BUILD"
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
# Options of the workload that are whole numbers, 0 for none, by their keys in a definition.
OPTIONS = {"max_sessions": "--max-sessions", "buffer_mib": "--buffer-mib", "open_after_s": "--open-after"}
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
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "UMask=0077",
)


def workload_path(definition: Definition) -> str:
    """Return where on the host the workload lies."""
    return os.path.join(definition["directory"], definition["file_name"])


def parse(name: str, text: str) -> Definition:
    """Return the definition behind a unit file of ours. A part that is not there is None."""
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    command = _words(settings.get("ExecStart", ""))
    python, workload = command[:2] if len(command) > 1 else (None, None)
    options = dict(zip(command[2::2], command[3::2]))
    log_file = settings.get("StandardOutput", "").partition("append:")[2]
    remove_pid_file = _words(settings.get("ExecStopPostEx") or settings.get("ExecStopPost") or "")
    ceiling = settings.get("MemoryMax", "infinity")
    return {
        "unit": name,
        "directory": os.path.dirname(workload) if workload else None,
        "file_name": os.path.basename(workload) if workload else None,
        "log_file": log_file or None,
        "pid_file": remove_pid_file[-1] if remove_pid_file else None,
        "workload_python": python,
        "rate_mib_per_min": float(options["--ingest-mib-per-min"]) if "--ingest-mib-per-min" in options else None,
        **{key: int(options.get(option, 0)) for key, option in OPTIONS.items()},
        "memory_max_bytes": int(ceiling) if ceiling.isdigit() else None,
        "runtime_max_s": seconds(settings.get("RuntimeMaxSec", "")),
        "user": settings.get("User", ""),
        "build": settings.get("Environment", "").strip('"').partition(f"{MARKER}=")[2],
    }


def _words(command: str) -> list[str]:
    """Split a command line of ours, in which systemd quotes each word; none holds a space or a quote itself."""
    return command.replace('"', "").split()


def seconds(span: str) -> int:
    """Parse a time span as systemd writes it ('1d 2h 30min') into seconds."""
    total = 0
    for part in span.split():
        number = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        total += int(number) * SECONDS.get(part[len(number) :], 0)
    return total


def properties(definition: Definition) -> list[str]:
    """Return the properties of the unit that a definition describes."""
    pid_file = definition["pid_file"]
    # In /tmp anyone may put a link where the PID file goes: a new file is written and moved over it.
    # PIDFile= would remove it too, but systemd believes what such a file says, and would kill whom anyone wrote into it.
    write_pid_file = (
        f"set -e; umask 022; new=$(mktemp {pid_file}{paths.TEMPORARY_SUFFIX}); trap 'rm -f $new' EXIT; trap 'exit 1' TERM; "
        f"echo $MAINPID >$new; chmod 644 $new; mv -fT $new {pid_file}"
    )
    ceiling = definition["memory_max_bytes"]
    return [
        "Type=exec",
        *(_of_user(definition["user"]) if definition["user"] else ("DynamicUser=yes",)),
        "WorkingDirectory=/",
        f"StandardOutput=append:{definition['log_file']}",
        f"StandardError=append:{definition['log_file']}",
        'ExecStartPost=+/bin/sh -c "{}"'.format(write_pid_file.replace("$", "$$")),
        f"ExecStopPost=+/bin/rm -f {pid_file}",
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

    A dynamic user cannot change the kernel's settings or the hostname anyway. Hiding the settings would take a sixth of the
    time of a start, and without that systemd 247 cannot protect the hostname beside ProcSubset=pid (226/NAMESPACE).
    """
    return f"User={name}", "ProtectKernelTunables=yes", "ProtectHostname=yes"


def build(definition: Definition, source: bytes) -> str:
    """Return a checksum of everything that makes up the service: command, properties and source."""
    parts = [*properties(definition), *command(definition), source.decode()]
    return format(zlib.crc32("\0".join(parts).encode()), "08x")


def command(definition: Definition) -> list[str]:
    """Return the command line of the service."""
    rate = format(definition["rate_mib_per_min"], "g")
    options = [word for key, option in OPTIONS.items() if definition[key] for word in (option, str(definition[key]))]
    return [definition["workload_python"], workload_path(definition), "--ingest-mib-per-min", rate, *options]
