#!/usr/bin/env python3
"""Ansible inventory of the local lab: its running hosts, in the group memory_leak. Empty when the lab is down.

The environment variable MEMORY_LEAK_LAB names the lab, by default "default". Reads the files that the role `lab` writes.
Standard library only, so that any ansible-core can run it.
"""

import json
import os
from pathlib import Path

# A control socket in the lab's directory lets all of a user's ssh clients share a connection. Socket paths have a length limit.
LONGEST_SOCKET_DIRECTORY = 70
SUDO_PASSWORDS = {"trainer": "lab-trainer"}  # throw-away hosts, reachable only from this computer


def is_running(home):
    """Return whether the process of this directory's host is alive."""
    try:
        pid = int((home / "pid").read_text())
        return f"{home}/credentials" in Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return False


def variables(lab, host):
    """Return the connection variables of a host of the lab."""
    user = host["user"]
    found = {
        "ansible_host": host.get("address", "127.0.0.1"),  # absent in labs of older versions
        "ansible_port": host["port"],
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(lab / "key"),
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={lab}/known_hosts -o IdentitiesOnly=yes",
    }
    if len(str(lab)) < LONGEST_SOCKET_DIRECTORY:
        found["ansible_ssh_common_args"] += f" -o ControlPath={lab}/%r-%p"
    if user != "root":
        found["ansible_become"] = True
    if user in SUDO_PASSWORDS:
        found["ansible_become_password"] = SUDO_PASSWORDS[user]
    return found


def main():
    """Print the whole inventory, whatever the arguments."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    lab = state / "memory-leak-lab" / os.environ.get("MEMORY_LEAK_LAB", "default")
    running = [json.loads(file.read_text()) for file in sorted(lab.glob("*/host.json")) if is_running(file.parent)]
    hosts = {host["name"]: variables(lab, host) for host in running}
    print(json.dumps({"memory_leak": {"hosts": list(hosts)}, "_meta": {"hostvars": hosts}}))


if __name__ == "__main__":
    main()
