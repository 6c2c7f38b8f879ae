"""Action plugin: brings a lab of throw-away hosts on this computer up or down.

`ansible-doc -M roles/lab/library lab` shows its options and return values.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

try:
    from memory_leak_lab.lab import images, lifecycle
    from memory_leak_lab.lab.errors import LabError
except ImportError:
    lifecycle = None  # type: ignore[assignment]

NOT_INSTALLED = (
    "the Python package memory-leak-lab is not installed: run script/bootstrap in a checkout, "
    "or pip install 'CHECKOUT[reports]'"
)
ARGUMENTS = {
    "state": {"type": "str", "choices": ["up", "down"], "required": True},
    "name": {"type": "str", "required": True},
    "driver": {"type": "str"},
    "host_count": {"type": "int"},
    "releases": {"type": "list", "elements": "str"},
    "users": {"type": "list", "elements": "str"},
    "memory_mib": {"type": "int"},
    "mirror": {"type": "str", "default": ""},
    "allow_expired_mirror": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Brings a lab up or down. Runs on the controller and needs no connection."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `changed`, and the names of the hosts that were started or stopped as `hosts`."""
        super().run(tmp, task_vars)
        if lifecycle is None:
            return {"failed": True, "msg": NOT_INSTALLED}
        _checked, arguments = self.validate_argument_spec(
            argument_spec=ARGUMENTS,
            required_if=[("state", "up", ("driver", "host_count", "releases", "users", "memory_mib"))],
        )
        name = arguments["name"]
        display = Display()

        def report(message: str) -> None:
            display.display(f"lab {name}: {message}")

        try:
            if arguments["state"] == "down":
                names = lifecycle.down(name)
            else:
                names = lifecycle.up(
                    name,
                    arguments["driver"],
                    arguments["host_count"],
                    arguments["releases"],
                    arguments["users"],
                    arguments["memory_mib"],
                    report,
                    images.Source(arguments["mirror"], arguments["allow_expired_mirror"]),
                )
        except LabError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": bool(names), "hosts": names}
