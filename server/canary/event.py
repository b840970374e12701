"""Make a canary of the first example of a stream's latest schema.

Place: canary.run → HERE, from server.schemas.
Rules: an example is never changed itself. Fields that the intake fills in are left out, so that each canary shows that
it does so; the time of the event (``dt``) is now, because an old one would close partitions of a past hour. Without an
example, or with one that is not valid, there is no canary, and the reason names the schema.
Not here: which streams have canaries (canary.plan), sending (canary.post).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from server.canary.verdict import EXAMPLE, SCHEMA
from server.identity import new_id
from server.schemas.repository import errors_text

if TYPE_CHECKING:
    from server.config.settings import Intake
    from server.schemas.repository import SchemaRepository

DOMAIN: Final = "canary"
_DOMAIN_PATH: Final = ("meta", "domain")
_RUN_PATH: Final = ("meta", "request_id")
_TIME_PATH: Final = ("dt",)


class NoCanaryError(Exception):
    """No canary can be made for a stream. ``str()`` says why, for operators, and ``stage`` whose fault it is."""

    stage = SCHEMA


class BadExampleError(NoCanaryError):
    """The first example of the schema makes no valid event."""

    stage = EXAMPLE


class NoExampleError(BadExampleError):
    """The schema has no example."""


class Canary(Struct, frozen=True):
    """One canary as it is sent. ``identity`` occurs in it, and in no other event."""

    identity: str
    text: bytes


def make(stream: str, title: str, schemas: SchemaRepository, intake: Intake, run_id: str, now_s: float) -> Canary:
    """Make the canary of a stream. Raises NoCanaryError."""
    versions = schemas.versions(title)
    if not versions:
        raise NoCanaryError(f"the schema {title} is not in a directory, or was not fetched yet")
    uri = versions[-1]
    example = first_example(uri, schemas)
    found = schemas.find_here(uri)
    if isinstance(found, tuple):
        raise NoCanaryError(f"the schema {uri} cannot be used: {found[1]}")
    identity, now = new_id().decode(), _text_of(now_s)
    event = copy.deepcopy(example)
    put(event, _path(intake.schema_uri_field), uri)
    put(event, _path(intake.stream_field), stream)
    put(event, _DOMAIN_PATH, DOMAIN)
    put(event, _path(intake.id_field), identity)
    if found.declares(_RUN_PATH):
        put(event, _RUN_PATH, run_id)
    if found.declares(_TIME_PATH):
        put(event, _TIME_PATH, now)
    received = _path(intake.dt_field)
    if received != _TIME_PATH:
        remove(event, received)
    whole = copy.deepcopy(event)
    if found.declares(received):
        put(whole, received, now)
    problems = found.check(msgspec.json.encode(whole))
    if problems:
        raise BadExampleError(f"the first example of {uri} makes no valid event: {errors_text(problems)[:500]}")
    return Canary(identity, msgspec.json.encode(event))


def first_example(uri: str, schemas: SchemaRepository) -> dict[str, Any]:
    """Return the first example of a schema. Raises NoCanaryError."""
    text = schemas.document(uri)
    if isinstance(text, tuple):
        raise NoCanaryError(f"the schema {uri} cannot be used: {text[1]}")
    examples = msgspec.json.decode(text).get("examples")
    if not isinstance(examples, list) or not examples:
        raise NoExampleError(f"the schema {uri} has no examples")
    if not isinstance(examples[0], dict):
        raise BadExampleError(f"the first example of {uri} is not an object")
    example: dict[str, Any] = examples[0]
    return example


def put(event: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value, and make the objects above it where they are absent."""
    for name in path[:-1]:
        inner = event.get(name)
        if not isinstance(inner, dict):
            inner = event[name] = {}
        event = inner
    event[path[-1]] = value


def remove(event: dict[str, Any], path: Sequence[str]) -> None:
    """Remove a value if it is there."""
    for name in path[:-1]:
        inner = event.get(name)
        if not isinstance(inner, dict):
            return
        event = inner
    event.pop(path[-1], None)


def _path(field: str | list[str]) -> tuple[str, ...]:
    return tuple((field if isinstance(field, str) else field[0]).split("."))


def _text_of(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
