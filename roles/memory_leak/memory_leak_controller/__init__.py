"""The part of the role that runs on the controller: the contract, the variables, the transport to a host, and the reports.

It needs only ansible-core. The role's plugins import the copy in their own role; the Python package memory-leak-lab contains
the same modules.
"""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"  # of the role, the collection and the Python package


def require_own_copy(role: Path) -> None:
    """Raise AnsibleError if this copy is not the one in the role's directory and has another version."""
    loaded = Path(__file__).parent.parent
    if loaded == role:
        return
    text = (role / "memory_leak_controller" / "__init__.py").read_text()
    if f'__version__ = "{__version__}"' not in text:
        # Only plugins call this. Any other exception would be shown as a traceback and "probably a bug".
        from ansible.errors import AnsibleError

        raise AnsibleError(
            f"the modules memory_leak_controller of version {__version__} in {loaded} are loaded already, but {role} has "
            "another version: install the same version of the role and of the package memory-leak-lab"
        )
