"""Render the mapping tables for docs/PAGE_CHANGE.md: ``python -m processors.page_change.tables_page``.

Place: tables → HERE → the documentation; a test compares both.
Rule: the page says what the code does, because it is made from it.
Not here: the rest of the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from processors.page_change.map import STREAMS, TITLES
from processors.page_change.tables import SLOT, TABLES, USER


def text() -> str:
    """Return the tables as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for stream, kind in STREAMS.items():
        yield f"### {stream} (`{TITLES[kind]}`)\n"
        yield "| member | from | rule |\n|---|---|---|"
        for row in TABLES[kind]:
            sources = ", else ".join(
                source if source in ("head", "order time") else f"`{source.removeprefix('=')}`"
                for source in row.sources
            )
            yield f"| `{row.target}` | {sources} | {row.rule.says} |"
        yield ""
    yield "### Users and slots\n"
    yield "| of the input | in the output |\n|---|---|"
    for name, (target, rule) in USER.items():
        yield f"| `performer.{name}` | `{target}`{f', {rule.says}' if rule.says else ''} |"
    for name, (target, _) in SLOT.items():
        yield f"| `rev_slots.<role>.{name}` | `content_slots.<role>.{target}` |"
    yield "| `rev_content_format` | `content_slots.main.content_format` |"


if __name__ == "__main__":
    print(text())
