"""Write report.html: the fleet in a browser, from the contents of status.json. One file that needs no network.

The page is a Jinja template (page.html.j2). Its charts use plotly.js from the package plotly; without it the page has none.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, select_autoescape

from ..contract import OUTCOMES, Record, StatusReport, colour
from ..schema import fields
from .records import replace

MIB = 1024**2
FEW = 12  # up to this many hosts, each has its own colour and legend entry
COLOURS = (
    *("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"),
    *("#b58900", "#2aa198"),
)
OUTCOME_COLOURS = {"green": "#3ca951", "red": "#e0433a", "yellow": "#efb118", "grey": "#9498a0"}
TEMPLATES = Path(__file__).parent
Trace = dict[str, Any]


class Column(NamedTuple):
    """A column of the page's table."""

    heading: str
    field: str
    item: int | None  # of a list
    is_number: bool
    divisor: float
    digits: int


def environment(*directories: Path) -> Environment:
    """Return a Jinja environment with the templates in these directories and this page's parts (page.css, table.js)."""
    return Environment(loader=FileSystemLoader([*directories, TEMPLATES]), autoescape=select_autoescape(["html", "j2"]))


def columns() -> list[Column]:
    """Return the columns of the table: those of each record field with a heading, the message last."""
    found = []
    for name, (hint, field) in fields(Record).items():
        headings = field.heading.split("|") if field.heading else []
        is_number = any(kind in str(hint) for kind in ("int", "float"))
        for place, heading in enumerate(headings):
            item = place if len(headings) > 1 else None
            found.append(Column(heading, name, item, is_number, field.divisor, field.digits))
    return found


def write(status: StatusReport, path: Path) -> None:
    """Write the page for the contents of status.json."""
    hosts = status["hosts"]
    measured = [host for host in hosts if len(host["samples"]) > 1]
    plotly = _plotly() if measured else None
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            status=status,
            has_grades=(path.parent / "grades.html").exists(),
            counts=Counter(host["outcome"] for host in hosts).most_common(),
            outcome_colours={name: OUTCOME_COLOURS[outcome.colour] for name, outcome in OUTCOMES.items()},
            host_colours=[OUTCOME_COLOURS[colour(host)] for host in hosts],
            columns=columns(),
            measured=measured,
            plotly=plotly,
            traces=_as_script({"rss": rss_traces(measured), "available": available_traces(measured)}),
            ceiling=_as_script(ceiling_traces(measured)),
        )
    )
    replace(path, page)


def _plotly() -> str | None:
    """Return plotly.js, or None if the package plotly is not installed."""
    found = importlib.util.find_spec("plotly")
    if not found or not found.submodule_search_locations:
        return None
    return (Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text()


def _as_script(value: Any) -> str:
    """Return JSON that is safe in a script element: a host name can't end it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def rss_traces(hosts: list[Record]) -> list[Trace]:
    """Return the RSS of each host over time, and a line from its first sample at its target rate."""
    traces: list[Trace] = []
    for number, host in enumerate(hosts):
        few = len(hosts) <= FEW
        line_colour = COLOURS[number] if few else OUTCOME_COLOURS[colour(host)]
        times_s = [sample[0] for sample in host["samples"]]
        sizes = [sample[1] / MIB for sample in host["samples"]]
        line = {"color": line_colour, "width": 2 if few else 1}
        traces.append(
            {
                "x": times_s,
                "y": [round(size, 3) for size in sizes],
                "name": escape(host["host"], quote=False),  # plotly interprets it as markup
                "legendgroup": host["host"],
                "mode": "lines",
                "line": line,
                "opacity": 1 if few else 0.6,
                "showlegend": few,
                "hovertemplate": "%{y:.1f} MiB after %{x:.0f} s, " + host["outcome"],
            }
        )
        target = host["target_rate_mib_per_min"]
        if target is not None and (few or number == 0):
            traces.append(
                {
                    "x": [times_s[0], times_s[-1]],
                    "y": [sizes[0], sizes[0] + target * (times_s[-1] - times_s[0]) / 60],
                    "name": f"target ({target:g} MiB/min)",
                    "legendgroup": host["host"],
                    "mode": "lines",
                    "line": {"color": line_colour, "width": 1, "dash": "dot"},
                    "showlegend": number == 0,
                    "hoverinfo": "skip",
                }
            )
    return traces


def available_traces(hosts: list[Record]) -> list[Trace]:
    """Return the available memory of each host over time."""
    few = len(hosts) <= FEW
    return [
        {
            "x": [sample[0] for sample in host["samples"]],
            "y": [round(sample[2] / MIB, 1) for sample in host["samples"]],
            "name": escape(host["host"], quote=False),
            "mode": "lines",
            "line": {
                "color": COLOURS[number] if few else OUTCOME_COLOURS[colour(host)],
                "width": 2 if few else 1,
            },
            "opacity": 1 if few else 0.6,
            "showlegend": few,
            "hovertemplate": "%{y:.0f} MiB after %{x:.0f} s",
        }
        for number, host in enumerate(hosts)
    ]


def ceiling_traces(hosts: list[Record]) -> list[Trace]:
    """Return a line for each ceiling in force, in MiB."""
    ceilings = sorted({host["ceiling_bytes"] / MIB for host in hosts if host["ceiling_bytes"]})
    return [{"y": ceiling, "text": f"ceiling {ceiling:g} MiB"} for ceiling in ceilings]
