"""Check the settings of a stream that the intake itself uses.

Place: catalog.check_streams → HERE.
Rules: null unsets the value of a more general place, which is refused for a setting that decides who may write. Unknown
settings belong to other programs (clients, consumers) and are passed on unread.
Not here: keys that are nearly known (catalog.unknown), checks of the merged settings (catalog.check_streams).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from server.catalog import allowed_auth
from server.catalog.emptied import UNSET
from server.catalog.stream_fault import StreamFault
from server.catalog.unknown import INTAKE, keys_of, unknown_keys
from server.config.framework.document import KeyPath
from server.config.framework.finding import quoted

_TITLE = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_VERSION_AT_END = re.compile(r"/(latest|current|\d+\.\d+\.\d+)(\.\w+)?$")
_SHADOW = re.compile(r"latest|(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_EVENT_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_OWNER = re.compile(r"[\w .@/-]{1,100}")
_MOST_FIELDS = 32  # Whose values plausibility alarms compare.
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,249}")


def problems(settings: dict[str, Any]) -> Iterator[StreamFault]:
    """Yield every fault of one map of settings, merged or not."""
    for path in _endless(settings):
        yield StreamFault(
            path, "is an infinite number or NaN, which JSON cannot express", "write a finite number, or a string"
        )
    yield from _map(settings, (), _TOP)
    yield from unknown_keys(settings, _TOP, _INTAKE)
    producers = settings.get("producers")
    intake = producers.get("eventgate") if isinstance(producers, dict) else None
    if isinstance(intake, dict):
        yield from _empty(intake)
        yield from _map(intake, ("producers", "eventgate"), _INTAKE)
    elif intake is not None:
        yield StreamFault(("producers", "eventgate"), f"found {quoted(intake)}; allowed is a map")


def _empty(intake: dict[str, Any]) -> Iterator[StreamFault]:
    """Report a null that would open a stream that a more general place has closed; it is seldom meant."""
    for name, value in intake.items():
        if value is not None or name not in _INTAKE:
            continue
        if name in UNSET:
            reason = "is empty, but it decides who may write"
            yield StreamFault((*INTAKE, name), reason, f"{UNSET[name]}; or leave the line out")
        else:
            reason = "is empty, which unsets what a more general place says"
            yield StreamFault((*INTAKE, name), reason, "leave the line out to keep that", "warning")


def _endless(value: Any) -> Iterator[KeyPath]:
    """Yield the paths of ``.inf`` and ``.nan``, which JSON, the format for readers of settings, cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        yield ()
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            for path in _endless(inner):
                yield (key, *path)


Rule = Callable[[Any, KeyPath], Iterator[StreamFault]]


def _map(settings: dict[str, Any], above: KeyPath, rules: dict[str, Rule]) -> Iterator[StreamFault]:
    for name, value in settings.items():
        if name in rules and value is not None:
            yield from rules[name](value, (*above, name))


def _is(kind: type | tuple[type, ...], words: str) -> Rule:
    def rule(value: Any, path: KeyPath) -> Iterator[StreamFault]:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield StreamFault(path, f"found {quoted(value)}; allowed is {words}")

    return rule


def _one_of(*words: str) -> Rule:
    def rule(value: Any, path: KeyPath) -> Iterator[StreamFault]:
        if value not in words:
            yield StreamFault(path, f"found {quoted(value)}; allowed is one of {', '.join(words)}")

    return rule


def _list_of(pattern: re.Pattern[str], words: str, *, may_be_regex: bool = False) -> Rule:
    def rule(value: Any, path: KeyPath) -> Iterator[StreamFault]:
        if not isinstance(value, list):
            yield StreamFault(path, f"found {quoted(value)}; allowed is a list", "write it as a list: [value]")
            return
        for index, item in enumerate(value):
            is_right = isinstance(item, str) and (pattern.fullmatch(item) or (may_be_regex and item.startswith("/")))
            if not is_right:
                yield StreamFault((*path, index), f"found {quoted(item)}; allowed is {words}", "Kafka would refuse it")

    return rule


def _title(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not isinstance(value, str):
        yield StreamFault(path, f"found {quoted(value)}; allowed is the title of a schema")
    elif value.startswith("/"):
        yield StreamFault(
            path,
            f"{value!r} begins with a slash, as URIs do",
            f"a title does not: {_VERSION_AT_END.sub('', value.strip('/'))}",
        )
    elif found := _VERSION_AT_END.search(value):
        hint = f"a stream takes every version of its title: {value[: found.start()]}"
        yield StreamFault(path, f"{value!r} ends in a version, as URIs do", hint)
    elif not _TITLE.fullmatch(value):
        yield StreamFault(path, f"{value!r} is not a schema title", "write names with slashes between: web/page_view")


def _size(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if type(value) is not int or value < 1:
        yield StreamFault(path, f"found {quoted(value)}; allowed is a whole number of bytes from 1")


def _key_fields(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not isinstance(value, dict):
        hint = "write `key name: path in the event` lines"
        yield StreamFault(path, f"found {quoted(value)}; allowed is a map", hint)
        return
    for key, field in value.items():
        if field is not None and not (isinstance(field, str) and _EVENT_PATH.fullmatch(field)):
            yield StreamFault(
                (*path, key), f"found {quoted(field)}; allowed is a path in the event", "as in page.page_id"
            )


def _headers(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not isinstance(value, dict):
        hint = "write `field: header` lines"
        yield StreamFault(path, f"found {quoted(value)}; allowed is a map of header names or false", hint)
        return
    for field, header in value.items():
        if not _EVENT_PATH.fullmatch(field):
            yield StreamFault((*path, field), f"{field!r} is not a path in an event", "write names with dots between")
        if header is not False and not (isinstance(header, str) and _HEADER_NAME.fullmatch(header)):
            hint = "false turns off what a more general setting has set"
            yield StreamFault(
                (*path, field), f"found {quoted(header)}; allowed is the name of a header, or false", hint
            )
        elif header is not False and header.lower() in allowed_auth.SECRET_HEADERS:
            reason, hint = f"{header} holds a key or token, which would be written into events", "leave it out"
            yield StreamFault((*path, field), reason, hint)


def _sample(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not isinstance(value, dict):
        yield StreamFault(path, f"found {quoted(value)}; allowed is a map of unit and rate")
        return
    if value.get("rate") is not None:
        yield from _share(value["rate"], (*path, "rate"))
    for problem in keys_of(value, ("rate", "unit"), path):
        if problem.level == "error":  # Clients read this section too, and may know more keys.
            yield problem


def _share(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        yield StreamFault(path, f"found {quoted(value)}; allowed is a number from 0 to 1")


def _shadow_schema(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not (isinstance(value, str) and _SHADOW.fullmatch(value)):
        hint = "name the version alone, without its title: 1.2.0"
        yield StreamFault(path, f"found {quoted(value)}; allowed is a version or `latest`", hint)


def _alarms(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """Check what plausibility alarms use; no other program reads it."""
    if not isinstance(value, dict):
        yield StreamFault(path, f"found {quoted(value)}; allowed is a map of {', '.join(_ALARMS)}")
        return
    yield from _map(value, path, _ALARMS)
    for name in value:
        if name not in _ALARMS:
            yield StreamFault((*path, name), "is no setting of alarms", f"the settings are {', '.join(_ALARMS)}")


def _owner(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    if not (isinstance(value, str) and _OWNER.fullmatch(value)):
        yield StreamFault(path, f"found {quoted(value)}; allowed is a name of up to 100 characters", "as in data-team")


def _count_per_h(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value < math.inf):
        yield StreamFault(path, f"found {quoted(value)}; allowed is a number of events above 0")


def _fields(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """Check the fields whose values are compared: true, or paths."""
    if isinstance(value, bool):
        return
    if not isinstance(value, list) or len(value) > _MOST_FIELDS:
        reason = f"found {quoted(value)}; allowed is true, or a list of up to {_MOST_FIELDS} paths in an event"
        yield StreamFault(path, reason)
        return
    for index, field in enumerate(value):
        if not (isinstance(field, str) and len(field) <= 200 and all(field.split("."))):
            yield StreamFault(
                (*path, index), f"{quoted(field)} is not a path in an event", "write names with dots between"
            )


def _edge_uniques(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    yield from _is(bool, "true or false")(value, path)
    if value is True:
        reason = "has no effect: events keep the experiment.subject_id that they came with"
        yield StreamFault(path, reason, "let the proxy in front fill it in, or leave the line out", "warning")


_TOP: dict[str, Rule] = {
    "schema_title": _title,
    "stream": _is(str, "text"),
    "topics": _list_of(_TOPIC, "the name of a topic", may_be_regex=True),
    "topic_prefixes": _list_of(_PREFIX, "the beginning of a topic's name"),
    "message_key_fields": _key_fields,
    "destination_event_service": _is(str, "text"),
    "canary_events_enabled": _is(bool, "true or false"),
    "producers": _is(dict, "a map"),
    "sample": _sample,
    "alarms": _alarms,
}
_ALARMS: dict[str, Rule] = {
    "enabled": _is(bool, "true or false"),
    "owner": _owner,
    "severity": _one_of("page", "ticket"),
    "expected_min_per_h": _count_per_h,
    "fields": _fields,
}
_INTAKE: dict[str, Rule] = {
    "enabled": _is(bool, "true or false"),
    "validation": _one_of("enforce", "observe", "off"),
    "enrich_fields_from_http_headers": _headers,
    "on_broker_down": _one_of("refuse", "spool"),
    "auth": allowed_auth.ways,
    "api_keys": allowed_auth.key_names,
    "networks": allowed_auth.networks,
    "identities": allowed_auth.identities,
    "origins": allowed_auth.origins,
    "sample": _sample,
    "max_event_bytes": _size,
    "use_edge_uniques": _edge_uniques,
    "shadow_schema": _shadow_schema,
    "shadow_rate": _share,
    "expect_rate": _share,
    "privacy": _one_of("declared", "strict"),
}
