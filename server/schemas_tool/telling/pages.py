"""Write a page of HTML for each title: fields, the version that brought each, examples, and streams of it.

Place: ``penstock schemas docs`` → HERE → telling.fields.
Rules: every text from a schema is escaped; no script, no picture, no address of another site. The same files give the
same bytes. A title whose newest version cannot be read gets a page that says why.
Not here: where pages are written (commands.schemas.docs), schemas of a running service (pages.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from server.schemas.judges import Bundle, UnusableError, bundle_of
from server.schemas_tool.finding import in_event
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.telling import personal
from server.schemas_tool.telling.fields import Field, Where, fields_of
from server.schemas_tool.versions import Version

_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;margin:2em auto;max-width:75em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left;"
    "vertical-align:top}pre{background:#f4f4f4;padding:.7em;overflow-x:auto}"
)
_NOT_LIMITS: Final = frozenset({"type", "description", "default", "$comment"})


def index(titles: Mapping[str, Sequence[Version]], streams: Mapping[str, Sequence[str]]) -> str:
    """Return the page with all titles."""
    rows = [
        f'<tr><td><a href="{quote(title)}/index.html">{escape(title)}</a></td><td>{versions[-1].version}</td>'
        f"<td>{escape(_description(versions[-1]))}</td><td>{escape(', '.join(streams.get(title, ())))}</td></tr>\n"
        for title, versions in titles.items()
    ]
    head = "<table><tr><th>title</th><th>version</th><th>description</th><th>streams</th></tr>\n"
    report = '<p><a href="persons.html">Values of persons, and what is kept of them</a></p>\n'
    return _page("Schemas", "", report + head + "".join(rows) + "</table>\n")


def privacy(
    titles: Mapping[str, Sequence[Version]], streams: Mapping[str, Sequence[str]], bases: Sequence[Path]
) -> str:
    """Return the page that lists what is kept of a person."""
    return _page("Values of persons", "", personal.table(titles, streams, bases))


def page(versions: Sequence[Version], streams: Sequence[str], bases: Sequence[Path]) -> str:
    """Return the page of a title."""
    newest = versions[-1]
    up = "../" * (newest.title.count("/") + 1)
    try:
        bundle = _bundle(newest, bases)
        content = "".join(_sections(versions, bundle, streams, bases))
    except (UnusableError, MaterializeError) as error:
        content = f"<p>The newest version cannot be read: {escape(str(error))}</p>\n"
    return _page(newest.title, up, content)


def trouble(versions: Sequence[Version], bases: Sequence[Path]) -> str:
    """Return why the newest version of a title cannot be read; "" if it can."""
    try:
        _bundle(versions[-1], bases)
    except MaterializeError as error:  # It names the file, and the line.
        return str(error)
    except UnusableError as error:
        return f"{versions[-1].name}: {error}"
    return ""


def _sections(
    versions: Sequence[Version], bundle: Bundle, streams: Sequence[str], bases: Sequence[Path]
) -> Iterator[str]:
    newest = versions[-1]
    yield f"<p>{escape(_description(newest))}</p>\n"
    yield f"<p>Versions: {escape(', '.join(each.version for each in reversed(versions)))}.</p>\n"
    yield f"<p>Streams: {escape(', '.join(streams) or 'none that is declared here')}.</p>\n"
    yield "<h2>Fields</h2>\n<table><tr><th>field</th><th>type</th><th>required</th><th>since</th>"
    yield "<th>description</th><th>limits</th></tr>\n"
    fields = fields_of(bundle)
    since = _since(versions, bundle, bases)
    for where, field in fields.items():
        yield _row(field, since.get(where, newest.version))
    yield "</table>\n"
    examples = newest.contents.get("examples")
    for event in examples if isinstance(examples, list) else ():
        yield f"<h2>Example</h2>\n<pre>{escape(json.dumps(event, indent=2, ensure_ascii=False))}</pre>\n"


def _row(field: Field, since: str) -> str:
    limits = "; ".join(f"{word}: {_text(value)}" for word, value in field.says.items() if word not in _NOT_LIMITS)
    cells = (
        f"<code>{escape(in_event(field.where)[1:])}</code>",
        escape(field.kind),
        "yes" if field.is_required else "",
        since,
        escape(str(field.says.get("description", ""))),
        escape(limits),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"


def _since(versions: Sequence[Version], bundle: Bundle, bases: Sequence[Path]) -> dict[Where, str]:
    """Return the version since which each field has been there without a break."""
    since = dict.fromkeys(fields_of(bundle), versions[-1].version)
    present = set(since)
    for version in reversed(versions[:-1]):
        try:
            present &= fields_of(_bundle(version, bases)).keys()
        except (UnusableError, MaterializeError):
            break
        since.update(dict.fromkeys(present, version.version))
    return since


def _bundle(version: Version, bases: Sequence[Path]) -> Bundle:
    return bundle_of(version.contents, version.uri, bases)


def _description(version: Version) -> str:
    try:
        return str(version.contents.get("description", ""))
    except MaterializeError:
        return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page(title: str, up: str, content: str) -> str:
    link = f'<p><a href="{up}index.html">All schemas</a></p>\n' if up else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{link}{content}</body></html>\n"
    )
