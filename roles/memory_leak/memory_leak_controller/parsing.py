"""Parse the values of single variables. Each function returns the parsed value, or raises ValueError with what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from . import measurement

PREFIX = "memory_leak_"
RATE_RANGE_MIB_PER_MIN = (0.2, 6000)
MEMORY_MAX_RANGE_BYTES = (32 * 1024**2, 1024**4)
RUNTIME_MAX_RANGE_S = (60, 7 * 86400)
OBSERVE_RANGE_S = (5, 3600)
SIZE_UNITS = {"M": 1024**2, "G": 1024**3, "T": 1024**4}
TIME_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
SAFE_PATH = re.compile(r"(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")
# A workload directory or log here would replace parts of the system, or lie among them.
SYSTEM_DIRECTORIES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/sbin"),
)
SHARED_DIRECTORIES = (
    *("/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/usr", "/usr/lib", "/usr/local"),
    *("/tmp", "/var", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108
)


def rate(number: float) -> float:
    """Return MiB per minute."""
    low, high = RATE_RANGE_MIB_PER_MIN
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"a number of MiB per minute from {low} to {high}")
    return float(number)


def percentage(most: int) -> Callable[[Any], Any]:
    """Return a function that parses a percentage of up to `most`."""

    def parse(value: float) -> float:
        if not 0 <= value <= most:
            raise ValueError(f"a percentage from 0 to {most}")
        return float(value)

    return parse


def start_delay_max(text: str) -> int:
    """Return seconds, 0 to 3600."""
    return _quantity(text, TIME_UNITS, 0, 3600, "a whole number and a unit (s, min, h), from 0s to 1h")


def observe(seconds: int) -> int:
    """Return seconds, 0 for no observation."""
    shortest, longest = OBSERVE_RANGE_S
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(f"0 or a whole number of seconds from {shortest} to {longest}")
    return int(seconds)


def observe_verified(seconds: int) -> int:
    """Return seconds; the default is the shortest duration for a verdict."""
    shortest, longest = measurement.SHORTEST_S, OBSERVE_RANGE_S[1]
    if seconds and not shortest <= seconds <= longest:
        raise ValueError(f"0 (for {shortest}) or from {shortest} to {longest} seconds, since {PREFIX}verify is true")
    return int(seconds) or shortest


def report_path(text: str) -> str:
    """Return a path on the controller."""
    if not text.strip() or "\0" in text or "\n" in text:
        raise ValueError("a path on the controller; a relative one starts at the project's root")
    return text


def _quantity(text: str, units: dict[str, int], low: int, high: int, expected: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([a-zA-Z]+)", text.strip())
    factor = units.get(match[2]) if match else None
    if not match or factor is None or not low <= int(match[1]) * factor <= high:
        raise ValueError(expected)
    return int(match[1]) * factor


def memory_max(text: str) -> int:
    """Return bytes."""
    return _quantity(text, SIZE_UNITS, *MEMORY_MAX_RANGE_BYTES, "a whole number and a unit (M, G, T), from 32M to 1T")


def runtime_max(text: str) -> int:
    """Return seconds."""
    return _quantity(text, TIME_UNITS, *RUNTIME_MAX_RANGE_S, "a whole number and a unit (s, min, h, d), from 60s to 7d")


def user(name: str) -> str:
    """Return the name of a user of the host, empty for a dynamic one."""
    if name and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", name):
        raise ValueError("the name of a user of the host, or empty for a dynamic user")
    return str(name)


def unit(name: str) -> str:
    """Return the unit's full name, with `.service`."""
    stem = name.removesuffix(".service")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", stem) or re.search(
        r"\.(socket|timer|slice|scope|target|mount)$", stem
    ):
        raise ValueError("a service name of up to 100 letters, digits, '_', '-' and '.', with or without '.service'")
    return f"{stem}.service"


def path(text: str) -> str:
    """Return an absolute path without characters that are special to a shell or systemd."""
    if not SAFE_PATH.fullmatch(text) or len(text) > 200:
        raise ValueError("an absolute path of letters, digits and '._+@-', with no '..', no '//' and no '/' at its end")
    return str(text)


def file(text: str) -> str:
    """Return a path outside the system directories."""
    found = path(text)
    for system in SYSTEM_DIRECTORIES:
        if f"{found}/".startswith(f"{system}/"):
            raise ValueError(f"a path outside {system}")
    return found


def directory(text: str) -> str:
    """Return the path of a directory for the workload alone."""
    found = file(text)
    if found in SHARED_DIRECTORIES:
        raise ValueError(f"a directory for the workload alone, not the shared {found}")
    return found
