"""`python -m memory_leak_lab.agent` and memory-leak-mcp, also where the package's extra is missing."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return the exit status."""
    try:
        from memory_leak_lab.agent import command_line  # noqa: PLC0415 # what it stands on may be missing
    except ModuleNotFoundError as error:
        print(f"memory-leak-mcp needs the package's extra mcp, pip install 'CHECKOUT[mcp]': {error}", file=sys.stderr)
        return 1
    return command_line.main()


if __name__ == "__main__":
    sys.exit(main())
