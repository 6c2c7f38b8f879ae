"""What may have become of a host before a playbook arrives, and what each playbook must then make of it.

INITIAL_STATES is the table: one row for each initial_state, one outcome and one `changed` for each playbook.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OPERATIONS = ("setup", "reset", "status", "cleanup")
WORKLOAD = "/mcp/scenarios/memory-leak/workload.py"
LOG, PID_FILE = "/tmp/memory-leak.log", "/tmp/memory-leak.pid"
UNIT_FILE = "/etc/systemd/system/memory-leak.service"
End = tuple[str, bool]  # outcome, changed

FIX = f"sed -i 's/        self._sessions.token. = state/        self._sessions = {{token: state}}/' {WORKLOAD}"
# Kept by another unit, a transient unit that has ended stays loaded with its file.
HOLD = "systemd-run --quiet --unit=holder --property=Wants=memory-leak.service --property=After=memory-leak.service sleep 9999"
BYSTANDER = "nohup sleep 9999 >/dev/null 2>&1 & echo $! >/run/bystander"
BYSTANDER_LIVES = "kill -0 $(cat /run/bystander)"


@dataclass(frozen=True)
class InitialState:
    """A initial_state: how a host comes to it, and how each playbook must end there.

    `script` runs as root on the host, after a setup unless `fresh`; `variables` are those of that setup. `intact` is a
    command that must succeed after each playbook, for what is not ours. `undo` removes what the script added for others.
    """

    name: str
    script: str
    status: str
    setup: End = ("running", True)
    reset: End = ("running", True)
    cleanup: End = ("absent", True)
    fresh: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    intact: str = "true"
    undo: str = ""

    def end(self, operation: str) -> End:
        """Return how a playbook must end."""
        return {"setup": self.setup, "reset": self.reset, "status": (self.status, False), "cleanup": self.cleanup}[
            operation
        ]


UNDISTURBED: End = ("running", False)
REFUSED: End = ("refused", False)
FAILED: End = ("failed", False)
DIRECTORY = WORKLOAD.removesuffix("/workload.py")
BY_HAND = f"systemctl stop memory-leak; cd {DIRECTORY}; nohup {{}} >{LOG} 2>&1 & sleep 0.5"
# Starts a process that only mentions the workload, with what Python reads from stdin.
INNOCENT = (
    "echo 'import time; time.sleep(9999)' >/run/innocent; "
    "nohup {} </run/innocent >/dev/null 2>&1 & echo $! >/run/bystander; sleep 0.2"
)
FORKS_WHEN_TOLD_TO_END = f"""cat >{WORKLOAD} <<'END'
import os, signal, time
def fork(*_): os.fork()
signal.signal(signal.SIGTERM, fork)
print("ready", flush=True)
until = time.monotonic() + 9999
while time.monotonic() < until: time.sleep(1)
END
"""
DROP_INS = "/etc/systemd/system/memory-leak.service.d"
SOMEBODYS_UNIT = """printf 'sleep 9999\\n' >/root/find.sh
systemd-run --quiet --unit=finder --property=StandardOutput=append:/root/found.log --setenv=TERM=SESSION_CACHE_BUILD=0123abcd \\
  sh /root/find.sh SESSION_CACHE_BUILD"""
OTHER_NAMES = {
    "memory_leak_unit": "cache",
    "memory_leak_directory": "/srv/cache/app",
    "memory_leak_log_file": "/var/log/cache.log",
    "memory_leak_pid_file": "/run/cache.pid",
}

INITIAL_STATES = (
    InitialState("never set up", "", "absent", fresh=True, cleanup=("absent", False)),
    InitialState("running", "", "running", setup=UNDISTURBED),
    InitialState(
        "running with another definition",
        "",
        "running",
        variables={"memory_leak_rate_mib_per_min": "45", "memory_leak_memory_max": "512M"},
    ),
    InitialState("killed", "kill -KILL $(cat /tmp/memory-leak.pid); sleep 1", "crashed"),
    InitialState(
        "crashed at start", f"echo 'import nothing' >{WORKLOAD}; systemctl restart memory-leak; sleep 1", "crashed"
    ),
    InitialState("ended cleanly", "kill $(cat /tmp/memory-leak.pid); sleep 1", "stopped"),
    InitialState(
        "expired",
        "sed -i s/^RuntimeMaxSec=.*/RuntimeMaxSec=1/ /run/systemd/transient/memory-leak.service; "
        "systemctl daemon-reload; sleep 3",
        "expired",
    ),
    InitialState("stopped by the investigator", "systemctl stop memory-leak", "stopped"),
    InitialState("restarted by the investigator", "systemctl restart memory-leak", "running", setup=UNDISTURBED),
    InitialState("fixed and restarted", f"{FIX}; systemctl restart memory-leak", "running"),
    InitialState("stopped by a signal", "kill -STOP $(cat /tmp/memory-leak.pid)", "running", setup=UNDISTURBED),
    InitialState("frozen", "systemctl freeze memory-leak || true", "running", setup=UNDISTURBED),
    InitialState(
        "dead but loaded",
        f"{HOLD}; systemctl stop memory-leak; [ -e /run/systemd/transient/memory-leak.service ]",
        "stopped",
        undo="systemctl stop holder",
    ),
    InitialState(
        "a unit of that name of somebody else",
        f"printf '[Service]\\nExecStart=/bin/sleep 9999\\n' >{UNIT_FILE}; systemctl daemon-reload; "
        "systemctl start memory-leak",
        "refused",
        setup=REFUSED,
        reset=REFUSED,
        cleanup=REFUSED,
        fresh=True,
        intact=f"[ -e {UNIT_FILE} ] && systemctl is-active memory-leak",
        undo=f"systemctl stop memory-leak; rm {UNIT_FILE}; systemctl daemon-reload",
    ),
    InitialState(
        "running, and a unit of that name of somebody else",
        f"printf '[Service]\\nExecStart=/bin/sleep 9999\\n' >{UNIT_FILE}; systemctl daemon-reload",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -e {UNIT_FILE} ]",
        undo=f"rm {UNIT_FILE}; systemctl daemon-reload",
    ),
    InitialState(
        "a masked unit of that name",
        "systemctl mask memory-leak",
        "refused",
        setup=REFUSED,
        reset=REFUSED,
        cleanup=REFUSED,
        fresh=True,
        intact=f"[ -L {UNIT_FILE} ]",
        undo="systemctl unmask memory-leak",
    ),
    InitialState(
        "started by hand",
        f"systemctl stop memory-leak; cd {WORKLOAD.removesuffix('/workload.py')}; "
        f"nohup python3 workload.py >{LOG} 2>&1 & echo $! >{PID_FILE}; sleep 0.5",
        "running",
    ),
    InitialState("PID file missing", f"rm {PID_FILE}", "running"),
    InitialState("PID file empty", f": >{PID_FILE}", "running"),
    InitialState("PID file with garbage", f"head -c 100000 /dev/urandom >{PID_FILE}", "running"),
    InitialState(
        "PID file that names a bystander",
        f"{BYSTANDER}; cp /run/bystander {PID_FILE}",
        "running",
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander",
    ),
    InitialState(
        "stopped, and a PID file that names a bystander",
        f"systemctl stop memory-leak; {BYSTANDER}; cp /run/bystander {PID_FILE}",
        "stopped",
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander",
    ),
    InitialState("PID file half written", f"mv {PID_FILE} {PID_FILE}.new-aBcDeFgH", "running"),
    InitialState("log deleted", f"rm {LOG}", "running"),
    InitialState(
        "log replaced by a directory",
        f"rm {LOG}; mkdir {LOG}",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -d {LOG} ]",
        undo=f"rmdir {LOG}",
    ),
    InitialState(
        "log replaced by a link",
        f"echo precious >/root/precious; ln -sf /root/precious {LOG}",
        "running",
        intact="grep -qx precious /root/precious",
        undo="rm /root/precious",
    ),
    InitialState("source edited", f"echo '# edited' >>{WORKLOAD}", "running"),
    InitialState("source deleted", f"rm {WORKLOAD}", "running"),
    InitialState(
        "source open in an editor",
        f"nohup tail -F {WORKLOAD} >/dev/null 2>&1 & echo $! >/run/bystander; sleep 0.5",
        "running",
        setup=UNDISTURBED,
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander",
    ),
    InitialState("half set up", f"mkdir -p {WORKLOAD.removesuffix('/workload.py')}", "stopped", fresh=True),
    InitialState("half cleaned up", "mkdir -p /mcp/scenarios", "stopped", fresh=True),
    InitialState(
        "files of others beside it",
        "touch /mcp/scenarios/another-scenario",
        "running",
        setup=UNDISTURBED,
        intact="[ -e /mcp/scenarios/another-scenario ]",
        undo="rm -r /mcp",
    ),
    InitialState(
        "files of others and nothing of ours",
        "mkdir -p /mcp/scenarios; touch /mcp/scenarios/another-scenario",
        "absent",
        cleanup=("absent", False),
        fresh=True,
        intact="[ -e /mcp/scenarios/another-scenario ]",
        undo="rm -r /mcp",
    ),
    InitialState(
        "set up under other names",
        "",
        "running",
        variables=OTHER_NAMES,
    ),
    InitialState(
        "set up under other names, stopped, and its directory removed",
        "systemctl stop cache; rm -r /srv/cache",
        "stopped",
        variables=OTHER_NAMES,
    ),
    InitialState(
        "set up in another directory, and stopped",
        "systemctl stop memory-leak",
        "stopped",
        variables={"memory_leak_directory": "/srv/cache/app"},
    ),
    InitialState(
        "a unit of root's own that mentions the marker",
        SOMEBODYS_UNIT,
        "absent",
        cleanup=("absent", False),
        fresh=True,
        intact="systemctl is-active finder && [ -e /root/find.sh ] && [ -e /root/found.log ]",
        undo="systemctl stop finder; rm /root/find.sh /root/found.log",
    ),
    InitialState("started by hand with -Xtracemalloc", BY_HAND.format("python3 -Xtracemalloc workload.py"), "running"),
    InitialState(
        "started by hand with -Wdefault::X", BY_HAND.format("python3 -Wdefault::UserWarning workload.py"), "running"
    ),
    InitialState(
        "started by hand, and its directory removed",
        BY_HAND.format("python3 workload.py") + f"; rm -r {DIRECTORY}",
        "running",
    ),
    InitialState(
        "started by hand, and its directory renamed",
        BY_HAND.format("python3 workload.py")
        + f"; grep -q 'Session cache' {WORKLOAD} && mv {DIRECTORY} /mcp/scenarios/renamed; true",
        "running",
        undo=f"mv -T /mcp/scenarios/renamed {DIRECTORY} || rm -r /mcp/scenarios/renamed",
    ),
    *(
        InitialState(
            f"an innocent {name} that mentions the workload",
            INNOCENT.format(command),
            "running",
            setup=UNDISTURBED,
            intact=BYSTANDER_LIVES,
            undo="kill $(cat /run/bystander); rm /run/bystander /run/innocent",
        )
        for name, command in (
            ("python3 -", f"python3 - {WORKLOAD}"),
            ("python3 -c", f"python3 -c'import time; time.sleep(9999)' {WORKLOAD}"),
        )
    ),
    InitialState(
        "a process whose name is no UTF-8",
        "cp /bin/sleep /run/sl$(printf '\\351')ep; nohup /run/sl*ep 9999 >/dev/null 2>&1 & echo $! >/run/bystander; sleep 0.2",
        "running",
        setup=UNDISTURBED,
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander /run/sl*ep",
    ),
    InitialState(
        "started by hand at a rate that is no number",
        f"systemctl stop memory-leak; echo 'import time; time.sleep(9999)' >{WORKLOAD}; "
        f"nohup python3 {WORKLOAD} --ingest-mib-per-min nan >{LOG} 2>&1 & sleep 0.5",
        "running",
    ),
    InitialState(
        "started by hand, and forks when told to end",
        f"systemctl stop memory-leak; {FORKS_WHEN_TOLD_TO_END}nohup python3 {WORKLOAD} >{LOG} 2>&1 & sleep 0.5",
        "running",
    ),
    InitialState(
        "edited to fork when told to end, and restarted",
        f"{FORKS_WHEN_TOLD_TO_END}systemctl restart memory-leak; sleep 1",
        "running",
    ),
    InitialState(
        "a higher ceiling by set-property", "systemctl set-property memory-leak.service MemoryMax=8G", "running"
    ),
    InitialState(
        "a higher ceiling by a drop-in",
        f"mkdir -p {DROP_INS}; printf '[Service]\\nMemoryMax=8G\\n' >{DROP_INS}/local.conf; systemctl daemon-reload",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -e {DROP_INS}/local.conf ]",
        undo=f"rm -r {DROP_INS}; systemctl daemon-reload",
    ),
    InitialState(
        "a drop-in that changes nothing that safety rests on",
        f"mkdir -p {DROP_INS}; printf '[Service]\\nEnvironment=LANG=C\\nMemoryMax=1024M\\n' >{DROP_INS}/local.conf; "
        "systemctl daemon-reload",
        "running",
        setup=UNDISTURBED,
        intact=f"[ -e {DROP_INS}/local.conf ]",
        undo=f"rm -r {DROP_INS}; systemctl daemon-reload",
    ),
    InitialState(
        "workload file busy",
        f"mount --bind {WORKLOAD} {WORKLOAD}",
        "running",
        setup=UNDISTURBED,
        reset=FAILED,
        cleanup=FAILED,
        undo=f"umount {WORKLOAD}",
    ),
    InitialState("left locked by a run that was killed", "touch /run/session-cache.lock", "running", setup=UNDISTURBED),
)

# Looks at a host without any of the role's own code. What it prints is read by `inspect`.
INSPECTION = f"""
echo "pids: $(pgrep -d ' ' -f '^[^ ]*python3[.0-9]* [^ ]*workload[.]py')"
echo "pid_file: $(head -c 20 {PID_FILE} 2>/dev/null)"
echo "left: $(ls -d {WORKLOAD} {LOG} {PID_FILE}* /srv/cache /var/log/cache.log /run/cache.pid /run/session-cache.lock \\
  /run/systemd/transient/memory-leak.service /run/systemd/transient/cache.service 2>/dev/null | tr '\\n' ' ')"
"""


def contradictions(said: str, outcome: str, pid: int | None, unit: str | None) -> list[str]:
    """Return where what INSPECTION printed contradicts a host's record, if it says `running` or `absent`."""
    seen = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    pids = [int(word) for word in seen["pids"].split()]
    left = seen["left"].split()
    found = []
    if len(pids) > 1:
        found.append(f"the workload runs {len(pids)} times: {pids}")
    if outcome == "running" and pids != [pid]:
        found.append(f"the record names PID {pid}, and {pids} run")
    if outcome == "running" and unit == "memory-leak.service" and seen["pid_file"].strip() != str(pid):
        found.append(f"the record names PID {pid}, and the PID file {seen['pid_file'].strip()!r}")
    if "/run/session-cache.lock" in left:
        found.append("the lock is still there")
    if outcome == "absent" and (pids or left):
        found.append(f"it is absent, they say, but there is {said}")
    return found
