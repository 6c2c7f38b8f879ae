"""Print a snapshot of a host as JSON, using its own python3 (3.9 or newer, standard library only). Changes nothing.

playbooks/investigate.yml sends this file over stdin, after the modules it imports and before a call of `snapshot`. It does not
depend on the name or path of any service. Given an earlier snapshot, it watches and describes the processes that have grown.
"""

import json
import os
import re
import stat
import subprocess
import time

from memory_leak_host import owner_access, proc

WATCH_S = 10
WATCH_INTERVAL_S = 1
LEAST_GROWTH_KIB = 100
MOST_GROWING = 5
MOST_SOURCE_BYTES = 100_000
LAST_LOG_BYTES = 3000
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}
UNIT_PROPERTIES = (
    "User,DynamicUser,Id,ActiveState,SubState,Result,ExecMainPID,ExecMainStartTimestamp,ExecMainExitTimestamp,ExecMainCode,"
    "ExecMainStatus,MemoryMax,MemoryCurrent,ExecStart"
)
KILLED = re.compile(r"Killed process (\d+) \(([^)]*)\).*?anon-rss:(\d+)kB, file-rss:(\d+)kB")
VICTIM_CGROUP = re.compile(r"task_memcg=([^,]*),task=[^,]*,pid=(\d+)")


def output(*command):
    """Return a command's output, or the error in parentheses if it could not be run."""
    try:
        done = subprocess.run(
            command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})"
    return (done.stdout or done.stderr).decode(errors="replace").rstrip()


def text_as(owner, path, most_bytes, from_end=False, root="/"):
    """Return the beginning or end of a regular file, read with the rights of `owner`; None if it cannot be read."""
    if not owner or not path:
        return None
    found = owner_access.read(path, most_bytes, owner, -most_bytes if from_end else 0, root)
    return None if found is None else found.decode(errors="replace")


def text_of(path):
    """Return the text of a file in /proc, or None if its process has ended."""
    try:
        return printable(proc.text(path))
    except OSError:
        return None


def statistics(pid):
    """Return a process's start (ticks since boot), RSS (KiB), CPU time (s) and name; None if it has exited or has no RSS."""
    found = proc.statistics(pid)
    if not found or not found.rss_bytes:
        return None
    rss_kib = found.rss_bytes // 1024
    return {"start": found.start_ticks, "rss_kib": rss_kib, "cpu_s": found.cpu_s, "name": printable(found.name)}


def printable(text):
    """Return a text that JSON can carry: replace bytes that are not UTF-8."""
    return os.fsencode(text).decode(errors="replace")


def processes():
    """Return the statistics of all processes with RSS, by PID (as text, for JSON)."""
    found = {str(pid): statistics(pid) for pid in proc.pids() if pid != os.getpid()}
    return {pid: process for pid, process in found.items() if process}


def memory_kib():
    """Return total and available memory and swap in KiB, by their names in /proc/meminfo."""
    memory = proc.memory()
    return {name: memory[name] // 1024 for name in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")}


def moment():
    """Return the Unix time and the seconds since boot, which changes of the clock do not affect."""
    return {"time": time.time(), "monotonic_s": time.monotonic()}


def oom_kills():
    """Return the OOM kills in the kernel log, in order: Unix time (None if unknown), PID, name, RSS, unit and message."""
    lines = []
    for line in output("journalctl", "-k", "-b", "-o", "json", "--no-pager").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        lines.append((int(entry["__REALTIME_TIMESTAMP"]) / 1e6, str(entry.get("MESSAGE"))))
    if not any(KILLED.search(message) for _time, message in lines):
        lines = [(None, line) for line in output("dmesg").splitlines()]
    kills, cgroups = [], {}
    for at, message in lines:
        cgroup = VICTIM_CGROUP.search(message)
        if cgroup:
            cgroups[cgroup[2]] = cgroup[1]
        killed = KILLED.search(message)
        if killed:
            cgroup_path = cgroups.get(killed[1], "")
            kills.append(
                {
                    "time": at,
                    "pid": int(killed[1]),
                    "name": killed[2],
                    "rss_kib": int(killed[3]) + int(killed[4]),
                    "unit": unit_in(cgroup_path),
                    "message": message,
                }
            )
    if kills:
        kills[-1]["service"] = unit_now(kills[-1]["unit"], None)
    return kills


def unit_in(cgroup, root=None):
    """Return the system unit in a cgroup path, or an empty string.

    It is the first unit below the slices; the unit itself named everything below it, as a user's service manager does. In some
    containers paths start outside, at `root`: by default the cgroup of PID 1.
    """
    if root is None:
        root = (proc.cgroups(1) or [""])[-1].removesuffix("/init.scope").rstrip("/")
    for part in cgroup.strip().removeprefix(root).split("/"):
        if part.endswith((".service", ".scope")):
            return part
    return ""


def unit_now(unit, pid):
    """Return systemd's record of a unit, and its program's script and last log lines if they can be read."""
    if not unit:
        return None
    shown = output("systemctl", "show", unit, "-p", UNIT_PROPERTIES)
    found = re.search(r"argv\[\]=([^;]*?) ;", shown)
    command = found[1].split() if found else []
    log = re.search(r"^StandardOutput=(?:append|file|truncate):(.+)$", output("systemctl", "cat", unit), re.M)
    properties = dict(line.partition("=")[::2] for line in shown.splitlines())
    # A stopped unit has no process whose rights can be used: use root's if it ran as root, else those of nobody.
    is_roots = not properties.get("User") and properties.get("DynamicUser") != "yes"
    owner = (owner_access.owner(pid) if pid else None) or (owner_access.ROOT if is_roots else owner_access.NOBODY)
    return {
        "unit": unit,
        "properties": properties,
        "status": output("systemctl", "status", unit, "--no-pager", "--lines=0") if pid else "",
        "journal": output("journalctl", "-u", unit, "-n", "10", "-o", "short-iso", "--no-pager"),
        "log": text_as(owner, log[1], LAST_LOG_BYTES, from_end=True) if log else None,
        **program(command, "", owner, f"/proc/{pid}/root" if pid else "/"),
    }


def program(command, directory, owner, root="/"):
    """Return the script that a Python command runs, with its text if the owner can read it; paths start at `root`."""
    if command and "python" in os.path.basename(command[0]):
        for argument in command[1:]:
            if not argument.startswith("-"):
                path = os.path.join(directory, argument)
                return {"script": path, "source": text_as(owner, path, MOST_SOURCE_BYTES, root=root)}
    return {"script": None, "source": None}


def described(pid):
    """Return a process's description from /proc and systemd."""
    try:
        command = [printable(argument) for argument in proc.command(pid)]
        directory = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        command, directory = [], ""
    status = text_of(f"/proc/{pid}/status") or ""
    owner = owner_access.owner(int(pid))
    unit = unit_in((proc.cgroups(pid) or [""])[-1])
    log = text_as(owner, owner_access.stdout(int(pid)), LAST_LOG_BYTES, from_end=True)
    return {
        "pid": int(pid),
        "command": command,
        "unit": unit,
        "status": "\n".join(line for line in status.splitlines() if line.startswith(("Name", "State", "Vm", "Rss"))),
        "maps": text_of(f"/proc/{pid}/smaps_rollup"),
        "service": unit_now(unit, int(pid)),
        "log": log,
        **program(command, directory, owner, f"/proc/{pid}/root"),
    }


def watch(earlier):
    """Watch the processes that have grown since an earlier snapshot; return samples and descriptions, fastest first."""
    now = processes()
    grown = {
        pid: process["rss_kib"] - earlier[pid]["rss_kib"]
        for pid, process in now.items()
        if pid in earlier and process["start"] == earlier[pid]["start"]
    }
    fastest = sorted((pid for pid in grown if grown[pid] >= LEAST_GROWTH_KIB), key=grown.get, reverse=True)
    samples = {pid: [] for pid in fastest[:MOST_GROWING]}
    # Describe first: a process may be killed while it is watched.
    found = {pid: described(pid) for pid in samples}
    for count in range(WATCH_S // WATCH_INTERVAL_S + 1 if samples else 0):
        if count:
            time.sleep(WATCH_INTERVAL_S)
        for pid, taken in samples.items():
            process = statistics(pid)
            if process and process["start"] == now[pid]["start"]:
                taken.append({**moment(), "rss_kib": process["rss_kib"], "cpu_s": process["cpu_s"], **memory_kib()})
    return [{"samples": taken, **found[pid]} for pid, taken in samples.items() if taken]


def snapshot(earlier=None):
    """Print a snapshot of this host as one line of JSON; `earlier` has the processes of an earlier snapshot, if any."""
    seen = {
        **moment(),
        "memory_kib": memory_kib(),
        "processes": processes(),
        "free": output("free", "-m"),
        "ps": "\n".join(
            output("ps", "-eo", "pid,user:12,etimes,rss,comm,args", "--sort=-rss", "--cols=160").splitlines()[:11]
        ),
    }
    if earlier is None:
        # RSS of a python3 that has just started: an upper bound for the RSS with which a Python process began.
        seen["python_rss_kib"] = statistics("self")["rss_kib"]
    else:
        seen["growing"] = watch(earlier)
        seen["oom_kills"] = oom_kills()
        kernel = [line for line in output("dmesg").splitlines() if re.search(r"oom|out of memory", line, re.I)]
        seen["dmesg"] = "\n".join(kernel[-20:])
        seen["failed_units"] = output("systemctl", "list-units", "--failed", "--no-legend", "--plain", "--no-pager")
    print(json.dumps(seen))
