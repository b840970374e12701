"""Explain why an event was refused: the place, the part of the schema, a hint, the nearest name, other versions.

Place: console.detail → HERE → server.schemas.repository, catalog.snapshot.
Rules: cold: a person has opened a row. Nothing here decides a verdict: that was done by the worker.
Not here: AJV's words (validators.words).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from server.filter.facts import nearest

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.schemas.repository import SchemaRepository

MAX_VERSIONS: Final = 12
MAX_FRAGMENT_CHARS: Final = 2_000
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]|\[(\d+)\]")
_MISSING: Final = object()

# Hints for errors that the schema's own words do not explain. ``{}`` is the name of a field.
HINTS: Final = {
    "missing_schema_uri": 'Every event names its schema: add "$schema": "/<title>/<version>".',
    "bad_schema_uri": "A schema's URI looks like /web/page_view/1.1.0: a title and a version of three numbers.",
    "unknown_schema": "No repository has this schema. Check title and version, or add its file to schemas.base_uris.",
    "insecure_schema": "The schema has keywords that this service refuses. penstock check says which.",
    "missing_stream": 'Every event names its stream: add "meta": {"stream": "<name>"}.',
    "unknown_stream": "No declaration has this stream. Check the name, or add it to streams.sources.",
    "schema_title_mismatch": "The stream takes events of another schema title: see the stream's schema_title.",
    "wrong_service": "The stream belongs to another service: see destination_event_service.",
    "missing_key_field": "The stream's message_key_fields name a field that the event lacks.",
    "duplicate_key": "A name occurs twice in one object. Keep one of them.",
    "event_too_large": "The event is larger than the limit. Send less in it.",
    "not_an_object": "Each event is a JSON object: {...}.",
    "unauthorized": "The stream wants a key or a token with the request.",
    "forbidden": "The key or token of the request may not write to this stream.",
}


class Explainer:
    """Explains events by the schemas and streams of this process."""

    def __init__(self, schemas: SchemaRepository, snapshot: Snapshot) -> None:
        self._schemas = schemas
        self._snapshot = snapshot

    def use(self, snapshot: Snapshot) -> None:
        """Use these streams from now on."""
        self._snapshot = snapshot

    def explain(self, error_type: str, problems: list[Any], event: Any, raw: bytes) -> dict[str, Any]:
        """Return ``{"hint","problems","nearest","versions"}``."""
        uri = _text_at(event, "$schema")
        stream = _text_at(event, "meta", "stream")
        schema = self._schema(uri)
        return {
            "hint": HINTS.get(error_type, ""),
            "problems": [self._problem(problem, event, schema) for problem in problems],
            "nearest": self._nearest(error_type, uri, stream),
            "versions": self._versions(uri, event) if error_type in ("schema_violation", "unknown_schema") else [],
            "expected_title": self._title_of(stream) if error_type == "schema_title_mismatch" else "",
        }

    def _schema(self, uri: str) -> Any:
        found = self._schemas.find_here(uri) if uri else ("", "")
        return None if isinstance(found, tuple) else found.schema

    def _problem(self, problem: Any, event: Any, schema: Any) -> dict[str, Any]:
        path = path_of(str(problem.get("dataPath", "")))
        value = value_at(event, path)
        part = fragment(schema, str(problem.get("schemaPath", "")))
        return {
            "path": path,
            "message": problem.get("message", ""),
            "keyword": problem.get("keyword", ""),
            "schema_path": problem.get("schemaPath", ""),
            "fragment": _short(part),
            "hint": hint(problem, value, event, path, schema),
        }

    def _nearest(self, error_type: str, uri: str, stream: str) -> dict[str, str]:
        found: dict[str, str] = {}
        if error_type == "unknown_stream" and (name := nearest(stream, self._snapshot.names())):
            found["stream"] = name
        if error_type in ("unknown_schema", "bad_schema_uri"):
            title = uri.strip("/").rpartition("/")[0]
            versions = self._schemas.versions(title)
            if not versions:
                titles = [one.schema_title for one in self._snapshot.streams() if one.schema_title]
                meant = nearest(title or uri.strip("/"), titles)
                versions = self._schemas.versions(meant) if meant else []
            if versions:
                found["schema"] = versions[-1]
        return found

    def _title_of(self, stream: str) -> str:
        found = self._snapshot.find(stream)
        return (found.schema_title or "") if found is not None else ""

    def _versions(self, uri: str, event: Any) -> list[dict[str, Any]]:
        """Try the event with the other versions of its schema, the newest first."""
        title = uri.strip("/").rpartition("/")[0]
        others = [one for one in reversed(self._schemas.versions(title)) if one != uri][:MAX_VERSIONS]
        tried = []
        for other in others:
            found = self._schemas.find_here(other)
            if isinstance(found, tuple) or not isinstance(event, dict):
                continue
            violations = found.check(msgspec.json.encode({**event, "$schema": other}))
            said = violations[0] if violations else None
            text = f"{said.dataPath} {said.message}".strip() if said is not None else ""
            tried.append({"uri": other, "takes": not violations, "text": text})
        return tried


def hint(problem: Mapping[str, Any], value: Any, event: Any, path: list[str | int], schema: Any) -> str:
    """Return one sentence in plain words about a violation."""
    keyword, params = problem.get("keyword", ""), problem.get("params") or {}
    name = f"`{'.'.join(map(str, path))}`" if path else "The event"
    if keyword == "required":
        missing = str(params.get("missingProperty", ""))
        parent = value if isinstance(value, dict) else event
        meant = nearest(missing, [one for one in parent if isinstance(one, str)]) if isinstance(parent, dict) else None
        return f"Add `{missing}`." + (f" Is `{meant}` meant to be it?" if meant else "")
    if keyword == "type":
        wanted = params.get("type", "")
        return f"{name} must be {_article(str(wanted))}; got {_kind(value)}." + _conversion(str(wanted), value)
    if keyword == "format":
        return f"{name} must be {_format(str(params.get('format', '')))}; got {_shown(value)}." + _time_hint(value)
    if keyword == "additionalProperties":
        extra = str(params.get("additionalProperty", ""))
        known = list((value_at(schema, ["properties"]) or {}) if not path else {})
        meant = nearest(extra, known)
        return f"The schema has no `{extra}`: remove it." + (f" Is `{meant}` meant?" if meant else "")
    if keyword in ("enum", "const"):
        allowed = params.get("allowedValues", [params.get("allowedValue")])
        words = [one for one in allowed if isinstance(one, str)]
        meant = nearest(value, words) if isinstance(value, str) else None
        listed = ", ".join(_shown(one) for one in allowed[:20])
        return f"{name} must be one of {listed}; got {_shown(value)}." + (
            f" Is {_shown(meant)} meant?" if meant else ""
        )
    if keyword in ("maxLength", "minLength", "maximum", "minimum", "maxItems", "minItems"):
        size = len(value) if isinstance(value, str | list) else value
        return f"{name} {problem.get('message', '')}; it is {_shown(size)}."
    if keyword == "pattern":
        return f"{name} must match the pattern {params.get('pattern', '')}; got {_shown(value)}."
    return ""


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeio' else 'a'} {kind}"


def _kind(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    kinds = {bool: "a boolean", str: "a string", dict: "an object", list: "an array", type(None): "null"}
    return f"{kinds.get(type(value), 'a number')}, {_shown(value)}"


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = msgspec.json.encode(value).decode("utf-8", "replace")
    return text if len(text) <= 80 else text[:79] + "…"


def _conversion(wanted: str, value: Any) -> str:
    if (
        wanted in ("integer", "number")
        and isinstance(value, str)
        and value.strip().lstrip("-").replace(".", "", 1).isdigit()
    ):
        return " Leave out the quotes."
    if wanted == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return " Leave out the quotes."
    if wanted == "string" and isinstance(value, int | float):
        return " Put it in quotes."
    return ""


def _format(name: str) -> str:
    said = {"date-time": "a date-time of RFC 3339, such as 2026-11-28T10:00:00Z", "date": "a date, such as 2026-11-28"}
    return said.get(name, f"of the format {name}")


def _time_hint(value: Any) -> str:
    """Return what a number that looks like a time would be in RFC 3339."""
    text = value if isinstance(value, str) else ""
    if not text.isdecimal() or len(text) not in (10, 13):
        return ""
    seconds = int(text) / (1000 if len(text) == 13 else 1)
    return f" As a time it would be {datetime.fromtimestamp(seconds, UTC).isoformat().replace('+00:00', 'Z')}."


def path_of(data_path: str) -> list[str | int]:
    """Return the steps of AJV's ``dataPath``: ``.a['b c'][0]`` → ``["a", "b c", 0]``."""
    steps: list[str | int] = []
    for found in _STEP.finditer(data_path):
        if found[3] is not None:
            steps.append(int(found[3]))
        else:
            steps.append(found[1] if found[1] is not None else re.sub(r"\\(.)", r"\1", found[2]))
    return steps


def value_at(value: Any, path: list[str | int]) -> Any:
    """Return the value at a path; a mark that is no value if there is none."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def fragment(schema: Any, schema_path: str) -> Any:
    """Return the part of a schema that a ``schemaPath`` names, or the nearest part above it; None without a schema."""
    found = schema
    for step in schema_path.removeprefix("#/").split("/") if schema_path.startswith("#/") else []:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            inner = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            inner = found[int(name)]
        else:
            break
        if not isinstance(inner, dict | list) and isinstance(found, dict):
            return {name: inner, **{key: found[key] for key in ("description", "type", "format") if key in found}}
        found = inner
    return found


def _short(part: Any) -> Any:
    if part is None:
        return None
    text = msgspec.json.encode(part).decode("utf-8", "replace")
    return part if len(text) <= MAX_FRAGMENT_CHARS else text[:MAX_FRAGMENT_CHARS] + "…"


def _text_at(event: Any, *path: str) -> str:
    found = value_at(event, list(path))
    return found if isinstance(found, str) else ""
