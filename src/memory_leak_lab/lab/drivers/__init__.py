"""Registry of the lab's drivers. `base.Driver` defines the interface."""

from __future__ import annotations

from memory_leak_lab.lab.drivers.base import Driver
from memory_leak_lab.lab.drivers.nspawn import Nspawn
from memory_leak_lab.lab.drivers.qemu import Qemu
from memory_leak_lab.lab.errors import LabError

DRIVERS: dict[str, Driver] = {driver.name: driver for driver in (Qemu(), Nspawn())}


def get(name: str) -> Driver:
    """Return the driver with this name. Raises LabError if there is none."""
    try:
        return DRIVERS[name]
    except KeyError:
        raise LabError(f"lab_driver is {name!r}: it must be {' or '.join(DRIVERS)}") from None
