"""Find the Python processes that run the workload: parse their command lines as CPython does, and compare the script's file.

Any user may own these processes and the file systems that they use, which may never answer. So a child process examines
them, and is abandoned if it gets stuck.
"""

from __future__ import annotations

import os
import select
import stat

from memory_leak_host import owner_access, proc

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# CPython's options (Python/getopt.c): those with a value, attached or as the next argument, and those that run a command or a
# module instead of a script.
SHORT_WITH_VALUE = "WX"
SHORT_COMMAND, SHORT_MODULE = "cm"
LONG_WITH_VALUE = ("--check-hash-based-pycs",)
RUNNERS = ("cProfile", "pdb", "profile", "trace")  # modules that run the script given to them
DELETED = " (deleted)"
STDIN = "-"
EXAMINATION_TIMEOUT_S = 2.0  # per process


def script_argument(command: list[str]) -> str | None:
    """Return the script of a Python command line: a path, STDIN, or None if it has none (`-c`)."""
    arguments = iter(command[1:])
    for argument in arguments:
        if argument == "--":
            return next(arguments, STDIN)
        if argument in LONG_WITH_VALUE:
            next(arguments, None)
        elif argument == STDIN or not argument.startswith("-"):
            return argument
        elif not argument.startswith("--"):
            letter, value = _last_option(argument)
            value = value or (next(arguments, "") if letter else "")
            if letter == SHORT_MODULE:
                return _script_of_module(value, arguments)
            if letter == SHORT_COMMAND:
                return None
    return STDIN


def _last_option(cluster: str) -> tuple[str, str]:
    """Return the option of a cluster that takes a value, and the value if attached; else empty strings."""
    for place, letter in enumerate(cluster[1:], 2):
        if letter in SHORT_WITH_VALUE + SHORT_COMMAND + SHORT_MODULE:
            return letter, cluster[place:]
    return "", ""


def _script_of_module(module: str, arguments: Iterator[str]) -> str | None:
    """Return the script that `-m` runs: the module in the working directory, or the script given to a runner."""
    if module in RUNNERS:
        return next((argument for argument in arguments if argument.endswith(".py")), None)
    return module.replace(".", "/") + ".py"


def pythons() -> list[int]:
    """Return the sorted PIDs of the processes called python that are not in a container, except this one."""
    return [pid for pid in sorted(proc.pids()) if pid != os.getpid() and _is_local_python(pid)]


def _is_local_python(pid: int) -> bool:
    directory = f"/proc/{pid}"
    try:
        return os.path.basename(os.readlink(f"{directory}/exe")).startswith("python") and (
            os.readlink(f"{directory}/ns/pid") == os.readlink("/proc/self/ns/pid")
        )
    except OSError:  # it has exited, or is a kernel thread
        return False


def running(pids: list[int], scripts: list[str], known: bytes, proven: Iterable[str]) -> dict[int, str]:
    """Return which of these processes run one of these scripts, and which one.

    The file decides, not its name: it is the file at the path, or root's and begins with `known`, whatever its name. If the
    file is gone, the name counts for root's processes, and for others if the path is `proven` to be the role's. A process that
    can't be examined in time counts as running none.
    """
    found = {}
    left = pids
    while left:
        examined = _examine_in_child(left, scripts, known, set(proven))
        found.update({pid: scripts[place] for pid, place in examined.items() if place >= 0})
        left = left[len(examined) + 1 :]  # the child got stuck at the next one
    return found


def _examine_in_child(pids: list[int], scripts: list[str], known: bytes, proven: set[str]) -> dict[int, int]:
    """Return the index of each process's script or -1, in order, until an examination times out."""
    output, inlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            owner_access.close_all_but(inlet)
            for pid in pids:
                os.write(inlet, b"%d\n" % _place(pid, scripts, known, proven))
        finally:
            os._exit(0)
    os.close(inlet)
    received = b""
    while select.select([output], [], [], EXAMINATION_TIMEOUT_S)[0]:
        part = os.read(output, 65536)
        if not part:
            break
        received += part
    os.close(output)
    places = dict(zip(pids, map(int, received.split(b"\n")[:-1])))
    owner_access.end_child(child, is_stuck=len(places) < len(pids))
    return places


def _place(pid: int, scripts: list[str], known: bytes, proven: set[str]) -> int:
    """Return the index of the script that a process runs, or -1 if it runs none of them."""
    try:
        seen, named = _script_of(pid)
    except OSError:  # it has exited, or has no script
        return -1
    status = _status(seen)
    for place, script in enumerate(scripts if status else []):
        there = _status(script)
        if status and there and os.path.samestat(status, there):
            return place
    if status and known and status.st_uid == 0 and _begins_with(seen, status, known):
        return 0
    if not status or not status.st_nlink:
        # The file is gone: only the command line is left, which any user can imitate.
        owner = owner_access.owner(pid)
        is_roots = owner is not None and owner[0] == 0
        names = {os.path.normpath(named), os.path.realpath(named)}
        for place, script in enumerate(scripts):
            if (is_roots or script in proven) and names & {script, os.path.realpath(script)}:
                return place
    return -1


def _script_of(pid: int) -> tuple[str, str]:
    """Return a path that reaches the script of a process, and its path as the process knows it.

    Raises OSError if it has no script, or if root does not own its Python: anyone can name a program python.
    """
    directory = f"/proc/{pid}"
    argument = script_argument(proc.command(pid))
    if argument is None or os.stat(f"{directory}/exe").st_uid != 0:
        raise FileNotFoundError(pid)
    if argument == STDIN:
        return f"{directory}/fd/0", os.readlink(f"{directory}/fd/0").removesuffix(DELETED)
    # As the process sees it, which may have another root, other mounts, or a renamed working directory.
    seen = f"{directory}/root{argument}" if argument.startswith("/") else f"{directory}/cwd/{argument}"
    return seen, os.path.join(os.readlink(f"{directory}/cwd").removesuffix(DELETED), argument)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _begins_with(path: str, status: os.stat_result, known: bytes) -> bool:
    """Return whether a regular file begins with `known`. Nothing else is opened."""
    opened = []
    try:
        # O_PATH does not open the file itself: no effect on a FIFO or device.
        opened.append(os.open(path, owner_access.O_PATH))
        if not stat.S_ISREG(status.st_mode) or not os.path.samestat(os.fstat(opened[0]), status):
            return False
        opened.append(os.open(f"/proc/self/fd/{opened[0]}", os.O_RDONLY))
        return os.read(opened[1], len(known)) == known
    except OSError:
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)
