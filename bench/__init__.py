"""Benchmarks the role's speed on a fleet against plain ssh and its peers, and the workload's linearity: `script/bench`."""
