"""The transient systemd unit that the workload runs in: its definition, its state, start and stop."""

from __future__ import annotations

import os
import time
import zlib

from host_program import paths, processes
from host_program.commands import run

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from typing import Any

    Definition = dict[str, Any]

TRANSIENT_DIRECTORY = "/run/systemd/transient"
# Where systemd looks for the files of system units (systemd.unit(5)).
UNIT_DIRECTORIES = (
    TRANSIENT_DIRECTORY,
    *(
        f"/run/systemd/{name}"
        for name in ("system.control", "generator.early", "system", "generator", "generator.late")
    ),
    *(f"/etc/systemd/{name}" for name in ("system.control", "system", "system.attached")),
    *(
        "/run/systemd/system.attached",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ),
)
# An environment variable in every unit of ours. It tells them from other people's under any name, and its value changes
# with the definition. On the host it reads like the build of an ordinary service.
MARKER = "SESSION_CACHE_BUILD"
DESCRIPTION = "Session cache service"
OLDEST_SYSTEMD = 247  # older ones don't know all of SANDBOX
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
FIRST_LINE_TIMEOUT_S = 20
SHOWN = "Id,LoadState,ActiveState,Result,MainPID,FragmentPath,FreezerState"
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
    "ProtectHostname=yes",
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


def too_old_systemd() -> str | None:
    """Return a message if this host's systemd is too old for units of ours, or None."""
    _status, said = run("systemctl", "--version")
    number = said.split()[1:2]  # 'systemd 252 (252.39-1~deb12u1)'
    version = int(number[0]) if number and number[0].isdigit() else 0
    return (
        None
        if version >= OLDEST_SYSTEMD
        else f"this host runs systemd {version}, and {OLDEST_SYSTEMD} or newer is needed"
    )


def show(names: list[str]) -> dict[str, dict[str, str]]:
    """Return systemd's properties (those in SHOWN) of units, by name."""
    status, shown = run("systemctl", "show", f"--property={SHOWN}", *names)
    if status:
        raise RuntimeError(f"systemctl show failed: {shown.strip()}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def show_settled(names: list[str]) -> dict[str, dict[str, str]]:
    """Return systemd's properties of units as soon as none of them is on its way up or down, at the latest after a stop's time.

    A service that was just killed is still 'active' until systemd has noticed, and then 'deactivating' while its PID file is
    removed; only then its result counts.
    """
    deadline = time.monotonic() + STOP_TIMEOUT_S + 5
    states = show(names)
    while not all(map(_is_settled, states.values())) and time.monotonic() < deadline:
        time.sleep(0.1)
        states = show(names)
    return states


def _is_settled(state: dict[str, str]) -> bool:
    pid = int(state["MainPID"])
    return not state["ActiveState"].endswith("activating") and (not pid or processes.measure(pid) is not None)


def workload_path(definition: Definition) -> str:
    """Return where on the host the workload lies."""
    return os.path.join(definition["directory"], definition["file_name"])


def ours() -> dict[str, Definition]:
    """Return the definitions of the units of ours, by name, as systemd has them."""
    found: dict[str, Definition] = {}
    try:
        names = os.listdir(TRANSIENT_DIRECTORY)
    except FileNotFoundError:
        return found
    for name in names:
        if name.endswith(".service"):
            try:
                with open(os.path.join(TRANSIENT_DIRECTORY, name)) as file:
                    text = file.read()
            except (FileNotFoundError, IsADirectoryError):
                continue
            if MARKER in text:
                found[name] = parse(name, text)
    return found


def files(name: str) -> list[str]:
    """Return where a unit of this name is defined, by anyone: much quicker than asking systemd, which has the last word."""
    paths_of_unit = [os.path.join(directory, name) for directory in UNIT_DIRECTORIES]
    return [path for path in paths_of_unit if os.path.lexists(path)]


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
        # A dynamic user can't write to the kernel's settings anyway, and hiding them takes a sixth of the time of a start.
        *((f"User={definition['user']}", "ProtectKernelTunables=yes") if definition["user"] else ("DynamicUser=yes",)),
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


def build(definition: Definition, source: bytes) -> str:
    """Return a checksum of everything that makes up the service: command, properties and source."""
    parts = [*properties(definition), *command(definition), source.decode()]
    return format(zlib.crc32("\0".join(parts).encode()), "08x")


def command(definition: Definition) -> list[str]:
    """Return the command line of the service."""
    rate = format(definition["rate_mib_per_min"], "g")
    options = [word for key, option in OPTIONS.items() if definition[key] for word in (option, str(definition[key]))]
    return [definition["workload_python"], workload_path(definition), "--ingest-mib-per-min", rate, *options]


def start(definition: Definition, source: bytes) -> None:
    """Start the unit and wait until the service has logged its first line. Raises RuntimeError if it does not run."""
    settings = [*properties(definition), f"Environment={MARKER}={build(definition, source)}"]
    status, said = run(
        "systemd-run",
        "--quiet",
        "--no-ask-password",
        f"--unit={definition['unit']}",
        f"--description={DESCRIPTION}",
        *(f"--property={setting}" for setting in settings),
        "--",
        *command(definition),
        timeout_s=START_TIMEOUT_S + 10,
    )
    if status:
        raise RuntimeError(f"systemd did not start {definition['unit']}: {too_old_systemd() or said.strip()}")
    wait_for_first_line(definition)


def wait_for_first_line(definition: Definition) -> None:
    """Wait until the service has logged something. Raises RuntimeError if it ends, or is silent for too long."""
    name, log_file = definition["unit"], definition["log_file"]
    deadline = time.monotonic() + FIRST_LINE_TIMEOUT_S
    while time.monotonic() < deadline:
        look_again = time.monotonic() + 1
        while time.monotonic() < look_again:
            if os.path.getsize(log_file):
                return
            time.sleep(0.02)
        if show([name])[name]["ActiveState"] != "active":
            raise RuntimeError(f"{name} ended at once and logged nothing")
    raise RuntimeError(f"{name} started but logged nothing in {FIRST_LINE_TIMEOUT_S} s")


def last_line(definition: Definition) -> str:
    """Return the last line of the service's log, empty if there is none."""
    said = paths.content(definition["log_file"], 1000) or b""
    return said.decode(errors="replace").rstrip().rpartition("\n")[2]


def stop(name: str) -> None:
    """Stop a unit, wait until its processes are gone, and make systemd forget it. Raises RuntimeError if that fails."""
    _status, said = run("systemctl", "stop", name)
    if not os.path.exists(os.path.join(TRANSIENT_DIRECTORY, name)):
        return  # it has unloaded the unit, as it does when the last process is gone
    state = show([name])[name]
    if state.get("FreezerState", "") not in ("running", ""):
        run("systemctl", "thaw", name)
        _status, said = run("systemctl", "stop", name)
        state = show([name])[name]
    if state["ActiveState"] == "failed":
        run("systemctl", "reset-failed", name)
        state = show([name])[name]
    fragment = state["FragmentPath"]
    if fragment.startswith(TRANSIENT_DIRECTORY) and state["ActiveState"] == "inactive":
        # Seen in the wild: a dead unit that stays loaded with its fragment, which neither stop nor reset-failed clears.
        paths.remove(fragment)
        run("systemctl", "daemon-reload")
        state = show([name])[name]
    if state["ActiveState"] != "inactive":
        raise RuntimeError(f"systemd did not stop {name}: {said.strip() or state['ActiveState']}")
