"""Documentation of the action plugin `lab`, where ansible-doc looks for it."""

DOCUMENTATION = """
module: lab
short_description: Bring a lab of throw-away virtual machines on this computer up or down
description:
  - Boots QEMU virtual machines from cached Debian images, or stops them and forgets all about them.
  - Runs on the controller, without root, and needs the Python package of this project there.
  - The machines are reached over ssh on loopback ports, with a key and known host keys that the lab makes.
  - The inventory source C(inventory/lab.py) finds the machines of a lab that is up.
options:
  state:
    description: Whether the lab is to be up or down.
    type: str
    choices: [up, down]
    required: true
  name:
    description: The lab's name, up to 40 lower-case letters, digits and C(-). Labs of different names are independent.
    type: str
    required: true
  host_count:
    description: The number of machines, 1 to 20. Needed for O(state=up).
    type: int
  releases:
    description: The Debian releases dealt out to the machines in turn, of V(bookworm) and V(trixie). Needed for O(state=up).
    type: list
    elements: str
  users:
    description:
      - The users dealt out to the machines in turn, as whom Ansible logs in. Needed for O(state=up).
      - V(root), V(admin) (sudo without a password) and V(trainer) (sudo with a password).
    type: list
    elements: str
  memory_mib:
    description: The memory of each machine in MiB, 256 to 65536. Needed for O(state=up).
    type: int
author:
  - The memory-leak scenario's authors
"""

EXAMPLES = """
- name: Boot one Debian 12 and one Debian 13
  lab:
    state: up
    name: default
    host_count: 2
    releases: [bookworm, trixie]
    users: [root]
    memory_mib: 2048
"""

RETURN = """
machines:
  description: The machines that were started, or that were there before the lab went down.
  returned: success
  type: list
  elements: str
  sample: [debian12, debian13]
"""
