"""Make the pictures in the documentation from the report of a real run.

Usage: python -m memory_leak_lab.pictures [--report-dir reports] [--docs docs] [--name NAME] [--width 110]

Writes docs/NAME.svg, the table as shown in a terminal, and docs/NAME.png, a screenshot of report.html (needs Chromium).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console

from memory_leak_controller.contract import OUTCOMES
from memory_leak_controller.report import table

WINDOW = "1280,1180"


def recorder(width: int) -> Console:
    """Return a console that records its output and shows nothing."""
    return Console(record=True, width=width, file=Path(os.devnull).open("w"), highlight=False, markup=False)


def save(console: Console, path: Path, title: str) -> None:
    """Write a recorder's output as an SVG picture."""
    picture = console.export_svg(title=title)
    # Drop the web fonts that rich links to: local fonts suffice.
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


def screenshot(page: Path, path: Path) -> None:
    """Write a screenshot of a page. Raises FileNotFoundError if Chromium is not installed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        raise FileNotFoundError("neither chromium nor google-chrome is on PATH")
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        wait = ["--virtual-time-budget=8000", f"--window-size={WINDOW}", f"--screenshot={path}"]
        subprocess.run([browser, *options, *wait, page.resolve().as_uri()], check=True, capture_output=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report-dir", type=Path, default=Path("reports"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--name", default="report")
    parser.add_argument("--width", type=int, default=110)
    chosen = parser.parse_args()
    status = json.loads((chosen.report_dir / "status.json").read_text())
    console = recorder(chosen.width)
    exceptions = {
        host["host"] for host in status["hosts"] if not OUTCOMES[host["outcome"]].is_healthy and not host["as_expected"]
    }
    table.show(console, *table.rows(status["hosts"], exceptions))
    save(console, chosen.docs / f"{chosen.name}.svg", f"ansible-playbook {status['operation']}.yml -i inventory")
    screenshot(chosen.report_dir / "report.html", chosen.docs / f"{chosen.name}.png")


if __name__ == "__main__":
    main()
