"""Throw-away hosts on this computer: `lifecycle` brings them up and down, a driver from `drivers` runs them."""
