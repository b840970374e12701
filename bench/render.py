"""Render the figures that were kept last: bench/results/RESULTS.md, pictures for light and dark, and the README.

Place: `python -m bench render`, the end of `make bench`.
Rules: everything drawn is read from the JSON files beside it, nothing is typed in; the same figures give the same
bytes. A picture compares CPU per event, so shorter is better, and says so.
Not here: measuring, and what the figures must be (marks).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench import budget, costs, latency, marks, scaling
from bench.events import ROOT
from bench.peers import start
from bench.works import WORKS

PLACE = Path(__file__).parent / "results"
README = ROOT / "README.md"
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
PICTURES = {
    "single-hasty": ("costs-single", "One event a request, hasty"),
    "batch-100": ("costs-batch", "Batches of 100 events, hasty"),
}
THEMES = {
    "light": {"ink": "#1f2328", "faint": "#59636e", "line": "#d1d9e0", "bar": "#8c959f", "ours": "#0969da"},
    "dark": {"ink": "#f0f6fc", "faint": "#9198a1", "line": "#3d444d", "bar": "#656c76", "ours": "#4493f8"},
}
BARS, ROW, TOP = 460, 30, 64
# Wide common fonts, such as Verdana, take less than this share of the font's size for a character.
CHARACTER, BOLD = 0.66, 0.74


def picture(title: str, rows: list[tuple[str, float, bool]], note: str, theme: dict[str, str]) -> str:
    """Horizontal bars. A row: label, µs, whether it is ours."""
    height = TOP + ROW * len(rows) + 34
    most = max(value for _, value, _ in rows)
    left = 20 + round(max(14 * len(label) * (BOLD if is_ours else CHARACTER) for label, _, is_ours in rows))
    width = max(left + BARS, round(12 * len(note) * CHARACTER), round(17 * len(title) * BOLD))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="14" role="img">',
        f"<title>{escape(title)}: CPU microseconds per event</title>",
        f'<text x="0" y="20" font-size="17" font-weight="600" fill="{theme["ink"]}">{escape(title)}</text>',
        f'<text x="0" y="42" fill="{theme["faint"]}">CPU µs per accepted event, all threads; shorter is better</text>',
    ]
    for at, (label, value, is_ours) in enumerate(rows):
        y = TOP + ROW * at
        length = max((width - left - 70) * value / most, 1)
        ink = f'y="{y + 15}" fill="{theme["ink"]}"' + (' font-weight="600"' if is_ours else "")
        fill = theme["ours" if is_ours else "bar"]
        lines += [
            f'<text x="{left - 10}" text-anchor="end" {ink}>{escape(label)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="20" rx="3" fill="{fill}"/>',
            f'<text x="{left + length + 8:.1f}" {ink}>{value:.1f}</text>',
        ]
    lines.append(f'<line x1="{left}" y1="{TOP - 6}" x2="{left}" y2="{height - 36}" stroke="{theme["line"]}"/>')
    lines.append(f'<text x="0" y="{height - 8}" font-size="12" fill="{theme["faint"]}">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def pictures(kept: dict[str, Any]) -> dict[str, str]:
    """Each picture by its file name."""
    machine = kept["environment"]
    note = f"{machine['cpu']}, one core; Python {machine['python']}; commit {machine['commit']}, {machine['time'][:10]}"
    found = {}
    for work, (name, title) in PICTURES.items():
        cells = [one for one in kept["results"] if one["work"] == work]
        rows = [(start.PEERS[one["peer"]].title, one["cpu_us_per_event"], one["peer"] == "intake") for one in cells]
        rows.sort(key=lambda row: row[1])
        for theme, colours in THEMES.items():
            if rows:
                found[f"{name}-{theme}.svg"] = picture(title, rows, note, colours)
    return found


def markdown(place: Path) -> str:
    """All tables, each as the bench prints it, with its machine."""
    parts = ["# Results\n\nWritten by `python -m bench render` from the JSON files beside it. Method: ../README.md.\n"]
    tables = [
        ("costs", "CPU per event", costs.table),
        ("latency", "Latency", latency.table),
        ("scaling", "Scaling", lambda kept: scaling.table(kept["results"])),
        ("budget", "Where the time goes", lambda kept: budget.table(kept["works"])),
    ]
    for name, title, table in tables:
        file = place / f"{name}.json"
        if not file.is_file():
            parts.append(f"## {title}\n\nNot measured yet: `python -m bench {name} --keep`.\n")
            continue
        kept = json.loads(file.read_text(encoding="utf-8"))
        machine = kept["environment"]
        about = f"{machine['cpu']}, {machine['cores']} threads, kernel {machine['kernel']}, Python {machine['python']}"
        shown = "\n".join(_picture(name, title) for name, title in PICTURES.values()) if name == "costs" else ""
        about += f"; commit {machine['commit']}, {machine['time']}."
        parts.append("\n\n".join(filter(None, (f"## {title}", about, shown, f"```\n{table(kept)}\n```\n"))))
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        marks.run(["--results", str(place)])
    parts.append(f"## Marks\n\n```\n{told.getvalue()}```\n")
    return "\n".join(parts)


def readme(text: str) -> str:
    """The project's README with its one picture, and where the rest is."""
    name, title = PICTURES["single-hasty"]
    shown = _picture(f"bench/results/{name}", title)
    return FIGURES.sub(lambda _: f"{shown}\n\n[All figures](bench/results/RESULTS.md).\n", text)


def _picture(name: str, title: str) -> str:
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
    return f'<picture>{dark}<img src="{name}-light.svg" alt="{escape(title)}: CPU per event"></picture>'


def run(arguments: list[str]) -> int:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m bench render", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=PLACE, help="where the figures are, and the files go")
    options = parser.parse_args(arguments)
    file = options.results / "costs.json"
    if file.is_file():
        for name, text in pictures(json.loads(file.read_text(encoding="utf-8"))).items():
            (options.results / name).write_text(text, encoding="utf-8")
        if options.results == PLACE:
            README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
    (options.results / "RESULTS.md").write_text(markdown(options.results), encoding="utf-8")
    print(f"{options.results / 'RESULTS.md'} and {len(PICTURES) * len(THEMES)} pictures of {len(WORKS)} works")
    return 0
