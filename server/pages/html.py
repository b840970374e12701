"""Plain HTML pages for people who open streams or schemas in a browser.

Place: server.pages.published → HERE → pages.documents.
Rules: every text from a file or a client goes through ``escape``; no script, no picture, no address of another site.
A page is yielded piece by piece, so that a large one is made in slices.
Not here: the content to show (server.pages.published).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import msgspec

from server.paths import Paths

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 sans-serif;margin:2em auto;max-width:60em;padding:0 1em}}
pre{{background:#f4f4f4;padding:.7em;overflow-x:auto}}h2{{font-size:1.1em;margin-top:2em}}</style>
</head><body><h1>{title}</h1>
"""
_TAIL = "</body></html>\n"


def streams(title: str, entries: Iterator[tuple[str, dict[str, Any]] | None]) -> Iterator[bytes]:
    """Show each stream with its settings and a link to its schema."""
    yield (
        _HEAD.format(title=escape(title)) + "<p>The same as JSON: ask with <code>Accept: application/json</code>.</p>\n"
    ).encode()
    count = 0
    for entry in entries:
        if entry is None:
            yield b""
            continue
        count += 1
        name, settings = entry
        text = json.dumps(settings, indent=2, ensure_ascii=False)
        shown = f"<h2>{escape(name)}</h2>\n{_of_schema(settings.get('schema_title'))}{_pre(text)}"
        yield shown.encode("utf-8", "replace")
    yield f"<p>Streams: {count}.</p>\n{_TAIL}".encode()


def schema(uri: str, text: bytes) -> Iterator[bytes]:
    """Show one schema; ``text`` is its JSON."""
    above = uri.rpartition("/")[0]
    link = f'<p>Other versions: <a href="{Paths.SCHEMAS}{quote(above)}">{escape(above)}</a></p>\n'
    yield (_HEAD.format(title=escape(uri)) + link + _pre(msgspec.json.format(text).decode()) + _TAIL).encode()


def directory(path: str, directories: Sequence[str], versions: Sequence[str]) -> Iterator[bytes]:
    """Show the contents of one directory; ``versions`` are schema URIs."""
    lines = [_HEAD.format(title=escape(path)), "<ul>\n"]
    above = path.rpartition("/")[0]
    if above.startswith(Paths.SCHEMAS):
        lines.append(_item(above, ".."))
    lines += [_item(f"{path}/{name}", f"{name}/") for name in directories]
    lines += [_item(f"{Paths.SCHEMAS}{uri}", uri.rpartition("/")[2]) for uri in reversed(versions)]
    if versions:
        lines.append(_item(f"{path}/latest", "latest"))
    yield ("".join(lines) + "</ul>\n" + _TAIL).encode("utf-8", "replace")


def _of_schema(title: Any) -> str:
    if not isinstance(title, str):
        return ""
    return f'<p>Schema: <a href="{Paths.SCHEMAS}/{escape(quote(title))}">{escape(title)}</a></p>\n'


def _item(address: str, text: str) -> str:
    return f'<li><a href="{escape(quote(address))}">{escape(text)}</a></li>\n'


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>\n"
