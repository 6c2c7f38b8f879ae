"""Find the drop-ins of a unit, as written by an administrator or investigator, and what they change in command and safety.

Only NAME.service.d counts: service.d and the directories for name prefixes belong to the distribution.
"""

from __future__ import annotations

import os

from memory_leak_host import paths, service

TYPE_CHECKING = False  # typing.TYPE_CHECKING would cost each host the import
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_leak_controller.contract import Definition

MOST_BYTES = 65536
SPELLINGS = {
    **dict.fromkeys(("true", "1", "on"), "yes"),
    **dict.fromkeys(("false", "0", "0s", "off"), "no"),
    **dict.fromkeys(("sigkill", "kill"), "9"),
}
SIZE_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
# Settings that setup leaves unset, with their defaults. These would give the service more privileges.
NOT_SET = {
    **{"User": "", "Group": "", "SupplementaryGroups": "", "AmbientCapabilities": ""},
    # With these the service could outlive its expiry.
    **{"Restart": "no", "RuntimeRandomizedExtraSec": "0", "RemainAfterExit": "no"},
    **{"KillMode": "control-group", "SendSIGKILL": "yes", "FinalKillSignal": "9"},
}
# Settings of the managed unit that a fix may change without making the service less safe.
HARMLESS = ("WorkingDirectory", "StandardOutput", "StandardError", "TimeoutStartSec", "TimeoutStopSec")


def files(name: str, directories: Iterable[str]) -> list[str]:
    """Return a unit's drop-ins in these directories, in the order in which systemd reads them."""
    found: dict[str, str] = {}
    for directory in directories:  # of files with the same name, the first counts
        try:
            names = os.listdir(f"{directory}/{name}.d")
        except (FileNotFoundError, NotADirectoryError):
            continue
        for each in names:
            if each.endswith(".conf"):
                found.setdefault(each, f"{directory}/{name}.d/{each}")
    return [found[each] for each in sorted(found)]


def changes(drop_ins: list[str], definition: Definition) -> list[str]:
    """Return the effective changes that drop-ins make to the command and the safety settings, each with its file."""
    expected = {**NOT_SET, **dict(setting.split("=", 1) for setting in service.properties(definition))}
    expected["ExecStart"] = " ".join(service.command(definition))
    for key in HARMLESS:
        expected.pop(key, None)
    last: dict[str, tuple[str, str]] = {}
    for path in drop_ins:
        for line in os.fsdecode(paths.content(path, MOST_BYTES) or b"").splitlines():
            key, equals, value = line.partition("=")
            # An empty ExecStart= only resets the list: the command after it counts.
            if equals and key.strip() in expected and (value.strip() or key.strip() != "ExecStart"):
                last[key.strip()] = (value.strip() or NOT_SET.get(key.strip(), ""), path)
    return [
        f"{key}={value} ({path})"
        for key, (value, path) in last.items()
        if _normal(key, value) != _normal(key, expected[key])
    ]


def _normal(key: str, value: str) -> str:
    """Return the canonical spelling of a value."""
    if key.startswith("Memory") and value[-1:] in SIZE_UNITS and value[:-1].isdigit():
        return str(int(value[:-1]) * SIZE_UNITS[value[-1]])
    if key == "Type" and value in ("simple", "notify"):
        return "exec"
    if key == "RuntimeMaxSec":
        return str(service.seconds(value)) if value != "infinity" else value
    return value if key.startswith("Memory") else SPELLINGS.get(value.lower(), value)
