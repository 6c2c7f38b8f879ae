"""report.html: the fleet in a browser, from what status.json holds. One file that needs no network.

The plots are plotly.js, which the package plotly brings; the page is a Jinja template (report.html.j2).
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

MIB = 1024**2
FEW = 12  # hosts up to which each has a colour and a name in the legend
COLOURS = (
    *("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"),
    *("#b58900", "#2aa198"),
)
STATE_COLOURS = {
    **dict.fromkeys(("leaking", "running"), "#3ca951"),
    **dict.fromkeys(("failed", "unreachable", "refused"), "#e0433a"),
    **dict.fromkeys(("off_rate", "plateaued", "stalled"), "#efb118"),
}
OTHER_COLOUR = "#9498a0"
BANDS = ("0 to 24 points", "25 to 49", "50 to 74", "75 to 99", "100 points")
ENVIRONMENT = Environment(loader=PackageLoader("memory_leak_lab", "."), autoescape=select_autoescape(["html", "j2"]))
Trace = dict[str, Any]


def write(status: dict[str, Any], path: Path) -> None:
    """Write the page for the contents of a status.json. Raises ImportError without the package plotly."""
    found = importlib.util.find_spec("plotly")
    if not found or not found.submodule_search_locations:
        raise ImportError("the package plotly is not installed")
    plotly = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    hosts = status["hosts"]
    measured = [host for host in hosts if len(host["samples"]) > 1]
    page = ENVIRONMENT.get_template("report.html.j2").render(
        status=status,
        has_grades=(path.parent / "grades.html").exists(),
        counts=Counter(host["state"] for host in hosts).most_common(),
        colours={host["state"]: STATE_COLOURS.get(host["state"], OTHER_COLOUR) for host in hosts},
        measured=measured,
        plotly=plotly.read_text(),
        traces=_as_script({"rss": rss_traces(measured), "available": available_traces(measured)}),
        ceiling=_as_script(ceiling_traces(measured)),
        mib=MIB,
    )
    path.write_text(page)


def write_grades(records: list[dict[str, Any]], path: Path) -> None:
    """Write the page of grades.json's records; report.html beside it links to it from its next writing on."""
    totals = Counter(min(each["total"] // 25, 4) for each in records if each["total"] is not None)
    counts = [(BANDS[band], count) for band, count in sorted(totals.items(), reverse=True)]
    counts += Counter(each["verdict"] for each in records if each["total"] is None).most_common()
    page = ENVIRONMENT.get_template("grades.html.j2").render(
        records=sorted(
            records, key=lambda each: (each["total"] is None, -(each["total"] or 0), each["file"], each["host"])
        ),
        categories=list(records[0]["categories"]) if records else [],
        counts=counts,
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path.write_text(page)


def _as_script(value: Any) -> str:
    """Return JSON that may stand in a script element: a host's name can't end it."""
    return json.dumps(value).replace("<", "\\u003c")


def rss_traces(hosts: list[dict[str, Any]]) -> list[Trace]:
    """Return the RSS of each host against time, and the line that was promised from its first sample on."""
    traces: list[Trace] = []
    for number, host in enumerate(hosts):
        few = len(hosts) <= FEW
        colour = COLOURS[number] if few else STATE_COLOURS.get(host["state"], OTHER_COLOUR)
        times_s = [sample[0] for sample in host["samples"]]
        sizes = [sample[1] / MIB for sample in host["samples"]]
        line = {"color": colour, "width": 2 if few else 1}
        traces.append(
            {
                "x": times_s,
                "y": [round(size, 3) for size in sizes],
                "name": host["host"],
                "legendgroup": host["host"],
                "mode": "lines",
                "line": line,
                "opacity": 1 if few else 0.6,
                "showlegend": few,
                "hovertemplate": "%{y:.1f} MiB after %{x:.0f} s, " + host["state"],
            }
        )
        promised = host["promised_mib_per_min"]
        if promised is not None and (few or number == 0):
            traces.append(
                {
                    "x": [times_s[0], times_s[-1]],
                    "y": [sizes[0], sizes[0] + promised * (times_s[-1] - times_s[0]) / 60],
                    "name": f"promised ({promised:g} MiB/min)",
                    "legendgroup": host["host"],
                    "mode": "lines",
                    "line": {"color": colour, "width": 1, "dash": "dot"},
                    "showlegend": number == 0,
                    "hoverinfo": "skip",
                }
            )
    return traces


def available_traces(hosts: list[dict[str, Any]]) -> list[Trace]:
    """Return the memory that each host has available against time."""
    few = len(hosts) <= FEW
    return [
        {
            "x": [sample[0] for sample in host["samples"]],
            "y": [round(sample[2] / MIB, 1) for sample in host["samples"]],
            "name": host["host"],
            "mode": "lines",
            "line": {
                "color": COLOURS[number] if few else STATE_COLOURS.get(host["state"], OTHER_COLOUR),
                "width": 2 if few else 1,
            },
            "opacity": 1 if few else 0.6,
            "showlegend": few,
            "hovertemplate": "%{y:.0f} MiB after %{x:.0f} s",
        }
        for number, host in enumerate(hosts)
    ]


def ceiling_traces(hosts: list[dict[str, Any]]) -> list[Trace]:
    """Return a line for each ceiling in force, in MiB."""
    ceilings = sorted({host["ceiling_bytes"] / MIB for host in hosts if host["ceiling_bytes"]})
    return [{"y": ceiling, "text": f"ceiling {ceiling:g} MiB"} for ceiling in ceilings]
