"""The errors of the lab. Each message says what is wrong and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Something that the lab needs is missing or failed."""


class DriverUnavailableError(LabError):
    """This computer cannot run hosts with this driver or release."""


class HostHangsError(LabError):
    """A host runs but accepts no login."""
