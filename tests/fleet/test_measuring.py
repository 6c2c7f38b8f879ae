"""The verification gate on a mixed fleet: leakers, faults, controls, decoys and blind hosts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema

from helpers import terminal
from helpers.initial_states import FIX
from helpers.project import PROJECT
from memory_leak_controller import assignment
from memory_leak_lab.lab.fleet import Fleet

COUNT = 8
LEAKER, FROZEN, FIXED, OTHER_RATE, CONTROL, DECOY, BLIND, KILLED = range(COUNT)
CHANGE_RATE = """sed -i '/^ExecStart=/s/"30"/"60"/' /run/systemd/transient/memory-leak.service
systemctl daemon-reload; systemctl restart memory-leak"""
PARTS: dict[int, dict[str, str]] = {
    CONTROL: {"memory_leak_variant": "control"},
    DECOY: {"memory_leak_variant": "decoy"},
    BLIND: {"memory_leak_blind": "true", "memory_leak_seed": "tests"},
}


def schema(name: str) -> Any:
    """Return a JSON schema from docs/."""
    return json.loads((PROJECT / "docs" / f"{name}.schema.json").read_text())


def test_the_gate_passes_only_hosts_that_behave_as_expected(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    reports, truth = tmp_path / "reports", tmp_path / "truth"
    places = ("-e", f"memory_leak_report_dir={reports}", "-e", f"memory_leak_ground_truth_dir={truth}")
    play("setup", *places, variables=PARTS)
    fleet.run(FROZEN, "kill -STOP $(cat /tmp/memory-leak.pid)")
    fleet.run(FIXED, f"{FIX}; systemctl restart memory-leak")
    fleet.run(OTHER_RATE, CHANGE_RATE)
    fleet.run(KILLED, "kill -KILL $(cat /tmp/memory-leak.pid)")
    time.sleep(5)
    records = play("status", *places, "-e", "memory_leak_verify=true", variables=PARTS, fails=True)
    by_number = [records[host.name] for host in fleet.hosts]
    outcomes = [record["outcome"] for record in by_number]
    assert outcomes == [
        *("leaking", "stalled", "plateaued", "off_rate", "plateaued", "plateaued", "leaking", "crashed")
    ], [(record["outcome"], record["message"]) for record in by_number]
    passed = [number for number, record in enumerate(by_number) if record["as_expected"]]
    assert passed == [LEAKER, CONTROL, DECOY, BLIND]
    assert all(by_number[number]["message"] for number in (FROZEN, FIXED, OTHER_RATE))
    assert by_number[LEAKER]["rate_mib_per_min"] > 27
    assert by_number[DECOY]["rss_bytes"] > 250 * 1024**2 > 50 * 1024**2 > by_number[CONTROL]["rss_bytes"]
    check_records(fleet, reports, truth)
    check_blind(fleet, by_number[BLIND])


def check_records(fleet: Fleet, reports: Path, truth: Path) -> None:
    """Check the run's files against their schemas, and their contents for each host."""
    status = json.loads((reports / "status.json").read_text())
    jsonschema.validate(status, schema("status"))
    assert len(status["hosts"]) == COUNT
    assert all(len(host["samples"]) > 50 for host in status["hosts"][:KILLED])
    assert (reports / "report.html").stat().st_size > 10**6
    parts = []
    for host in fleet.hosts:
        lines = [json.loads(line) for line in (truth / f"{host.name}.jsonl").read_text().splitlines()]
        for line in lines:
            jsonschema.validate(line, schema("ground-truth"))
        assert [line["event"] for line in lines] == ["setup", "observation"]
        assert lines[0]["pid"] and lines[0]["started_at"] and "--ingest-mib-per-min" in lines[0]["command"]
        parts.append(lines[1]["variant"])
    assert [parts[CONTROL], parts[DECOY]] == ["control", "decoy"]
    assert set(parts) == {"leaker", "control", "decoy"}


def check_blind(fleet: Fleet, record: dict[str, Any]) -> None:
    """Check that a blind host has only neutral names."""
    assert record["unit"].removesuffix(".service") in assignment.NAMES
    seen = fleet.run(
        BLIND,
        "ls -d /mcp /tmp/memory-leak* 2>&1; systemctl list-units --all | grep -i -e leak -e scenario; ps ax | grep workload",
    )
    found = [line for line in seen.stdout.splitlines() if "No such file" not in line and "grep" not in line]
    assert found == []


def test_cleanup_finds_neutral_names_without_a_unit(fleet: Fleet, play: Any) -> None:
    play("setup", "--limit", fleet.hosts[BLIND].name, variables=PARTS)
    name = fleet.run(BLIND, "ls /opt").stdout.strip()
    assert name in assignment.NAMES
    fleet.run(BLIND, f"systemctl stop {name}")
    assert play("status")[fleet.hosts[BLIND].name]["outcome"] == "stopped"
    assert {record["outcome"] for record in play("cleanup").values()} == {"absent"}
    assert fleet.run(BLIND, f"ls -d /opt/{name} /var/log/{name}.log /run/{name}.pid").stdout == ""


def test_a_terminal_shows_progress_then_only_the_table(fleet: Fleet, play: Any) -> None:
    play("setup")
    inventory = str(fleet.inventory(COUNT))
    status, shown = terminal.run_playbook("status", "-i", inventory, "-e", "memory_leak_observe_seconds=5", "-f", "4")
    assert status == 0, shown
    assert f"0 of {COUNT} hosts" in shown
    assert re.search(r"\b[1-9] s left", shown), shown
    assert not re.search("PLAY|TASK|ok:", shown), shown
    assert shown.strip().splitlines()[-1].startswith(f"{COUNT} hosts: {COUNT} running")


def test_setup_with_the_gate_waits_for_the_signal(fleet: Fleet, play: Any) -> None:
    some = ",".join(fleet.hosts[number].name for number in (LEAKER, CONTROL))
    records = play("setup", "--limit", some, "-e", "memory_leak_verify=true", variables=PARTS)
    assert [record["outcome"] for record in records.values()] == ["leaking", "plateaued"]
    leaker, control = (record["message"] for record in records.values())
    assert "flat" not in leaker
    assert control.startswith("as expected of this host, RSS is flat")
    play("cleanup")
