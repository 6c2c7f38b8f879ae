"""Draw docs/architecture.svg: the parts of the project and their imports, read from the code.

Usage: python docs/architecture.py [OUTPUT]

A solid arrow points from a part to a part that it imports. An import that a longer chain of arrows implies is not drawn.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

PROJECT = Path(__file__).resolve().parents[1]
ROLE = "roles/memory_leak"
# Each part: what the picture says about it, and its files.
PARTS = {
    "grading": ("diagnosis → points", ["src/memory_leak_lab/grading/*.py"]),
    "investigation": ("snapshots → diagnosis", ["src/memory_leak_lab/investigation/*.py"]),
    "agent": ("MCP tools on hosts", ["src/memory_leak_lab/agent/**/*.py"]),
    "lab": ("VMs and containers", ["src/memory_leak_lab/lab/**/*.py"]),
    "watch, pictures": ("live view", ["src/memory_leak_lab/watch.py", "src/memory_leak_lab/pictures.py"]),
    "Ansible plugins": (
        "action and callback",
        [f"{ROLE}/*_plugins/*.py", "roles/investigation/action_plugins/*.py"],
    ),
    "report": ("table, files, page", [f"{ROLE}/memory_leak_controller/report/*.py"]),
    "controller": ("validates and measures", [f"{ROLE}/memory_leak_controller/*.py"]),
    "contract": ("types, outcomes", [f"{ROLE}/memory_leak_controller/{name}.py" for name in ("contract", "schema")]),
    "host program": ("runs as root on each host", [f"{ROLE}/memory_leak_host/*.py"]),
}
# What the code does without an import, drawn dashed.
SENDS = ("controller", "host program", "sends over ssh")
BOX = (2.5, 0.72)
GAP = (0.45, 0.75)


def files() -> dict[Path, str]:
    """Return the part of each file. A file that several parts name belongs to the most specific, which is listed last."""
    return {path: name for name, (_text, patterns) in PARTS.items() for each in patterns for path in PROJECT.glob(each)}


def imports() -> dict[str, set[str]]:
    """Return the parts that each part imports."""
    parts = files()
    by_module = {module: part for path, part in parts.items() for module in _modules(path)}
    found: dict[str, set[str]] = {part: set() for part in PARTS}
    for path, part in parts.items():
        for module in _imported(path):
            names = module.split(".")
            known = (by_module.get(".".join(names[:length])) for length in range(len(names), 0, -1))
            target = next(filter(None, known), part)
            if target != part:
                found[part].add(target)
    return found


def _modules(path: Path) -> list[str]:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    packages = ("memory_leak_controller", "memory_leak_host", "memory_leak_lab", "bench")
    start = next((place for place, part in enumerate(parts) if part in packages), None)
    if start is None:
        return []
    names = parts[start:-1] if parts[-1] == "__init__" else parts[start:]
    return [".".join(names)]


def _imported(path: Path) -> list[str]:
    """Return the modules that a file imports at run time, absolute."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    package = (_modules(path) or [""])[0].split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            found += [".".join([*base, alias.name]) for alias in node.names]
    return found


def layers(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the parts from the top down, each below everything that imports it."""
    height: dict[str, int] = {}
    for part in graphlib.TopologicalSorter(graph).static_order():
        height[part] = 1 + max((height[each] for each in graph[part]), default=-1)
    top = max(height.values())
    imported = set().union(*graph.values())
    lone = {part for part in PARTS if not graph[part] and part not in imported and part != SENDS[1]}
    height |= dict.fromkeys(lone, top)
    return [[part for part in PARTS if height[part] == level] for level in range(top, -1, -1)]


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without the edges that a longer path implies."""

    def reachable(part: str) -> set[str]:
        return graph[part].union(*(reachable(each) for each in graph[part]))

    return {part: targets - set().union(*(reachable(each) for each in targets)) for part, targets in graph.items()}


def draw(graph: dict[str, set[str]], output: Path) -> None:
    """Write the picture as SVG."""
    mpl.rcParams["svg.hashsalt"] = "architecture"  # the same code gives the same file
    rows = layers(graph)
    width = max(map(len, rows)) * (BOX[0] + GAP[0])
    figure, axes = pyplot.subplots(figsize=(width, len(rows) * (BOX[1] + GAP[1])))
    places = {}
    for level, row in enumerate(rows):
        for number, part in enumerate(row):
            middle = width / 2 + (number - (len(row) - 1) / 2) * (BOX[0] + GAP[0])
            places[part] = (middle, -level * (BOX[1] + GAP[1]))
    for part, (x, y) in places.items():
        axes.add_patch(
            FancyBboxPatch(
                (x - BOX[0] / 2, y - BOX[1] / 2),
                *BOX,
                boxstyle="round,pad=0.03",
                facecolor="#eef3fb",
                edgecolor="#4269d0",
            )
        )
        axes.text(x, y + 0.13, part, ha="center", va="center", weight="bold", fontsize=11)
        axes.text(x, y - 0.17, PARTS[part][0], ha="center", va="center", fontsize=9, color="#444444")
    for part, targets in reduced(graph).items():
        for target in targets:
            _arrow(axes, places[part], places[target])
    sender, receiver, text = SENDS
    _arrow(axes, places[sender], places[receiver], style="dashed")
    middle = [(places[sender][axis] + places[receiver][axis]) / 2 for axis in (0, 1)]
    axes.text(middle[0] + 0.25, middle[1], text, fontsize=9, color="#444444", ha="left")
    axes.set_xlim(0, width)
    axes.set_ylim(-(len(rows) - 1) * (BOX[1] + GAP[1]) - BOX[1], BOX[1])
    axes.set_aspect("equal")
    axes.axis("off")
    figure.savefig(output, bbox_inches="tight", metadata={"Date": None})


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "solid") -> None:
    """Draw an arrow from the bottom of a box to the top of another."""
    ends = (start[0], start[1] - BOX[1] / 2 - 0.04), (end[0], end[1] + BOX[1] / 2 + 0.04)
    axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color="#777777", linestyle=style))


if __name__ == "__main__":
    draw(imports(), Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "architecture.svg")
