"""Programs that run on the hosts: Python 3.9 or newer, standard library alone, few imports since each costs every call time."""
