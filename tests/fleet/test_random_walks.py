"""Random walks: after any sequence of events, each operation ends correctly and cleanup removes everything.

Each step applies one or two random events to a host (an initial state, or a killed run), runs a random operation and
inspects the host. Environment variables: WALK_MINUTES sets the duration (default: a few walks); RANDOM_SEED repeats the
walks of a failure.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from helpers import definitions
from helpers.definitions import DEFINITION
from helpers.host_runs import ENDS, PYTHON, inspect, program, run, run_killed
from helpers.initial_states import (
    DROP_INS,
    INITIAL_STATES,
    LOG,
    OPERATIONS,
    PID_FILE,
    PROPERTIES,
    TRANSIENT_FILE,
    UNIT_FILE,
    WORKLOAD,
    InitialState,
)
from memory_leak_controller import transport
from memory_leak_lab.lab.fleet import Fleet

MINUTES = float(os.environ.get("WALK_MINUTES") or 0)
COUNT = 6 if MINUTES else 3
MIN_WALKS = 2  # per host
STEPS = (5, 10)
SEED = os.environ.get("RANDOM_SEED") or f"{datetime.now(UTC):%Y-%m-%d}"
# Some scripts write the workload file although the role is not installed. That makes it a foreign file.
UNRECORDED = "! ls -A /var/lib/session-cache 2>/dev/null | grep -q ."
FOREIGN = f"{{ [ -e {WORKLOAD} ] && {UNRECORDED} && ! grep -q 'Session cache' {WORKLOAD}; }}"
FOREIGN_UNIT_RUNS = (
    f"{{ [ ! -e {TRANSIENT_FILE} ] && systemctl is-active --quiet memory-leak "
    "&& systemctl show --property=LoadState memory-leak | grep -q not-found; }"
)
OBSTRUCTED = (
    f"[ -d {LOG} ] || [ -d {PID_FILE} ] || [ -e {UNIT_FILE} ] || [ -L {UNIT_FILE} ] || [ -e {DROP_INS} ] "
    f"|| [ -e {PROPERTIES} ] || grep -q {WORKLOAD} /proc/self/mountinfo || {FOREIGN} || {FOREIGN_UNIT_RUNS}"
)
PROCESSES = "ps -eo pid,ppid,lstart,cgroup,args | grep [w]orkload"
# Their paths are the same: some scripts write to the default ones, which a cleanup of other paths need not know.
DEFINITIONS = (
    DEFINITION,
    definitions.default(unit="cache.service", target_rate_mib_per_min=45.0),
    definitions.default(target_rate_mib_per_min=60.0),
)


class Walk:
    """One walk on one host. It starts and ends with a clean host."""

    def __init__(self, fleet: Fleet, number: int, seed: str):
        self.fleet = fleet
        self.number = number
        self.chance = random.Random(seed)  # noqa: S311 # not a secret
        self.trail: list[str] = [f"RANDOM_SEED={SEED}, walk {seed}"]
        self.applied: list[InitialState] = []
        self.covered: Counter[tuple[str, str]] = Counter()

    def go(self) -> Counter[tuple[str, str]]:
        """Walk, and return how often each operation followed each event."""
        for _step in range(self.chance.randint(*STEPS)):
            names = [self.apply_event() for _time in range(self.chance.randint(1, 2))]
            operation = self.chance.choice(OPERATIONS)
            self.operate(operation)
            self.covered.update((name, operation) for name in names)
        for initial_state in self.applied:
            self.fleet.run(self.number, initial_state.undo)
        self.fleet.run(self.number, f"{FOREIGN} && rm {WORKLOAD}")
        self.operate("cleanup")
        return self.covered

    def apply_event(self) -> str:
        """Apply a random event to the host and return its name."""
        if self.chance.random() < 0.15:
            operation, step = self.chance.choice(list(ENDS)), self.chance.randint(1, 20)
            self.trail.append(f"{operation} killed before step {step}")
            run_killed(self.fleet, self.number, operation, step, self.chance.choice(DEFINITIONS))
            return "killed run"
        initial_state = self.chance.choice(INITIAL_STATES)
        self.trail.append(initial_state.name)
        self.applied.append(initial_state)
        self.fleet.run(self.number, initial_state.script)
        return initial_state.name

    def operate(self, operation: str) -> None:
        """Run an operation and check its result."""
        self.trail.append(operation)
        obstructed = self.fleet.run(self.number, OBSTRUCTED).returncode == 0
        answer = self.fleet.run(self.number, program(operation, self.chance.choice(DEFINITIONS)), PYTHON)
        result = transport.result(answer.stdout)
        assert result, (self.trail, answer)
        if operation != "status":
            allowed = {ENDS[operation], "refused", "failed"} if obstructed else {ENDS[operation]}
            assert result["outcome"] in allowed, f"{self.trail}\n{result}"
        assert obstructed or result["outcome"] != "failed", f"{self.trail}\n{result}"
        # An obstacle may prevent the removal of a killed run's remains. Otherwise host and result must agree.
        if not obstructed and operation != "status":
            wrong = inspect(self.fleet, self.number, result)
            assert wrong == [], f"{wrong}\n{self.trail}\n{result}\n{self.fleet.run(self.number, PROCESSES).stdout}"


def test_random_walks(fleet: Fleet) -> None:
    covered: Counter[tuple[str, str]] = Counter()
    until = time.monotonic() + MINUTES * 60

    def walk(number: int) -> int:
        walks = 0
        while walks < MIN_WALKS or time.monotonic() < until:
            covered.update(Walk(fleet, number, f"{SEED}-{number}-{walks}").go())
            walks += 1
        return walks

    for number in range(COUNT):
        run(fleet, number, "cleanup")
    with ThreadPoolExecutor(COUNT) as pool:
        walks = sum(pool.map(walk, range(COUNT)))
    print(f"RANDOM_SEED={SEED}: {walks} walks, {sum(covered.values())} steps")
    pairs = len(INITIAL_STATES) * len(OPERATIONS)
    print(
        f"{len([pair for pair in covered if pair[0] != 'killed run'])} of {pairs} pairs of initial state and operation"
    )
    for initial_state in [*(initial_state.name for initial_state in INITIAL_STATES), "killed run"]:
        print(
            f"{initial_state:55}", *(f"{operation} {covered[initial_state, operation]:4}" for operation in OPERATIONS)
        )
