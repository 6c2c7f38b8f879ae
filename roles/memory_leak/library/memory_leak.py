"""Documentation of the action plugin `memory_leak`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: memory_leak
short_description: Start, restart, remove or report a memory leak on a host
description:
  - Runs a small service whose memory grows steadily, as a transient systemd unit with a memory ceiling, an expiry and a
    sandbox.
  - An action plugin that costs one round trip per host. It sends one Python program over stdin to the host's python3
    (3.9 or newer), which C(ansible_python_interpreter) may name, and installs nothing.
  - The host must run systemd, and the task must run as root there, by O(ignore:become) where needed.
  - It reads the variables of the role C(memory_leak), whose tasks call it; C(ansible-doc -t role memory_leak) explains them.
options:
  operation:
    description:
      - V(setup) starts the service, or leaves it undisturbed where it runs as defined.
      - V(reset) stops and removes what there is and starts a fresh one.
      - V(cleanup) stops the service, waits until its processes are gone and removes every trace of it.
      - V(status) reports and changes nothing.
    type: str
    choices: [setup, reset, cleanup, status]
    required: true
attributes:
  check_mode:
    support: full
    description: Predicts what a real run would do, down to the entries of RV(changes).
  diff_mode:
    support: full
    description: Shows the change of the unit's definition.
author:
  - The memory-leak scenario's authors
"""

EXAMPLES = """
- name: Start the memory leak
  ansible.builtin.import_role:
    name: memory_leak
    tasks_from: setup
  vars:
    memory_leak_rate_mib_per_min: 60
"""

RETURN = """
outcome:
  description:
    - What is on the host now (in check mode, what would be) - V(absent), V(running), V(stopped), V(oom_killed), V(expired) or
      V(crashed); of a workload that was measured V(leaking), V(off_rate), V(plateaued) or V(stalled).
    - V(refused) where the host was not touched, V(failed) where the operation could not be carried out; RV(msg) says why.
  returned: always
  type: str
  sample: running
changes:
  description: What was done, or in check mode would be done, step by step.
  returned: always
  type: list
  elements: str
  sample: [write /mcp/scenarios/memory-leak/workload.py, start memory-leak.service]
msg:
  description: Why the operation was refused or failed, or what there is to know besides.
  returned: always
  type: str
unit:
  description: The transient unit. Null for a workload that was started by hand.
  returned: when the host was asked
  type: str
  sample: memory-leak.service
pid:
  description: The PID of the workload, null if none runs.
  returned: when the host was asked
  type: int
  sample: 1234
started_at:
  description: When the workload started, ISO 8601 in UTC by the host's clock, null if none runs.
  returned: when the host was asked
  type: str
  sample: "2026-11-22T08:07:29Z"
uptime_s:
  description: For how many seconds the workload has run, null if none runs.
  returned: when the host was asked
  type: float
  sample: 61.5
rss_bytes:
  description: The resident memory of the workload, null if none runs.
  returned: when the host was asked
  type: int
  sample: 43253760
ceiling_bytes:
  description: The ceiling in force, null without one (started by hand, a host-wide OOM allowed, a kernel that enforces none).
  returned: when the host was asked
  type: int
  sample: 1073741824
oom_in_s:
  description: In how many seconds, at its rate, the workload reaches its ceiling, or the end of the host's memory without one.
  returned: when the host was asked
  type: int
  sample: 1963
as_promised:
  description: Whether the workload was measured to do what the host's part promises.
  returned: when the host was asked
  type: bool
cpu_percent:
  description: How much of one processor the workload took while it was observed, or else since its start.
  returned: when the host was asked
  type: float
  sample: 0.31
mem_available_bytes:
  description: The memory that the host has available.
  returned: when the host was asked
  type: int
  sample: 1503238553
part:
  description: What the host plays, V(leaker), V(control) or V(decoy).
  returned: when the host was asked
  type: str
promised_mib_per_min:
  description: The rate that the workload was started with, null if none runs.
  returned: when the host was asked
  type: float
  sample: 30.0
r_squared:
  description: How straight RSS grew while it was observed, 0 to 1, null if it was not.
  returned: when the host was asked
  type: float
  sample: 0.9998
rate_mib_per_min:
  description: The slope of RSS while it was observed, null if it was not.
  returned: when the host was asked
  type: float
  sample: 30.02
rate_ci95_mib_per_min:
  description: The ends of the 95 % confidence interval of RV(rate_mib_per_min), null if it was not observed.
  returned: when the host was asked
  type: list
  elements: float
  sample: [29.97, 30.07]
requests_per_s:
  description: The requests that the workload served per second while it was observed, or else as it last logged.
  returned: when the host was asked
  type: float
  sample: 10.0
samples:
  description: Of each sample the seconds since the first one, RSS and the host's available memory in bytes.
  returned: when the host was asked
  type: list
  elements: list
"""
