"""Drop-ins of a unit, which an administrator or an investigator may have written: what they change of what safety rests on.

Only NAME.service.d counts: service.d and the directories of name prefixes are the distribution's.
"""

from __future__ import annotations

import os

from memory_leak_host import paths, service

TYPE_CHECKING = False  # typing's own would cost a host its import
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_leak_controller.contract import Definition

MOST_BYTES = 65536
SIZE_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
# What we leave unset, and what would give the service more rights than it has.
NOT_SET = {
    **{"User": "", "Group": "", "SupplementaryGroups": "", "AmbientCapabilities": ""},
    # Each of these lets the service outlive its expiry.
    **{"Restart": "no", "RuntimeRandomizedExtraSec": "0", "RemainAfterExit": "no"},
    **{"KillMode": "control-group", "SendSIGKILL": "yes", "FinalKillSignal": "9"},
}
# Of our settings, those that a fix may change: they make the service no less safe.
HARMLESS = ("WorkingDirectory", "StandardOutput", "StandardError", "TimeoutStartSec", "TimeoutStopSec")


def files(name: str, directories: Iterable[str]) -> list[str]:
    """Return the drop-ins of a unit in these directories, in the order in which systemd reads them."""
    found: dict[str, str] = {}
    for directory in directories:  # the first that has a file of a name counts
        try:
            names = os.listdir(f"{directory}/{name}.d")
        except (FileNotFoundError, NotADirectoryError):
            continue
        for each in names:
            if each.endswith(".conf"):
                found.setdefault(each, f"{directory}/{name}.d/{each}")
    return [found[each] for each in sorted(found)]


def changes(drop_ins: list[str], definition: Definition) -> list[str]:
    """Return what drop-ins change in effect of the command and of the settings that safety rests on, each with its file."""
    ours = {**NOT_SET, **dict(setting.split("=", 1) for setting in service.properties(definition))}
    ours["ExecStart"] = " ".join(service.command(definition))
    for key in HARMLESS:
        ours.pop(key, None)
    last: dict[str, tuple[str, str]] = {}
    for path in drop_ins:
        for line in os.fsdecode(paths.content(path, MOST_BYTES) or b"").splitlines():
            key, equals, value = line.partition("=")
            # An empty value resets a list; what follows it counts.
            if equals and key.strip() in ours and (value.strip() or key.strip() != "ExecStart"):
                last[key.strip()] = (value.strip() or NOT_SET.get(key.strip(), ""), path)
    return [
        f"{key}={value} ({path})"
        for key, (value, path) in last.items()
        if _normal(key, value) != _normal(key, ours[key])
    ]


def _normal(key: str, value: str) -> str:
    """Return a value in one spelling, as far as it has several."""
    if key.startswith("Memory") and value[-1:] in SIZE_UNITS and value[:-1].isdigit():
        return str(int(value[:-1]) * SIZE_UNITS[value[-1]])
    if key == "Type" and value in ("simple", "notify"):
        return "exec"
    if key == "RuntimeMaxSec":
        return str(service.seconds(value)) if value != "infinity" else value
    return (
        {"true": "yes", "1": "yes", "on": "yes", "false": "no", "0": "no", "off": "no", "sigkill": "9"}.get(
            value.lower(), value
        )
        if not key.startswith("Memory")
        else value
    )
