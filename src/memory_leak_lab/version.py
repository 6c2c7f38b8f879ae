"""The version of this package, and whether a playbook that calls it is of the same one.

`python -m memory_leak_lab.version VERSION` exits 1 with a message if it is not.
"""

from __future__ import annotations

import argparse
import sys

from memory_leak_controller import __version__


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --for-version, by which a playbook names its own version."""
    parser.add_argument("--for-version", default=__version__, help="the version of the playbook that calls this")


def mismatch(for_version: str) -> str | None:
    """Return a message if a playbook is of another version, or None."""
    if for_version == __version__:
        return None
    return (
        f"the playbook is of version {for_version}, and the Python package memory-leak-lab of {__version__}: install version "
        f"{for_version} of the package, pip install 'CHECKOUT[reports]'"
    )


if __name__ == "__main__":
    sys.exit(mismatch(sys.argv[1]))
