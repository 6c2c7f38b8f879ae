"""Assign variants, rates, delays and neutral names to the hosts of a fleet.

Everything depends only on the seed and the inventory host name, so the same seed gives the same fleet.
"""

from __future__ import annotations

import random
from typing import Any, cast

from .contract import Definition, InstallLocation, Variant
from .parsing import RATE_RANGE_MIB_PER_MIN

# A control's cache holds the sessions of half a minute: its memory is flat within a minute.
CONTROL_SESSIONS = 300
# Minimum and maximum size of a decoy's buffer, relative to its ceiling.
DECOY_SHARE = (0.3, 0.6)
DECOY_WITHOUT_CEILING_MIB = 400
# Neutral names for blind mode, one per host, for the unit, its directory in /opt, its log and its PID file.
NAMES = (
    *("session-store", "token-cache", "auth-sessions", "web-sessions", "login-gateway", "portal-state"),
    *("account-cache", "identity-store"),
)
FILE_NAME = "workload.py"
BLIND_FILE_NAME = "service.py"


def install_location(name: str) -> InstallLocation:
    """Return the install location for one of NAMES."""
    return {
        "unit": f"{name}.service",
        "directory": f"/opt/{name}",
        "file_name": BLIND_FILE_NAME,
        "log_file": f"/var/log/{name}.log",
        "pid_file": f"/run/{name}.pid",
    }


INSTALL_LOCATIONS = [install_location(name) for name in NAMES]


def _chance(seed: str, purpose: str, host: str) -> random.Random:
    return random.Random(f"{seed}\n{purpose}\n{host}")  # noqa: S311 # repeatable, not secret


def variant(settings: dict[str, Any], host: str, recorded: Variant | None) -> Variant | None:
    """Return the variant of a host, or None if it is unknown.

    The variable takes precedence, then the variant recorded at setup, then the percentages. These use only seed and host name,
    so a slice of an inventory gets the same variants as the whole.
    """
    return cast(Variant | None, settings["variant"] or None) or recorded or dealt(settings, host)


def dealt(settings: dict[str, Any], host: str) -> Variant | None:
    """Return the variant that the percentages assign to a host, or None if both are 0."""
    controls, decoys = settings["control_percent"], settings["decoy_percent"]
    if not controls and not decoys:
        return None
    percent = _chance(settings["seed"], "variant", host).random() * 100
    return "control" if percent < controls else "decoy" if percent < controls + decoys else "leaker"


def apply(definition: dict[str, Any], settings: dict[str, Any], host: str, assigned: Variant) -> Definition:
    """Return the definition for one host of a fleet, with the assigned variant."""
    seed = settings["seed"]
    low, high = RATE_RANGE_MIB_PER_MIN
    variation = settings["rate_variation_percent"] / 100
    rate = definition["target_rate_mib_per_min"] * (1 + _chance(seed, "rate", host).uniform(-variation, variation))
    changed: dict[str, Any] = {
        "file_name": FILE_NAME,
        "target_rate_mib_per_min": min(high, max(low, round(rate, 2)))
        if variation
        else definition["target_rate_mib_per_min"],
        "max_sessions": 0 if assigned == "leaker" else CONTROL_SESSIONS,
        "buffer_mib": 0,
        "start_delay_s": _chance(seed, "delay", host).randint(0, settings["start_delay_max_s"]),
    }
    if assigned == "decoy":
        ceiling_bytes = definition["memory_max_bytes"]
        most_mib = DECOY_WITHOUT_CEILING_MIB if ceiling_bytes is None else ceiling_bytes / 1024**2
        changed["buffer_mib"] = round(most_mib * _chance(seed, "buffer", host).uniform(*DECOY_SHARE))
    if settings["blind"]:
        changed |= install_location(_chance(seed, "name", host).choice(NAMES))
    return cast(Definition, definition | changed)
