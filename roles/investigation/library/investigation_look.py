"""Documentation of the action plugin `investigation_look`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: investigation_look
short_description: Look at a host's memory and processes as an investigator would
description:
  - Sends one Python program over stdin to the host's python3 (3.9 or newer), in one round trip. It reads /proc and asks
    free, ps, systemctl, journalctl and dmesg. Nothing on the host is written.
  - It knows no name and no path of any service, and needs root, by O(ignore:become) where needed, to see all of them.
options:
  since:
    description:
      - RV(look.processes) of an earlier look. With it, what has grown since is watched for 10 s and described, and the OOM
        killer's traces are collected.
    type: dict
attributes:
  check_mode:
    support: full
    description: It reads and changes nothing.
author:
  - The memory-leak scenario's authors
"""

EXAMPLES = """
- name: Look
  investigation_look:
  register: first
"""

RETURN = """
look:
  description:
    - What the host shows, with its clock's time (C(time), Unix seconds), seconds since boot (C(monotonic_s)), memory in KiB
      (C(memory_kib)), RSS and start of each process by PID (C(processes)), and the output of C(free) and C(ps).
    - With O(since) also C(growing), C(oom_kills), C(dmesg) and C(failed_units).
  returned: success
  type: dict
"""
