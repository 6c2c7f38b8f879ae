"""Initial states of a host, and the expected result of each playbook.

INITIAL_STATES has one row per state, with an outcome and a `changed` value for each playbook.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OPERATIONS = ("setup", "reset", "status", "cleanup")
WORKLOAD = "/mcp/scenarios/memory-leak/workload.py"
LOG, PID_FILE = "/tmp/memory-leak.log", "/tmp/memory-leak.pid"
UNIT_FILE = "/etc/systemd/system/memory-leak.service"
End = tuple[str, bool]  # outcome, changed

FIX = f"sed -i 's/        self._sessions.token. = state/        self._sessions = {{token: state}}/' {WORKLOAD}"
# A stopped transient unit stays loaded, with its file, while another unit references it.
HOLD = "systemd-run --quiet --unit=holder --property=Wants=memory-leak.service --property=After=memory-leak.service sleep 9999"
BYSTANDER = "nohup sleep 9999 >/dev/null 2>&1 & echo $! >/run/bystander"
BYSTANDER_LIVES = "kill -0 $(cat /run/bystander)"


@dataclass(frozen=True)
class InitialState:
    """An initial state: how to create it, and the expected result of each playbook.

    `script` runs as root on the host, after a setup with `variables` unless `fresh`. `intact` is a command that must
    succeed after each playbook: it checks that foreign files and processes are untouched. `undo` removes them.
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
        """Return the expected outcome and `changed` of a playbook."""
        return {"setup": self.setup, "reset": self.reset, "status": (self.status, False), "cleanup": self.cleanup}[
            operation
        ]


UNDISTURBED: End = ("running", False)
REFUSED: End = ("refused", False)
FAILED: End = ("failed", False)
DIRECTORY = WORKLOAD.removesuffix("/workload.py")
MANUAL_START = f"systemctl stop memory-leak; cd {DIRECTORY}; nohup {{}} >{LOG} 2>&1 & sleep 0.5"
# Starts a process that only mentions the workload. Python reads its program from stdin.
BYSTANDER_PYTHON = (
    "echo 'import time; time.sleep(9999)' >/run/innocent; "
    "nohup {} </run/innocent >/dev/null 2>&1 & echo $! >/run/bystander; sleep 0.2"
)
AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
FORKS_ON_SIGTERM = f"""cat >{WORKLOAD} <<'END'
import os, signal, time
def fork(*_): os.fork()
signal.signal(signal.SIGTERM, fork)
print("ready", flush=True)
until = time.monotonic() + 9999
while time.monotonic() < until: time.sleep(1)
END
"""
TRANSIENT_FILE = "/run/systemd/transient/memory-leak.service"
PROPERTIES = "/etc/systemd/system.control/memory-leak.service.d"
DROP_INS = "/etc/systemd/system/memory-leak.service.d"
FOREIGN_UNIT = """printf 'sleep 9999\\n' >/root/find.sh
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
    InitialState("stopped by SIGSTOP", "kill -STOP $(cat /tmp/memory-leak.pid)", "running", setup=UNDISTURBED),
    InitialState("frozen", "systemctl freeze memory-leak || true", "running", setup=UNDISTURBED),
    InitialState(
        "dead but loaded",
        f"{HOLD}; systemctl stop memory-leak; [ -e /run/systemd/transient/memory-leak.service ]",
        "stopped",
        undo="systemctl stop holder",
    ),
    InitialState(
        "foreign unit with the same name",
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
        "foreign unit with the same name, running without its file",
        f"printf '[Service]\\nExecStart=/bin/sleep 9999\\n' >{UNIT_FILE}; systemctl daemon-reload; "
        f"systemctl start memory-leak; rm {UNIT_FILE}; systemctl daemon-reload",
        "refused",
        setup=REFUSED,
        reset=REFUSED,
        cleanup=REFUSED,
        fresh=True,
        intact="systemctl is-active memory-leak",
        undo="systemctl stop memory-leak",
    ),
    InitialState(
        "running, and a foreign unit file with the same name",
        f"printf '[Service]\\nExecStart=/bin/sleep 9999\\n' >{UNIT_FILE}; systemctl daemon-reload",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -e {UNIT_FILE} ]",
        # In a random walk, a restart may have started the foreign one.
        undo=f"rm {UNIT_FILE}; systemctl daemon-reload; [ -e {TRANSIENT_FILE} ] || systemctl stop memory-leak || true",
    ),
    InitialState(
        "masked unit with the same name",
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
        "started manually",
        f"systemctl stop memory-leak; cd {WORKLOAD.removesuffix('/workload.py')}; "
        f"nohup python3 workload.py >{LOG} 2>&1 & echo $! >{PID_FILE}; sleep 0.5",
        "running",
    ),
    InitialState("PID file missing", f"rm {PID_FILE}", "running"),
    InitialState("PID file empty", f": >{PID_FILE}", "running"),
    InitialState("PID file with garbage", f"head -c 100000 /dev/urandom >{PID_FILE}", "running"),
    InitialState(
        "PID file names a bystander",
        f"{BYSTANDER}; cp /run/bystander {PID_FILE}",
        "running",
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander",
    ),
    InitialState(
        "stopped, and the PID file names a bystander",
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
        "running, and another user runs the workload too",
        f"cd /; nohup {AS_NOBODY} python3 {WORKLOAD} >/dev/null 2>&1 & sleep 0.5",
        "running",
    ),
    InitialState(
        "PID file replaced by another user's directory",
        f"rm -f {PID_FILE}; {AS_NOBODY} mkdir {PID_FILE}",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -d {PID_FILE} ]",
        undo=f"rmdir {PID_FILE}",
    ),
    InitialState(
        "never set up, and another user's file at the log's path",
        f"rm -f {LOG}; {AS_NOBODY} sh -c 'echo mine >{LOG}'",
        "absent",
        cleanup=("absent", False),
        fresh=True,
    ),
    InitialState(
        "never set up, and a bind mount above the directory",
        "mkdir -p /srv/scenarios /mcp/scenarios; mountpoint -q /mcp/scenarios || mount --bind /srv/scenarios /mcp/scenarios",
        "absent",
        cleanup=("absent", False),
        fresh=True,
        intact="mountpoint -q /mcp/scenarios",
        undo="umount --lazy /mcp/scenarios; rm -r /srv/scenarios /mcp",
    ),
    InitialState(
        "start record half written",
        "mkdir -pm 700 /var/lib/session-cache; printf 'unit=mem' >/var/lib/session-cache/memory-leak.new",
        "stopped",
        fresh=True,
    ),
    InitialState(
        "log replaced by a symlink",
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
        "running, with foreign files beside it",
        "touch /mcp/scenarios/another-scenario",
        "running",
        setup=UNDISTURBED,
        intact="[ -e /mcp/scenarios/another-scenario ]",
        undo="rm -r /mcp",
    ),
    InitialState(
        "foreign files only",
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
        "foreign unit that mentions the marker",
        FOREIGN_UNIT,
        "absent",
        cleanup=("absent", False),
        fresh=True,
        intact="systemctl is-active finder && [ -e /root/find.sh ] && [ -e /root/found.log ]",
        undo="systemctl stop finder; rm /root/find.sh /root/found.log",
    ),
    InitialState(
        "started manually with -Xtracemalloc", MANUAL_START.format("python3 -Xtracemalloc workload.py"), "running"
    ),
    InitialState(
        "started manually with -Wdefault::X",
        MANUAL_START.format("python3 -Wdefault::UserWarning workload.py"),
        "running",
    ),
    InitialState(
        "started manually, and its directory removed",
        MANUAL_START.format("python3 workload.py") + f"; rm -r {DIRECTORY}",
        "running",
    ),
    *(
        InitialState(f"started manually by {command}", MANUAL_START.format(command), "running")
        for command in ("python3 -m workload", "sh -c 'exec python3 - <workload.py'", "python3 -m cProfile workload.py")
    ),
    InitialState(
        "started manually, and its directory renamed",
        MANUAL_START.format("python3 workload.py")
        + f"; grep -q 'Session cache' {WORKLOAD} && mv {DIRECTORY} /mcp/scenarios/renamed; true",
        "running",
        undo=f"mv -T /mcp/scenarios/renamed {DIRECTORY} || rm -r /mcp/scenarios/renamed",
    ),
    *(
        InitialState(
            f"bystander {name} that mentions the workload",
            BYSTANDER_PYTHON.format(command),
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
        "process with a non-UTF-8 name",
        "cp /bin/sleep /run/sl$(printf '\\351')ep; nohup /run/sl*ep 9999 >/dev/null 2>&1 & echo $! >/run/bystander; sleep 0.2",
        "running",
        setup=UNDISTURBED,
        intact=BYSTANDER_LIVES,
        undo="kill $(cat /run/bystander); rm /run/bystander /run/sl*ep",
    ),
    InitialState(
        "started manually with a non-numeric rate",
        f"systemctl stop memory-leak; echo 'import time; time.sleep(9999)' >{WORKLOAD}; "
        f"nohup python3 {WORKLOAD} --ingest-mib-per-min nan >{LOG} 2>&1 & sleep 0.5",
        "running",
    ),
    InitialState(
        "started manually, and forks on SIGTERM",
        f"systemctl stop memory-leak; {FORKS_ON_SIGTERM}nohup python3 {WORKLOAD} >{LOG} 2>&1 & sleep 0.5",
        "running",
    ),
    InitialState(
        "edited to fork on SIGTERM, and restarted",
        f"{FORKS_ON_SIGTERM}systemctl restart memory-leak; sleep 1",
        "running",
    ),
    InitialState(
        "ceiling raised by set-property",
        "systemctl set-property memory-leak.service MemoryMax=8G",
        "running",
        undo=f"rm -rf {PROPERTIES}; systemctl daemon-reload",
    ),
    InitialState(
        "ceiling raised by a drop-in",
        f"mkdir -p {DROP_INS}; printf '[Service]\\nMemoryMax=8G\\n' >{DROP_INS}/local.conf; systemctl daemon-reload",
        "running",
        setup=REFUSED,
        reset=REFUSED,
        intact=f"[ -e {DROP_INS}/local.conf ]",
        undo=f"rm -r {DROP_INS}; systemctl daemon-reload",
    ),
    InitialState(
        "drop-in without safety-relevant changes",
        f"mkdir -p {DROP_INS}; printf '[Service]\\nEnvironment=LANG=C\\nMemoryMax=1024M\\n' >{DROP_INS}/local.conf; "
        "systemctl daemon-reload",
        "running",
        setup=UNDISTURBED,
        intact=f"[ -e {DROP_INS}/local.conf ]",
        undo=f"rm -r {DROP_INS}; systemctl daemon-reload",
    ),
    InitialState(
        "workload file busy",
        f"grep -q ' {WORKLOAD} ' /proc/self/mountinfo || mount --bind {WORKLOAD} {WORKLOAD}",  # again would double the mounts
        "running",
        setup=UNDISTURBED,
        reset=FAILED,
        cleanup=FAILED,
        undo=f"umount --lazy {WORKLOAD}",
    ),
    InitialState("lock left by a killed run", "touch /run/session-cache.lock", "running", setup=UNDISTURBED),
)

# Inspects a host without the role's code. `contradictions` parses its output.
INSPECTION = f"""
echo "pids: $(pgrep -d ' ' -f '^[^ ]*python3[.0-9]* [^ ]*workload[.]py')"
echo "pid_file: $(head -c 20 {PID_FILE} 2>/dev/null)"
echo "left: $(find {LOG} {PID_FILE}* -maxdepth 0 ! -type d -user root 2>/dev/null | tr '\\n' ' ')" \\
  "$(ls -d {WORKLOAD} /srv/cache /var/log/cache.log /run/cache.pid /run/session-cache.lock /var/lib/session-cache \\
  /run/systemd/transient/memory-leak.service /run/systemd/transient/cache.service 2>/dev/null | tr '\\n' ' ')"
"""


def contradictions(inspection: str, outcome: str, pid: int | None, unit: str | None) -> list[str]:
    """Return the contradictions between INSPECTION's output and a record whose outcome is `running` or `absent`."""
    seen = dict(line.split(":", 1) for line in inspection.splitlines() if ":" in line)
    pids = [int(word) for word in seen["pids"].split()]
    left = seen["left"].split()
    found = []
    if len(pids) > 1:
        found.append(f"the workload runs {len(pids)} times: {pids}")
    if outcome == "running" and pids != [pid]:
        found.append(f"the record has PID {pid}, but the running PIDs are {pids}")
    if outcome == "running" and unit == "memory-leak.service" and seen["pid_file"].strip() != str(pid):
        found.append(f"the record has PID {pid}, but the PID file has {seen['pid_file'].strip()!r}")
    if "/run/session-cache.lock" in left:
        found.append("the lock file still exists")
    if outcome == "absent" and (pids or left):
        found.append(f"the outcome is absent, but the host has {inspection}")
    return found
