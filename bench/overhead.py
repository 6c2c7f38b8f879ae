"""What validation and the report cost the controller, in processor time: `python -m bench.overhead HOSTS` prints JSON."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from typing import Any

import yaml

from bench.steps import ROLE


class Terminal:
    """Stands in for stdout and claims to be a terminal, at which the report becomes a table."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Tell that it is a terminal."""
        return True

    def write(self, _text: str) -> int:
        """Take a text and drop it."""
        return 0

    def flush(self) -> None:
        """Do nothing."""


def load(directory: str, name: str) -> Any:
    """Import a module of the role."""
    spec = importlib.util.spec_from_file_location(name, ROLE / directory / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def validation_s(hosts: int) -> float:
    """Return the processor time of validating the role's defaults for so many hosts."""
    validation = load("controller", "validation")
    spec = validation.argument_spec(ROLE)
    values = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    began = time.process_time()
    for _host in range(hosts):
        validation.unknown_variables(values, spec)
        validation.definition(spec, values)
    return time.process_time() - began


def report_s(hosts: int, terminal: bool) -> float:
    """Return the processor time of the report on so many hosts, on a terminal or not, with the imports that it needs."""
    report = load("callback_plugins", "memory_leak_report")
    row = ("host", "running", "4711", "11.8", "1024", "2", "33.7", "a warning that says what to do about something")
    stdout = sys.stdout
    began = time.process_time()
    if terminal:
        sys.stdout = Terminal()
    try:
        report._render([report.HEADINGS, *([row] * hosts)])
    finally:
        sys.stdout = stdout
    return time.process_time() - began


if __name__ == "__main__":
    number = int(sys.argv[1])
    print(
        json.dumps(
            {
                "validation_s": validation_s(number),
                "plain_report_s": report_s(number, terminal=False),
                "terminal_report_s": report_s(number, terminal=True),
            }
        )
    )
