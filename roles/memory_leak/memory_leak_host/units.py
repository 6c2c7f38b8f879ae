"""The managed transient systemd units: find, query, start and stop them."""

from __future__ import annotations

import os
import time

from memory_leak_host import drop_ins, paths, processes, service
from memory_leak_host.commands import run

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from memory_leak_controller.contract import Definition
    from memory_leak_host.service import FoundDefinition

TRANSIENT_DIRECTORY = "/run/systemd/transient"
# systemd keeps a link here for each loaded unit that has been started.
INVOCATIONS = "/run/systemd/units"
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
DESCRIPTION = "Session cache service"
OLDEST_SYSTEMD = 247  # older versions do not support all of service.SANDBOX
FIRST_LINE_TIMEOUT_S = 20
SHOWN = (
    "Id,LoadState,ActiveState,SubState,Result,MainPID,FragmentPath,FreezerState,ExecMainStartTimestampMonotonic,"
    "InactiveEnterTimestampMonotonic"
)
# What systemd-run says while systemd still knows a dead unit of this name: its file is gone, or its control group is not yet.
STILL_LOADED = ("already loaded", "failed to load properly")
FORGET_TIMEOUT_S = 5
WAITS_TO_RESTART = "auto-restart"  # a drop-in sets Restart=


def too_old_systemd() -> str | None:
    """Return a message if this host's systemd is too old for the managed units, or None."""
    _status, said = run("systemctl", "--version")
    number = said.split()[1:2]  # 'systemd 252 (252.39-1~deb12u1)'
    version = int(number[0]) if number and number[0].isdigit() else 0
    return (
        None if version >= OLDEST_SYSTEMD else f"this host runs systemd {version}: {OLDEST_SYSTEMD} or newer is needed"
    )


def show(names: list[str]) -> dict[str, dict[str, str]]:
    """Return the properties in SHOWN of units, by name."""
    status, shown = run("systemctl", "show", f"--property={SHOWN}", *names)
    if status:
        raise RuntimeError(f"systemctl show failed: {shown.strip()}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.split("\n\n")]
    # By requested name: systemd shows an alias under the name of its unit.
    return dict(zip(names, (block for block in blocks if "Id" in block)))


def show_settled(names: list[str]) -> dict[str, dict[str, str]]:
    """Return the properties of units once none of them is starting or stopping, at the latest after the stop timeout.

    A service that was just killed stays 'active' until systemd notices, then 'deactivating' while its PID file is removed. Its
    result is valid only after that.
    """
    deadline = time.monotonic() + service.STOP_TIMEOUT_S + 5
    states = show(names)
    while not all(map(_is_settled, states.values())) and time.monotonic() < deadline:
        time.sleep(0.1)
        states = show(names)
    return states


def has_failed(state: dict[str, str]) -> bool:
    """Return whether a unit has failed, even if a drop-in will restart it."""
    return state["ActiveState"] == "failed" or state.get("SubState", "").startswith(WAITS_TO_RESTART)


def has_ended(state: dict[str, str]) -> bool:
    """Return whether a unit neither runs nor starts or stops."""
    return state["ActiveState"] in ("inactive", "failed")


def lifetime_s(state: dict[str, str]) -> float:
    """Return how many seconds an exited unit was up."""
    started, ended = (int(state.get(f"{event}TimestampMonotonic") or 0) for event in ("ExecMainStart", "InactiveEnter"))
    return (ended - started) / 1e6 if ended > started else float("inf")


def _is_settled(state: dict[str, str]) -> bool:
    if state.get("SubState", "").startswith(WAITS_TO_RESTART):
        return True
    pid = int(state["MainPID"])
    return not state["ActiveState"].endswith("activating") and (not pid or processes.measure(pid) is not None)


def ours() -> dict[str, FoundDefinition]:
    """Return the definitions of the managed units, by name."""
    found: dict[str, FoundDefinition] = {}
    try:
        names = os.listdir(TRANSIENT_DIRECTORY)
    except FileNotFoundError:
        return found
    for name in names:
        if name.endswith(".service"):
            try:
                with open(os.path.join(TRANSIENT_DIRECTORY, name), errors="surrogateescape") as file:
                    definition = service.parse(name, file.read())
            except (FileNotFoundError, IsADirectoryError):
                continue
            if definition:
                found[name] = definition
    return found


def drop_in_files(name: str) -> list[str]:
    """Return the drop-ins of a unit."""
    return drop_ins.files(name, UNIT_DIRECTORIES)


def files(name: str) -> list[str]:
    """Return all files that define a unit of this name. Much faster than querying systemd, which has the final say."""
    paths_of_unit = [os.path.join(directory, name) for directory in UNIT_DIRECTORIES]
    return [path for path in paths_of_unit if os.path.lexists(path)]


def start(definition: Definition, source: bytes) -> None:
    """Start the unit and wait until the service has logged its first line. Raises RuntimeError if it does not run."""
    settings = [*service.properties(definition), f"Environment={service.MARKER}={service.build(definition, source)}"]
    command = (
        "systemd-run",
        "--quiet",
        "--no-ask-password",
        f"--unit={definition['unit']}",
        f"--description={DESCRIPTION}",
        *(f"--property={setting}" for setting in settings),
        "--",
        *service.command(definition),
    )
    deadline = time.monotonic() + FORGET_TIMEOUT_S
    status, said = run(*command, timeout_s=service.START_TIMEOUT_S + 10)
    while status and any(words in said for words in STILL_LOADED) and time.monotonic() < deadline:
        # A cleanup was killed after it had removed the unit's file, or has only just ended.
        if not has_ended(show([definition["unit"]])[definition["unit"]]):
            break  # somebody has started another unit of this name meanwhile: its file stays
        _forget(definition["unit"])
        status, said = run(*command, timeout_s=service.START_TIMEOUT_S + 10)
    if status:
        # With --quiet a failed start job prints nothing: show the result of the unit.
        why = (
            too_old_systemd()
            or said.strip()
            or f"its result is {show([definition['unit']])[definition['unit']]['Result']}"
        )
        raise RuntimeError(f"systemd did not start {definition['unit']}: {why}")
    wait_for_first_line(definition)


def main_pid_without_file(name: str) -> int | None:
    """Return the main PID of a unit that runs although nothing defines it any more, or None if it does not run."""
    if not os.path.lexists(os.path.join(INVOCATIONS, f"invocation:{name}")):
        return None
    state = show([name])[name]
    return None if has_ended(state) else int(state["MainPID"])


def _forget(name: str) -> None:
    """Make systemd forget a dead unit, and the file of a start that failed."""
    paths.remove(_transient_file(name))
    run("systemctl", "reset-failed", name)
    run("systemctl", "daemon-reload")
    time.sleep(0.1)


def _transient_file(name: str) -> str:
    return os.path.join(TRANSIENT_DIRECTORY, name)


def wait_for_first_line(definition: Definition) -> None:
    """Wait until the service has logged something. Raises RuntimeError if it exits or the timeout expires."""
    name, log_file = definition["unit"], definition["log_file"]
    deadline = time.monotonic() + FIRST_LINE_TIMEOUT_S
    while time.monotonic() < deadline:
        next_query = time.monotonic() + 1
        while time.monotonic() < next_query:
            if os.path.getsize(log_file):
                return
            time.sleep(0.02)
        if show([name])[name]["ActiveState"] != "active":
            raise RuntimeError(f"{name} exited at once and logged nothing")
    raise RuntimeError(f"{name} started but logged nothing in {FIRST_LINE_TIMEOUT_S} s")


def last_line(definition: Definition) -> str:
    """Return the last line of the service's log, empty if there is none."""
    said = paths.content(definition["log_file"], 1000) or b""
    return said.decode(errors="replace").rstrip().rpartition("\n")[2]


def stop(name: str) -> None:
    """Stop a unit, wait until its processes have exited, and unload it. Raises RuntimeError on failure."""
    _status, said = run("systemctl", "stop", name)
    _forget_transient_drop_ins(name)
    if not os.path.exists(_transient_file(name)):
        return  # systemd unloads the unit when the last process has exited
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
        # Seen in practice: an inactive unit stays loaded with its unit file, and neither stop nor reset-failed helps.
        paths.remove(fragment)
        run("systemctl", "daemon-reload")
        state = show([name])[name]
    if not has_ended(state):
        # Its processes start others before SIGKILL reaches them one by one: kill all at once.
        processes.kill_unit(name)
        state = show_settled([name])[name]
        run("systemctl", "reset-failed", name)
        state = show([name])[name]
    if state["ActiveState"] != "inactive":
        raise RuntimeError(f"systemd did not stop {name}: {said.strip() or state['ActiveState']}")


def _forget_transient_drop_ins(name: str) -> None:
    """Remove the drop-ins of `systemctl set-property` that systemd has left behind."""
    directory = os.path.join(TRANSIENT_DIRECTORY, f"{name}.d")
    left = drop_ins.files(name, [TRANSIENT_DIRECTORY])
    for path in left:
        paths.remove(path)
    if left:
        paths.remove_directory(directory)
        run("systemctl", "daemon-reload")
