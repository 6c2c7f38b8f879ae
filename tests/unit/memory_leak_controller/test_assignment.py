"""A realistic fleet: the same seed gives the same one, shares are exact, and what is not asked for changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from memory_leak_controller import assignment, validation
from memory_leak_controller.contract import Definition, Variant

DEFAULTS = validation.DEFAULTS
HOSTS = [f"host{number}" for number in range(50)]


def fleet(**changes: Any) -> list[tuple[Definition, Variant]]:
    """Return the definitions and variants of all hosts."""
    values = DEFAULTS | {f"memory_leak_{name}": value for name, value in changes.items()}
    definition, settings, errors = validation.validate(values)
    assert errors == []
    return [assignment.apply(definition, settings, host, HOSTS) for host in HOSTS]


def test_by_default_all_hosts_are_equal_leakers() -> None:
    first, *others = fleet()
    assert first[1] == "leaker"
    assert (
        first[0]["target_rate_mib_per_min"],
        first[0]["max_sessions"],
        first[0]["buffer_mib"],
        first[0]["start_delay_s"],
    ) == (30, 0, 0, 0)
    assert all(other == first for other in others)


def test_the_same_seed_gives_the_same_fleet_and_another_another() -> None:
    everything = {
        "control_percent": 20,
        "decoy_percent": 10,
        "rate_variation_percent": 20,
        "start_delay_max": "5min",
        "blind": True,
    }
    assert fleet(seed="a", **everything) == fleet(seed="a", **everything)
    assert fleet(seed="a", **everything) != fleet(seed="b", **everything)


def test_shares_are_exact_and_a_variant_that_is_set_counts() -> None:
    assert Counter(variant for _definition, variant in fleet(control_percent=20, decoy_percent=10)) == {
        "leaker": 35,
        "control": 10,
        "decoy": 5,
    }
    assert {variant for _definition, variant in fleet(variant="decoy", control_percent=50)} == {"decoy"}


def test_rates_and_delays_stay_within_their_bounds() -> None:
    definitions = [definition for definition, _variant in fleet(rate_variation_percent=20, start_delay_max="5min")]
    rates = [definition["target_rate_mib_per_min"] for definition in definitions]
    delays = [definition["start_delay_s"] for definition in definitions]
    assert 24 <= min(rates) < 26
    assert 34 < max(rates) <= 36
    assert 0 <= min(delays) < 40
    assert 260 < max(delays) <= 300


def test_decoys_stay_under_their_ceiling() -> None:
    for definition, _variant in fleet(variant="decoy", memory_max="200M"):
        assert 60 <= definition["buffer_mib"] <= 120
        assert definition["max_sessions"]


def test_blind_names_say_nothing() -> None:
    definitions = [definition for definition, _variant in fleet(blind=True)]
    assert len({definition["unit"] for definition in definitions}) == len(assignment.NAMES)
    text = str(definitions).lower()
    assert not [
        word
        for word in ("leak", "mcp", "scenario", "workload", "grow", "evict")
        if word in text.replace("workload_python", "")
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rate_variation_percent", bad) for bad in (-1, 51, "much")),
        *(("control_percent", bad) for bad in (-1, 101)),
        *(("start_delay_max", bad) for bad in ("2h", "5", "-1s")),
        ("variant", "victim"),
    ],
)
def test_a_bad_value_is_named(name: str, value: Any) -> None:
    _definition, _settings, errors = validation.validate(DEFAULTS | {f"memory_leak_{name}": value})
    assert len(errors) == 1
    assert f"memory_leak_{name}" in errors[0]


def test_more_controls_and_decoys_than_hosts_are_refused() -> None:
    values = DEFAULTS | {"memory_leak_control_percent": 60, "memory_leak_decoy_percent": 60}
    _definition, _settings, errors = validation.validate(values)
    assert errors == [
        "memory_leak_control_percent is 60 and memory_leak_decoy_percent is 60: together they must be 100 at most"
    ]
