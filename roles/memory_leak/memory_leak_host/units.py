"""Transient systemd units of ours: which there are, their state, start and stop."""

from __future__ import annotations

import os
import time

from memory_leak_host import drop_ins, paths, processes, service
from memory_leak_host.commands import run

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from memory_leak_controller.contract import Definition
    from memory_leak_host.service import FoundDefinition

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
DESCRIPTION = "Session cache service"
OLDEST_SYSTEMD = 247  # older ones don't know all of service.SANDBOX
FIRST_LINE_TIMEOUT_S = 20
SHOWN = (
    "Id,LoadState,ActiveState,SubState,Result,MainPID,FragmentPath,FreezerState,ExecMainStartTimestampMonotonic,"
    "InactiveEnterTimestampMonotonic"
)
WAITS_TO_RESTART = "auto-restart"  # a drop-in sets Restart=


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
    # By the names asked for: an alias is shown under the name of its unit.
    return dict(zip(names, (block for block in blocks if "Id" in block)))


def show_settled(names: list[str]) -> dict[str, dict[str, str]]:
    """Return systemd's properties of units as soon as none of them is on its way up or down, at the latest after a stop's time.

    A service that was just killed is still 'active' until systemd has noticed, and then 'deactivating' while its PID file is
    removed; only then its result counts.
    """
    deadline = time.monotonic() + service.STOP_TIMEOUT_S + 5
    states = show(names)
    while not all(map(_is_settled, states.values())) and time.monotonic() < deadline:
        time.sleep(0.1)
        states = show(names)
    return states


def has_failed(state: dict[str, str]) -> bool:
    """Tell whether a unit has ended in a failure, even if a drop-in has it restarted in a while."""
    return state["ActiveState"] == "failed" or state.get("SubState", "").startswith(WAITS_TO_RESTART)


def lifetime_s(state: dict[str, str]) -> float:
    """Return how long a unit that has ended was up."""
    started, ended = (int(state.get(f"{event}TimestampMonotonic") or 0) for event in ("ExecMainStart", "InactiveEnter"))
    return (ended - started) / 1e6


def _is_settled(state: dict[str, str]) -> bool:
    if state.get("SubState", "").startswith(WAITS_TO_RESTART):
        return True
    pid = int(state["MainPID"])
    return not state["ActiveState"].endswith("activating") and (not pid or processes.measure(pid) is not None)


def ours() -> dict[str, FoundDefinition]:
    """Return the definitions of the units of ours, by name, as systemd has them."""
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
    """Return where a unit of this name is defined, by anyone: much quicker than asking systemd, which has the last word."""
    paths_of_unit = [os.path.join(directory, name) for directory in UNIT_DIRECTORIES]
    return [path for path in paths_of_unit if os.path.lexists(path)]


def start(definition: Definition, source: bytes) -> None:
    """Start the unit and wait until the service has logged its first line. Raises RuntimeError if it does not run."""
    settings = [*service.properties(definition), f"Environment={service.MARKER}={service.build(definition, source)}"]
    status, said = run(
        "systemd-run",
        "--quiet",
        "--no-ask-password",
        f"--unit={definition['unit']}",
        f"--description={DESCRIPTION}",
        *(f"--property={setting}" for setting in settings),
        "--",
        *service.command(definition),
        timeout_s=service.START_TIMEOUT_S + 10,
    )
    if status:
        # With --quiet a start job that fails says nothing: the unit's result has to.
        why = (
            too_old_systemd()
            or said.strip()
            or f"its result is {show([definition['unit']])[definition['unit']]['Result']}"
        )
        raise RuntimeError(f"systemd did not start {definition['unit']}: {why}")
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
    _forget_transient_drop_ins(name)
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
    if state["ActiveState"] not in ("inactive", "failed"):
        # Its processes outlive SIGKILL one by one, since they start others: all at once, then.
        processes.kill_unit(name)
        state = show_settled([name])[name]
        run("systemctl", "reset-failed", name)
        state = show([name])[name]
    if state["ActiveState"] != "inactive":
        raise RuntimeError(f"systemd did not stop {name}: {said.strip() or state['ActiveState']}")


def _forget_transient_drop_ins(name: str) -> None:
    """Remove what `systemctl set-property` has changed of a transient unit, should systemd have left it behind."""
    directory = os.path.join(TRANSIENT_DIRECTORY, f"{name}.d")
    left = drop_ins.files(name, [TRANSIENT_DIRECTORY])
    for path in left:
        paths.remove(path)
    if left:
        paths.remove_directory(directory)
        run("systemctl", "daemon-reload")
