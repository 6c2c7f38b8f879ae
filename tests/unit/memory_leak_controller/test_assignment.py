"""Assign variants, rates, delays and names to the hosts of a fleet."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from memory_leak_controller import assignment, validation
from memory_leak_controller.contract import Definition, Variant

DEFAULTS = validation.DEFAULTS
HOSTS = [f"host{number}" for number in range(50)]


def fleet(hosts: Any = HOSTS, **changes: Any) -> list[tuple[Definition, Variant]]:
    """Return the definition and variant of each host at setup."""
    definition, settings, errors = validation.validate(DEFAULTS | {f"memory_leak_{k}": v for k, v in changes.items()})
    assert errors == []
    variants = [assignment.variant(settings, host, None) or "leaker" for host in hosts]
    return [(assignment.apply(definition, settings, host, v), v) for host, v in zip(hosts, variants, strict=True)]


def test_by_default_all_hosts_are_identical_leakers() -> None:
    first, *others = fleet()
    assert first[1] == "leaker"
    assert (
        first[0]["target_rate_mib_per_min"],
        first[0]["max_sessions"],
        first[0]["buffer_mib"],
        first[0]["start_delay_s"],
    ) == (30, 0, 0, 0)
    assert all(other == first for other in others)


def test_the_seed_determines_the_fleet() -> None:
    everything = {
        "control_percent": 20,
        "decoy_percent": 10,
        "rate_variation_percent": 20,
        "start_delay_max": "5min",
        "blind": True,
    }
    assert fleet(seed="a", **everything) == fleet(seed="a", **everything)
    assert fleet(seed="a", **everything) != fleet(seed="b", **everything)


def test_percentages_are_probabilities_and_a_set_variant_takes_precedence() -> None:
    many = [f"host{number}" for number in range(4000)]
    counts = Counter(variant for _definition, variant in fleet(many, control_percent=20, decoy_percent=10))
    assert 700 < counts["control"] < 900
    assert 330 < counts["decoy"] < 470
    assert {variant for _definition, variant in fleet(variant="decoy", control_percent=50)} == {"decoy"}


@pytest.mark.parametrize("slices", [1, 4, 10, 20])
def test_a_slice_of_the_fleet_gets_the_same_variants(slices: int) -> None:
    shares = {"control_percent": 25, "decoy_percent": 10, "seed": "a"}
    whole = {host: variant for host, (_, variant) in zip(HOSTS, fleet(**shares), strict=True)}
    assert set(whole.values()) == {"leaker", "control", "decoy"}
    for number in range(slices):
        hosts = HOSTS[number::slices]
        assert [variant for _definition, variant in fleet(hosts, **shares)] == [whole[host] for host in hosts]


def test_a_recorded_variant_takes_precedence_over_the_percentages() -> None:
    _definition, settings, _errors = validation.validate(DEFAULTS | {"memory_leak_control_percent": 100})
    assert assignment.variant(settings, "host1", "decoy") == "decoy"
    assert assignment.variant(settings, "host1", None) == "control"
    _definition, settings, _errors = validation.validate(DEFAULTS)
    assert assignment.variant(settings, "host1", None) is None
    assert assignment.variant(settings, "host1", "control") == "control"


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


def test_blind_names_reveal_nothing() -> None:
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
def test_an_invalid_value_is_reported_with_its_variable(name: str, value: Any) -> None:
    _definition, _settings, errors = validation.validate(DEFAULTS | {f"memory_leak_{name}": value})
    assert len(errors) == 1
    assert f"memory_leak_{name}" in errors[0]


def test_percentages_above_100_in_total_are_refused() -> None:
    values = DEFAULTS | {"memory_leak_control_percent": 60, "memory_leak_decoy_percent": 60}
    _definition, _settings, errors = validation.validate(values)
    assert errors == [
        "memory_leak_control_percent is 60 and memory_leak_decoy_percent is 60: together they must be 100 at most"
    ]
