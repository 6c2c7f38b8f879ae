"""The part of the role that runs on a host.

The action plugin sends these modules and a request over stdin to the host's own python3 (3.9 or newer, standard library
only) and reads one result back. `operations.run` is the entry point.
"""
