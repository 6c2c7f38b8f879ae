"""Checks that a playbook and this package have the same version.

`python -m memory_leak_lab.version VERSION` exits 1 with a message if they differ.
"""

from __future__ import annotations

import argparse
import sys

from memory_leak_controller import __version__


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --for-version, with which a playbook passes its own version."""
    parser.add_argument("--for-version", default=__version__, help="version of the calling playbook")


def mismatch(for_version: str) -> str | None:
    """Return an error message if a playbook's version differs from the package's, else None."""
    if for_version == __version__:
        return None
    return (
        f"the playbook has version {for_version}, but the Python package memory-leak-lab has version {__version__}: install "
        f"version {for_version} of the package with pip install 'CHECKOUT[reports]'"
    )


if __name__ == "__main__":
    sys.exit(mismatch(sys.argv[1]))
