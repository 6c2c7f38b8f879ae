"""Tools with which an agent investigates the hosts of an inventory: an MCP server on Ansible's own connections."""
