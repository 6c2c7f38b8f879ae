"""Throw-away hosts on this computer: `lifecycle` brings them up and down by the drivers `virtual_machines` and `containers`."""
