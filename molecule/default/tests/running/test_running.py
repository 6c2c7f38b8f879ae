"""The service runs on every host as a transient, sandboxed unit whose memory grows linearly."""

from __future__ import annotations

import re
import shutil
import threading
from typing import Any

import pytest
import testinfra

from memory_leak_controller import growth

RATE_MIB_PER_MIN = 30
SAMPLES = 17
SAMPLE_INTERVAL_S = 5
# One remote command takes all samples, so SSH latency and the local clock do not affect them. The available memory includes
# the per-CPU free lists: after a large process exits, the kernel keeps tens of MiB there, excludes them from MemAvailable
# and allocates from them first.
SAMPLER = f"""
pid=$(systemctl show --value --property=MainPID memory-leak.service)
for sample in $(seq {SAMPLES}); do
  read uptime _idle </proc/uptime
  echo $uptime $(awk '/^VmRSS/ {{print $2}}' /proc/$pid/status) \
    $(awk '/^MemAvailable/ {{kib = $2}} $1 == "count:" {{kib += 4 * $2}} END {{print kib}}' /proc/meminfo /proc/zoneinfo)
  sleep {SAMPLE_INTERVAL_S}
done
"""
LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} requests=(\d+) requests_per_second=([\d.]+) "
    r"cache_entries=(\d+) hits=(\d+) misses=(\d+)"
)


@pytest.fixture(scope="session")
def samples(request: pytest.FixtureRequest) -> dict[str, list[tuple[float, ...]]]:
    """Sample all hosts concurrently. Return (uptime in s, RSS in MiB, available memory in MiB) tuples by host name."""
    inventory = request.config.getoption("--ansible-inventory")
    hosts = testinfra.get_hosts(["ansible://memory_leak"], ansible_inventory=inventory)
    taken: dict[str, list[tuple[float, ...]]] = {}

    def sample(host: Any) -> None:
        lines = host.check_output(SAMPLER).splitlines()
        rows = [tuple(map(float, line.split())) for line in lines]
        taken[host.backend.host] = [(uptime, rss / 1024, available / 1024) for uptime, rss, available in rows]

    threads = [threading.Thread(target=sample, args=[host]) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def unit_properties(host: Any, *names: str) -> dict[str, str]:
    """Return the unit's current systemd properties."""
    shown = host.check_output(f"systemctl show memory-leak.service --property={','.join(names)}")
    return dict(line.split("=", 1) for line in shown.splitlines())


def test_unit_is_active_and_transient(host: Any) -> None:
    unit = unit_properties(host, "ActiveState", "SubState", "UnitFileState", "FragmentPath")
    assert unit == {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "transient",
        "FragmentPath": "/run/systemd/transient/memory-leak.service",
    }


def test_pid_file_contains_the_workloads_pid(host: Any) -> None:
    pid = host.file("/tmp/memory-leak.pid").content_string.strip()
    assert pid == unit_properties(host, "MainPID")["MainPID"]
    command = host.check_output(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    assert command.split()[1] == "/mcp/scenarios/memory-leak/workload.py"


def test_process_is_unprivileged(host: Any) -> None:
    pid = unit_properties(host, "MainPID")["MainPID"]
    status = host.check_output(f"cat /proc/{pid}/status")
    assert re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE).group(1) != "0"  # type: ignore[union-attr]
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert host.check_output(f"cat /proc/{pid}/oom_score_adj") == "1000"


def test_files_are_readable_and_owned_by_root(host: Any) -> None:
    for path, mode in {
        "/mcp/scenarios/memory-leak": 0o755,
        "/mcp/scenarios/memory-leak/workload.py": 0o644,
        "/tmp/memory-leak.log": 0o644,
        "/tmp/memory-leak.pid": 0o644,
    }.items():
        file = host.file(path)
        assert (path, file.user, file.mode) == (path, "root", mode)


def test_rss_grows_linearly_at_the_configured_rate(host: Any, samples: dict[str, list[tuple[float, ...]]]) -> None:
    taken = samples[host.backend.host]
    times_s, rss_mib = [sample[0] for sample in taken], [sample[1] for sample in taken]
    assert times_s[-1] - times_s[0] >= 60
    line = growth.fit(times_s, rss_mib)
    print(f"{host.backend.host}: {line}")
    assert line.rate_per_min == pytest.approx(RATE_MIB_PER_MIN, rel=0.05), rss_mib
    assert line.r_squared >= 0.99, rss_mib


def test_available_memory_falls(host: Any, samples: dict[str, list[tuple[float, ...]]]) -> None:
    taken = samples[host.backend.host]
    line = growth.fit([sample[0] for sample in taken], [sample[2] for sample in taken])
    # Other processes also change the available memory, but far less.
    assert line.rate_per_min == pytest.approx(-RATE_MIB_PER_MIN, rel=0.25), taken


@pytest.mark.usefixtures("samples")
def test_log_shows_a_steady_request_rate(host: Any) -> None:
    lines = host.file("/tmp/memory-leak.log").content_string.splitlines()
    counters = [LOG_LINE.fullmatch(line) for line in lines]
    assert all(counters), lines
    assert len(lines) >= 8, lines
    rates = [float(match[2]) for match in counters[1:] if match]
    assert all(rate == pytest.approx(10, rel=0.05) for rate in rates), lines
    requests = [int(match[1]) for match in counters if match]
    assert requests == sorted(set(requests)), lines
    assert all(match[1] == match[3] for match in counters if match), "every request adds a cache entry"


def test_ceiling_and_expiry_are_enforced(host: Any) -> None:
    unit = unit_properties(host, "MemoryMax", "MemorySwapMax", "RuntimeMaxUSec", "ControlGroup")
    assert unit["RuntimeMaxUSec"] == "4h"
    group = f"/sys/fs/cgroup{unit['ControlGroup']}"
    assert host.file(f"{group}/memory.max").content_string.strip() == str(1024**3)
    if host.file(f"{group}/memory.swap.max").exists:
        assert host.file(f"{group}/memory.swap.max").content_string.strip() == "0"


def test_sandbox_is_tight(host: Any) -> None:
    report = host.check_output("systemd-analyze security --no-pager memory-leak.service")
    exposure = float(re.search(r"Overall exposure level.*: ([\d.]+)", report).group(1))  # type: ignore[union-attr]
    assert exposure <= 0.5, report


def test_clock_jumps_do_not_affect_the_workload_or_status(host: Any, playbook: Any) -> None:
    name = host.backend.host
    first = playbook("status.yml", "--limit", name)[name]
    for jump in ("+1 hour", "-2 hours", "+1 hour"):  # sums to zero
        host.run_expect([0], f"date --set='{jump}'")
        record = playbook("status.yml", "--limit", name)[name]
        assert (record["outcome"], record["pid"]) == ("running", first["pid"])
        assert 0 <= record["uptime_s"] - first["uptime_s"] < 120
        grown_mib = (record["rss_bytes"] - first["rss_bytes"]) / 1024**2
        expected_mib = (record["uptime_s"] - first["uptime_s"]) * RATE_MIB_PER_MIN / 60
        assert grown_mib == pytest.approx(expected_mib, abs=2)
    host.run_expect([0], "sleep 12")  # until the next status line
    last = LOG_LINE.fullmatch(host.file("/tmp/memory-leak.log").content_string.splitlines()[-1])
    assert last
    assert float(last[2]) == pytest.approx(10, rel=0.05)


def test_investigation_tools_work(host: Any, playbook: Any, module: Any) -> None:
    name = host.backend.host
    pid = playbook("status.yml", "--limit", name)[name]["pid"]
    assert host.check_output(f"ps -o comm= -p {pid}") == "python3"
    for file in ("status", "smaps_rollup", "maps", "environ", "limits", "cgroup"):
        host.run_expect([0], f"cat /proc/{pid}/{file} >/dev/null")
    py_spy = shutil.which("py-spy")
    module("ansible.builtin.copy", name, f"src={py_spy} dest=/root/py-spy mode=0755")
    stack = host.check_output(f"/root/py-spy dump --pid {pid}")
    assert "run (workload.py" in stack
    host.run_expect([0], "rm /root/py-spy")


def test_nothing_on_the_host_reveals_the_leak(host: Any) -> None:
    pid = unit_properties(host, "MainPID")["MainPID"]
    seen = host.check_output(
        "cat /mcp/scenarios/memory-leak/workload.py /tmp/memory-leak.log /run/systemd/transient/memory-leak.service; "
        f"tr '\\0' '\\n' </proc/{pid}/cmdline; tr '\\0' '\\n' </proc/{pid}/environ"
    )
    # The default paths and unit name contain these words. Remove them first.
    seen = seen.replace("memory-leak", "").replace("scenarios", "").lower()
    found = [
        word
        for word in ("leak", "grow", "unbounded", "evict", "scenario", "simulat", "chaos", "inject")
        if word in seen
    ]
    assert not found


def test_second_setup_changes_nothing(host: Any, playbook: Any) -> None:
    name = host.backend.host
    before = unit_properties(host, "MainPID")["MainPID"]
    record = playbook("setup.yml", "--limit", name)[name]
    assert (record["changed"], record["outcome"], str(record["pid"])) == (False, "running", before)
    assert unit_properties(host, "MainPID")["MainPID"] == before


def test_status_matches_the_host(host: Any, playbook: Any) -> None:
    name = host.backend.host
    record = playbook("status.yml", "--limit", name)[name]
    assert record["outcome"] == "running"
    assert str(record["pid"]) == host.file("/tmp/memory-leak.pid").content_string.strip()
    assert record["unit"] == "memory-leak.service"
    assert record["ceiling_bytes"] == 1024**3
    rss_bytes = int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{record['pid']}/status")) * 1024
    assert 0 <= rss_bytes - record["rss_bytes"] < 20 * 1024**2
    assert record["oom_in_s"] == pytest.approx(
        (1024**3 - record["rss_bytes"]) / (RATE_MIB_PER_MIN * 1024**2 / 60), abs=1
    )


def test_the_gate_reports_leaking(host: Any, playbook: Any) -> None:
    name = host.backend.host
    record = playbook("status.yml", "--limit", name, "-e", "memory_leak_verify=true")[name]
    assert (record["outcome"], record["message"]) == ("leaking", "")
    low, high = record["rate_ci95_mib_per_min"]
    assert low <= record["rate_mib_per_min"] <= high  # may be equal after rounding
    assert record["requests_per_s"] == pytest.approx(10, rel=0.05)


def test_an_investigation_finds_the_leak_and_gets_full_marks(playbook: Any, investigated: Any, tmp_path: Any) -> None:
    records = playbook("status.yml", "-e", f"memory_leak_ground_truth_dir={tmp_path}/ground_truth")
    found = investigated()
    assert found.keys() == records.keys()
    for name, record in records.items():
        assert found[name]["verdict"] == "leaking"
        assert f"PID {record['pid']} of `memory-leak.service`" in found[name]["diagnosis"]
        assert found[name]["grade"]["total"] == 100, (found[name]["grade"], found[name]["diagnosis"])


def test_sudo_with_a_password_works(host: Any, playbook: Any) -> None:
    name = host.backend.host
    login = "ansible_user=trainer ansible_become=true ansible_become_password=lab-trainer"
    record = playbook("status.yml", "--limit", name, "-e", login)[name]
    assert record["outcome"] == "running"
