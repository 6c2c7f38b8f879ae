"""Documentation of the action plugin `investigation_snapshot`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: investigation_snapshot
short_description: Inspect the memory and processes of a host as an investigator would
description:
  - Sends one Python program over stdin to the host's python3 (3.9 or newer), in one round trip. It reads /proc and asks
    free, ps, systemctl, journalctl and dmesg. It writes nothing on the host.
  - It does not depend on the name or path of any service. It needs root, through O(ignore:become) if necessary, to inspect
    all processes.
options:
  since:
    description:
      - RV(snapshot.processes) of an earlier snapshot. If given, processes that have grown since are watched for 10 s and
        described, and traces of the OOM killer are collected.
    type: dict
attributes:
  check_mode:
    support: full
    description: It reads and changes nothing.
author:
  - The memory-leak scenario's authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Take a snapshot
  investigation_snapshot:
  register: first
"""

RETURN = """
snapshot:
  description:
    - What the host shows, with its clock's time (C(time), Unix seconds), seconds since boot (C(monotonic_s)), memory in KiB
      (C(memory_kib)), RSS and start of each process by PID (C(processes)), and the output of C(free) and C(ps).
    - With O(since) also C(growing), C(oom_kills), C(dmesg) and C(failed_units).
  returned: success
  type: dict
  contains:
    processes:
      description: RSS and start of each process by PID.
      type: dict
      returned: always
"""
