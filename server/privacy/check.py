"""Check that the annotations of the schemas in use can be obeyed: keys of hashes, keys of partitions, names.

Place: boot.examine → HERE → privacy.keys.
Rules: what loses events or names is an error, what withholds more than the schema says is a warning. The newest version
of each title that was read is looked at.
Not here: the annotations themselves, which are checked when a schema is read (validators.privacy).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from server.config.framework.finding import Level
from server.errors import SettingsError
from server.privacy.keys import HashKey, read
from server.schemas.repository import KEEP, PrivacyPlan, spoken_of

if TYPE_CHECKING:
    from server.catalog.stream import Stream
    from server.config.load import Loaded
    from server.schemas.repository import SchemaRepository, Validator

_REMOVES: Final = frozenset({"drop", "truncate-ip", "coarse-time"})


class Remark(NamedTuple):
    """A fault in the annotations that one stream uses."""

    level: Level
    stream: str
    reason: str
    hint: str


def hash_keys(loaded: Loaded) -> tuple[Path | None, tuple[HashKey, ...]]:
    """Return the file of keys, if there is one, and the keys in it. Raises SettingsError."""
    if loaded.config.privacy.keys_file is None:
        return None, ()
    path = loaded.path(loaded.config.privacy.keys_file)
    return path, read(path)


def trouble_with_keys(loaded: Loaded) -> str:
    """Return why the keys cannot be used; "" if they can."""
    try:
        hash_keys(loaded)
    except SettingsError as error:
        return str(error)
    return ""


def remarks(
    streams: list[Stream],
    schemas: SchemaRepository,
    names: list[tuple[str, ...]],
    own: list[tuple[str, ...]],
    *,
    has_keys: bool,
) -> Iterator[Remark]:
    """Yield what is wrong with the annotations that speak of these streams' events. ``names`` are the fields that name
    schema and stream, ``own`` those that the intake fills in with identity and time."""
    if not schemas.is_private:
        return
    for stream in streams:
        plan = schemas.plan_in_use(stream.schema_title or "")
        if plan is not None:
            yield from _about(stream, plan, names, has_keys=has_keys)
            yield from _about_canaries(stream, plan, own)
        yield from _about_checks(stream, schemas)


def _about_canaries(stream: Stream, plan: PrivacyPlan, own: list[tuple[str, ...]]) -> Iterator[Remark]:
    if stream.settings.get("canary_events_enabled") is False:
        return
    for path in own:
        if plan.action_at(path) not in (None, KEEP):
            reason = f"schema {stream.schema_title} withholds {'.'.join(path)!r}, by which stored canaries are known"
            hint = "leave x-privacy out there: it says nothing of a person; or set canary_events_enabled: false"
            yield Remark("warning", stream.name, reason, hint)


def _about_checks(stream: Stream, schemas: SchemaRepository) -> Iterator[Remark]:
    """Yield what expectations and a version that is tried miss, because events are judged as they are stored."""
    title = stream.schema_title or ""
    tried = _tried(stream, schemas)
    usual = _newest(schemas, [uri for uri in schemas.versions(title) if tried is None or uri != tried.uri])
    if usual is None or usual.privacy is None:
        return
    own = spoken_of(usual.privacy, usual.schema, usual.schema)
    is_judged = tried is not None or (stream.expect_rate and schemas.has_expectations(usual))
    for each in own if is_judged else ():
        if each.is_required:
            reason = f"schema {usual.uri} requires {each.field!r}, which is never stored (x-privacy: {each.action}), so"
            reason += " that no event is judged by expectations or by a version that is tried: as stored, none is valid"
            yield Remark("warning", stream.name, reason, "leave the field out of `required`, or keep it")
    if tried is None:
        return
    for each in spoken_of(usual.privacy, tried.schema, tried.schema):
        if each not in own:
            what = "requires" if each.is_required else "says something else of"
            reason = f"the version {tried.uri} that is tried {what} {each.field!r}, which is not stored as it came"
            reason += f" (x-privacy: {each.action} in {usual.uri})"
            yield Remark(
                "warning", stream.name, reason, "events are judged as they are stored, so this cannot be tried"
            )


def _tried(stream: Stream, schemas: SchemaRepository) -> Validator | None:
    """Return the version that the stream tries; None if it tries none, or none that can be used."""
    versions = schemas.versions(stream.schema_title or "")
    if stream.shadow_schema is None or not stream.shadow_rate:
        return None
    wanted = [uri for uri in versions if uri.endswith(f"/{stream.shadow_schema}")]
    return _newest(schemas, versions if stream.shadow_schema == "latest" else wanted)


def _newest(schemas: SchemaRepository, versions: Sequence[str]) -> Validator | None:
    found = schemas.find_here(versions[-1]) if versions else ("unknown_schema", "")
    return None if isinstance(found, tuple) else found


def _about(stream: Stream, plan: PrivacyPlan, names: list[tuple[str, ...]], *, has_keys: bool) -> Iterator[Remark]:
    title = stream.schema_title
    if "hash" in plan.actions and not has_keys:
        reason = f"schema {title} has values that are to be hashed, and there is no key: they are dropped"
        yield Remark("warning", stream.name, reason, "set privacy.keys_file: docs/PRIVACY.md")
    for path in names:
        if plan.action_at(path) not in (None, KEEP):
            reason = f"schema {title} withholds {'.'.join(path)!r}, by which events name their schema or stream"
            yield Remark("error", stream.name, reason, "leave x-privacy out there")
    for name, path in stream.key_fields:
        action = plan.action_at(path)
        if action in _REMOVES:
            reason = f"schema {title} has `x-privacy: {action}` for {'.'.join(path)!r}, the key field {name!r}"
            hint = "the key would hold null, or be shared by strangers; use `hash`, or choose another key field"
            yield Remark("error", stream.name, reason, hint)
