"""Draw the figures of the simulated fleets: how long the way back takes, and for which fleets there is none.

Place: bench.scale.report → HERE; docs/designs/scale.md shows the pictures.
Rules: everything drawn is read from the figures, and the same figures give the same bytes. Each cell has its value as
text, so that no meaning is in the colour alone.
Not here: the figures (report).
"""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape

from bench.render import THEMES

WIDTH: Final = 760
LEFT: Final = 210
ROW: Final = 34
TOP: Final = 92


def grid(title: str, note: str, rows: list[dict[str, Any]], by: str, theme: dict[str, str]) -> str:
    """A cell for each row and capacity: the seconds until the spools were empty, over those of the outage."""
    capacities = sorted({row["capacity"] for row in rows})
    lines_of = sorted({row[by] for row in rows})
    height, wide = TOP + ROW * len(lines_of) + 12, (WIDTH - LEFT) / len(capacities)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    ink, faint = theme["ink"], theme["faint"]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="14" role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="0" y="20" font-size="17" font-weight="600" fill="{ink}">{escape(title)}</text>',
        f'<text x="0" y="42" fill="{faint}">{escape(note)}</text>',
        f'<text x="0" y="{TOP - 10}" fill="{faint}">capacity of the brokers over load:</text>',
    ]
    for at, capacity in enumerate(capacities):
        x = LEFT + wide * (at + 0.5)
        out.append(f'<text x="{x:.1f}" y="{TOP - 10}" text-anchor="middle" fill="{ink}">{capacity:g}</text>')
    for number, line in enumerate(lines_of):
        y = TOP + ROW * number
        out.append(f'<text x="0" y="{y + 22}" fill="{ink}">{escape(by)} {line:g}</text>')
        for at, capacity in enumerate(capacities):
            row = next(one for one in rows if one[by] == line and one["capacity"] == capacity)
            is_back = row["empty_s"] is not None
            text = f"{row['empty_s'] / row['outage_s']:.1f}" if is_back else "not back"
            box = f'x="{LEFT + wide * at + 2:.1f}" y="{y + 2}" width="{wide - 4:.1f}" height="{ROW - 4}" rx="3"'
            fill = f'fill="{theme["ours"]}" fill-opacity="0.18"' if is_back else f'fill="none" stroke="{faint}"'
            out.append(f"<rect {box} {fill}/>")
            x = LEFT + wide * (at + 0.5)
            out.append(f'<text x="{x:.1f}" y="{y + 22}" text-anchor="middle" fill="{ink}">{text}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def pictures(figures: dict[str, Any]) -> dict[str, str]:
    """Each picture by its file name."""
    found = {}
    for theme, colours in THEMES.items():
        note = "seconds until the spools are empty, over seconds of the outage"
        found[f"scale-way-back-{theme}.svg"] = grid(
            "The way back after an outage", note, figures["way_back"], "outage_s", colours
        )
        found[f"scale-windows-{theme}.svg"] = grid(
            "More events with the brokers than they serve in time", note, figures["windows"], "window_s", colours
        )
    return found
