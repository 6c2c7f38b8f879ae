"""Throw-away virtual machines on this computer: `images` builds their disks, `virtual_machines` boots and stops them."""
