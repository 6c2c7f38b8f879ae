"""Documentation of the action plugin `lab`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: lab
short_description: Bring a lab of throw-away hosts on this computer up or down
description:
  - Boots QEMU virtual machines or systemd-nspawn containers from cached Debian images, or stops them and forgets them.
  - Runs on the controller, and needs the Python package of this project there.
  - The hosts are reached over ssh on loopback ports, with a key and known host keys that the lab makes.
  - The inventory source C(inventory/lab.py) finds the hosts of a lab that is up.
options:
  state:
    description: Whether the lab is to be up or down.
    type: str
    choices: [up, down]
    required: true
  name:
    description: The lab's name, up to 40 lower-case letters, digits, C(-) and C(_). Labs of different names are independent.
    type: str
    required: true
  driver:
    description:
      - What the hosts are. Needed for O(state=up).
      - V(qemu), virtual machines with a kernel and memory of their own, on KVM where it works. They need no root.
      - V(nspawn), containers, for fleets of many. They need root, and share the computer's kernel, network and memory, so
        neither memory ceilings nor the kernel's log can be seen at work there. It raises the sysctl
        C(fs.inotify.max_user_instances) as far as they need.
    type: str
    choices: [qemu, nspawn]
  host_count:
    description: The number of hosts, 1 to 20 with V(qemu) and 1 to 200 with V(nspawn). Needed for O(state=up).
    type: int
  releases:
    description:
      - The Debian releases dealt out to the hosts in turn. Needed for O(state=up).
      - V(bullseye) is past its support. V(forky) runs as a container only where the computer's cgroups are of version 2.
    type: list
    elements: str
    choices: [bullseye, bookworm, trixie, forky]
  users:
    description:
      - The users dealt out to the hosts in turn, as whom Ansible logs in. Needed for O(state=up).
      - V(root), V(admin) (sudo without a password) and V(trainer) (sudo with a password).
    type: list
    elements: str
  memory_mib:
    description: The memory of each virtual machine in MiB, 256 to 65536. Needed for O(state=up).
    type: int
  mirror:
    description: The mirror that images are built from. Empty means each release's own.
    type: str
    default: ""
  allow_expired_mirror:
    description: Whether that mirror may be a snapshot whose index has expired.
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
  description: The hosts that were started, or that were there before the lab went down.
  returned: success
  type: list
  elements: str
  sample: [debian12, debian13]
"""
