"""Which script a Python process runs, read from its command line as CPython reads it, and whether that is our workload."""

from __future__ import annotations

import os

from memory_leak_host import paths, proc

# CPython's own options (Python/getopt.c): those that take a value, attached or as the next argument, and those that a command
# or a module follows in place of a script.
SHORT_WITH_VALUE = "WX"
SHORT_WITHOUT_SCRIPT = "cm"
LONG_WITH_VALUE = ("--check-hash-based-pycs",)
DELETED = " (deleted)"


def script_argument(command: list[str]) -> str | None:
    """Return the script of a Python command line, or None where there is none (`-c`, `-m`, `-`, an interactive one)."""
    arguments = iter(command[1:])
    for argument in arguments:
        if argument == "--":
            return next(arguments, None)
        if argument in LONG_WITH_VALUE:
            next(arguments, None)
        elif argument.startswith("--"):
            continue
        elif argument == "-":
            return None
        elif argument.startswith("-"):
            for place, letter in enumerate(argument[1:], 2):
                if letter in SHORT_WITHOUT_SCRIPT:
                    return None
                if letter in SHORT_WITH_VALUE:
                    if place == len(argument):
                        next(arguments, None)
                    break
        else:
            return argument
    return None


def _script_of(pid: int) -> tuple[str, str] | None:
    """Return the working directory and the script argument of a process that is a Python of the system's, or None."""
    directory = f"/proc/{pid}"
    try:
        # A host's containers show up in its /proc too; what runs in them is not ours.
        is_local = os.readlink(f"{directory}/ns/pid") == os.readlink("/proc/self/ns/pid")
        is_python = os.path.basename(os.readlink(f"{directory}/exe")).startswith("python")
        # Anyone may call a program of his own python; the system's belongs to root.
        if not is_local or not is_python or os.stat(f"{directory}/exe").st_uid != 0:
            return None
        argument = script_argument(proc.command(pid))
        working_directory = os.readlink(f"{directory}/cwd").removesuffix(DELETED)
    except OSError:  # it has ended, or is a kernel thread
        return None
    return None if argument is None else (working_directory, argument)


def runs_script(pid: int, script: str, known: bytes) -> bool:
    """Tell whether a process is a Python of the system's in our PID namespace that runs the script at this path.

    The file decides, not its name: the one at the path, or one of root's that begins with `known`, under whatever name.
    """
    found = _script_of(pid)
    if found is None:
        return False
    working_directory, argument = found
    # As the process itself sees it: it may have another root, other mounts, or a working directory that was renamed.
    seen = f"/proc/{pid}/root{argument}" if argument.startswith("/") else f"/proc/{pid}/cwd/{argument}"
    try:
        status = os.stat(seen)
    except OSError:
        return os.path.normpath(os.path.join(working_directory, argument)) == script
    try:
        if os.path.samestat(status, os.stat(script)):
            return True
    except OSError:  # it is gone from its path
        pass
    return bool(known) and status.st_uid == 0 and paths.content(seen, len(known), from_end=False) == known


def find(script: str, known: bytes) -> list[int]:
    """Return the PIDs of the processes that run the script at this path, in order."""
    return sorted(pid for pid in proc.pids() if runs_script(pid, script, known))
