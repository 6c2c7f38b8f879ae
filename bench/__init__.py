"""How fast the role is on a fleet, beside plain ssh and its peers, and how straight the workload grows: `script/bench`."""
