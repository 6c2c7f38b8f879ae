"""The host program's constants match the workload's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from helpers.project import ROLE
from memory_leak_controller import parsing, validation
from memory_leak_host import workload_interface

PATH = ROLE / "files" / "workload.py"
spec = importlib.util.spec_from_file_location("workload", PATH)
assert spec and spec.loader
workload = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workload)


def test_rates_match() -> None:
    assert parsing.RATE_RANGE_MIB_PER_MIN == (workload.MIN_INGEST_RATE, workload.MAX_INGEST_RATE)
    assert workload_interface.REQUESTS_PER_SECOND == workload.REQUESTS_PER_SECOND


def test_options_and_the_default_rate_match() -> None:
    done = subprocess.run([sys.executable, str(PATH), "--help"], capture_output=True, text=True, check=True)
    options = {workload_interface.RATE_OPTION, *workload_interface.OPTIONS.values()}
    assert {word for word in done.stdout.split() if word.startswith("--")} - {"--help"} == options
    assert f"(default: {workload_interface.DEFAULT_RATE_MIB_PER_MIN:g})" in done.stdout
    assert validation.DEFAULTS["memory_leak_rate_mib_per_min"] == workload_interface.DEFAULT_RATE_MIB_PER_MIN


def test_the_log_contains_the_request_rate() -> None:
    assert f" {workload_interface.REQUEST_RATE_IN_LOG}" in PATH.read_text()
