"""Throw-away hosts on this computer: `lifecycle` brings them up and down, a driver of `drivers` runs them."""
