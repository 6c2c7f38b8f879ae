"""Documentation of the action plugin `lab`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: lab
short_description: Bring a lab of throw-away hosts on this computer up or down
description:
  - Boots QEMU virtual machines or systemd-nspawn containers from cached Debian images, or stops and removes them.
  - Runs on the controller, and needs the Python package of this project there.
  - The hosts are reached over ssh on loopback ports, with a key and known host keys that the lab creates.
  - The inventory source C(inventory/lab.py) finds the running hosts of a lab.
options:
  state:
    description: Whether the lab should be up or down.
    type: str
    choices: [up, down]
    required: true
  name:
    description: The lab's name, up to 40 lower-case letters, digits, C(-) and C(_). Labs of different names are independent.
    type: str
    required: true
  driver:
    description:
      - The kind of hosts. Required for O(state=up).
      - V(qemu), virtual machines with their own kernel and memory, on KVM where it works. They need no root.
      - V(nspawn), containers, for large fleets. They need root and share the computer's kernel, network and memory, so
        memory ceilings and the kernel log cannot be tested there. It raises the sysctl
        C(fs.inotify.max_user_instances) as far as needed.
    type: str
    choices: [qemu, nspawn]
  host_count:
    description: The number of hosts, 1 to 20 with V(qemu) and 1 to 200 with V(nspawn). Required for O(state=up).
    type: int
  releases:
    description:
      - The Debian releases, assigned to the hosts in turn. Required for O(state=up).
      - V(bullseye) is no longer supported. V(forky) runs as a container only on cgroup v2.
    type: list
    elements: str
    choices: [bullseye, bookworm, trixie, forky]
  users:
    description:
      - The login users for Ansible, assigned to the hosts in turn. Required for O(state=up).
      - V(root), V(admin) (sudo without a password) and V(trainer) (sudo with a password).
    type: list
    elements: str
  memory_mib:
    description: The memory of each virtual machine in MiB, 256 to 65536. Required for O(state=up).
    type: int
  mirror:
    description: The mirror for building images. Empty means each release's own.
    type: str
    default: ""
  allow_expired_mirror:
    description: Whether to accept a mirror whose index has expired, such as a snapshot.
    type: bool
    default: false
author:
  - The memory-leak scenario's authors
"""

EXAMPLES = """
- name: Boot one Debian 12 and one Debian 13
  lab:
    state: up
    name: default
    driver: qemu
    host_count: 2
    releases: [bookworm, trixie]
    users: [root]
    memory_mib: 2048
"""

RETURN = """
hosts:
  description: The hosts that were started or removed.
  returned: success
  type: list
  elements: str
  sample: [debian12, debian13]
"""
