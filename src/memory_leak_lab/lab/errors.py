"""The errors of the lab. Each message says what is wrong and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Something that the lab needs is missing or did not work."""


class DriverUnavailableError(LabError):
    """This computer cannot run hosts of that driver, or not with that release."""


class HostHangsError(LabError):
    """A host runs but accepts no login."""
