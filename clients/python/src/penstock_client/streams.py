"""Stream configuration on the client: which stream, sampling, curation, values, destination.

The rules are Wikimedia's (EventLogging, Metrics Platform); both client libraries are run against the same vectors in
tests/contract/clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Settings = Mapping[str, Any]
Context = Mapping[str, Any]

UNITS = ("session", "pageview", "device")
MAX_CACHED = 10_000
_HEX = re.compile(r"[0-9A-Fa-f]{8}")


class Streams:
    """The streams of one answer of ``/v1/streamconfigs``: by name, then by the first regular expression."""

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self._exact: dict[str, Settings] = {}
        self._patterns: list[tuple[re.Pattern[str], Settings]] = []
        for name, one in declared.items():
            if len(name) > 2 and name[0] == name[-1] == "/":
                self._patterns.append((re.compile(name[1:-1]), _settings(one)))
            else:
                self._exact[name] = _settings(one)
        self._cache: dict[str, Settings | None] = {}

    def find(self, stream: str) -> Settings | None:
        """Return the settings of a stream; None: it is not declared."""
        settings = self._exact.get(stream)
        if settings is not None or not self._patterns:
            return settings
        if stream not in self._cache:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = (settings for pattern, settings in self._patterns if pattern.search(stream))
            self._cache[stream] = next(found, None)
        return self._cache[stream]


def _settings(given: Any) -> Settings:
    return given if isinstance(given, Mapping) else {}  # PHP writes an empty map as [].


def is_in_sample(settings: Settings, ids: Mapping[str, str]) -> bool:
    """Whether events of these settings are in the sample, for the ids by unit (hexadecimal text)."""
    sample = settings.get("sample")
    if sample is None:
        return True
    if sample_problem(settings, ids) is not None:
        return False
    return bool(int(ids[sample["unit"]][:8], 16) / 0xFFFFFFFF < sample["rate"])


def sample_problem(settings: Settings, ids: Mapping[str, str]) -> str | None:
    """Return why a sample cannot be drawn, which leaves every event outside it; None: it can."""
    sample = settings.get("sample")
    if sample is None:
        return None
    if not isinstance(sample, Mapping):
        return f"sample is no mapping: {sample!r}"
    unit, rate = sample.get("unit"), sample.get("rate")
    if unit not in UNITS:
        return f"the unit of a sample is one of {', '.join(UNITS)}, not {unit!r}"
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        return f"the rate of a sample is a number from 0 to 1, not {rate!r}"
    identity = ids.get(unit)
    if not isinstance(identity, str) or not _HEX.match(identity):
        return f"the id of the {unit} begins with eight hexadecimal digits, not {identity!r}"
    return None


def client_settings(settings: Settings) -> Settings:
    """Return ``producers.metrics_platform_client`` of a stream's settings."""
    producers = settings.get("producers")
    client = producers.get("metrics_platform_client") if isinstance(producers, Mapping) else None
    return _settings(client)


def passes_curation(rules: Any, context: Context) -> bool:
    """Whether all rules hold for these flat attributes. A rule about an attribute without a value fails."""
    if not isinstance(rules, Mapping):
        return rules is None or rules == []
    for attribute, operators in rules.items():
        value = context.get(attribute)
        if operators == []:  # PHP writes an empty map as that.
            operators = {}
        if value is None or not isinstance(operators, Mapping):
            return False
        for operator, operand in operators.items():
            check = _OPERATORS.get(operator)
            if check is None or not check(value, operand):
                return False
    return True


def _equal(value: Any, operand: Any) -> bool:
    # JSON's types: true is not 1, and 1 is 1.0. Lists and objects equal nothing, as in JavaScript.
    if isinstance(value, list | tuple | Mapping):
        return False
    return isinstance(value, bool) == isinstance(operand, bool) and bool(value == operand)


def _in(value: Any, operand: Any) -> bool:
    return isinstance(operand, list | tuple) and any(_equal(value, one) for one in operand)


def _units(text: str) -> bytes:
    """Return a text as bytes whose order is that of texts in JavaScript, by UTF-16."""
    return text.encode("utf-16-be", "surrogatepass")


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(value: Any, operand: Any) -> bool:
        are_numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, operand))
        if isinstance(value, str) and isinstance(operand, str):
            return compare(_units(value), _units(operand))
        return are_numbers and compare(value, operand)

    return check


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _equal,
    "not_equals": lambda value, operand: not _equal(value, operand),
    "in": _in,
    "not_in": lambda value, operand: isinstance(operand, list | tuple) and not _in(value, operand),
    "greater_than": _order(lambda value, operand: bool(value > operand)),
    "less_than": _order(lambda value, operand: bool(value < operand)),
    "greater_than_or_equals": _order(lambda value, operand: bool(value >= operand)),
    "less_than_or_equals": _order(lambda value, operand: bool(value <= operand)),
    "contains": lambda value, operand: _in(operand, value),
    "does_not_contain": lambda value, operand: isinstance(value, list | tuple) and not _in(operand, value),
    "contains_all": lambda value, operand: (
        isinstance(operand, list | tuple) and all(_in(one, value) for one in operand)
    ),
    "contains_any": lambda value, operand: (
        isinstance(operand, list | tuple) and any(_in(one, value) for one in operand)
    ),
}


def provide_values(names: Any, event: dict[str, Any], context: Context) -> None:
    """Write the attributes that a stream asks for into the event: ``page_id`` becomes ``page.id``. The event's own
    values stay, but null is no object; null and missing attributes are left out."""
    for name in names if isinstance(names, list | tuple) else ():
        value = context.get(name) if isinstance(name, str) else None
        parent, _, field = name.partition("_") if isinstance(name, str) else ("", "", "")
        if value is None or not parent or not field:
            continue
        inner = event.get(parent)
        if inner is None:
            inner = {}
        if isinstance(inner, dict) and field not in inner:
            event[parent] = inner | {field: value}  # A new object: the caller's event is not changed.


# What ``judge`` found, for people.
NOT_SENT = {
    "unknown_stream": "the stream configuration does not declare this stream",
    "no_schema": 'the event has no "$schema", and the option schemas names none for its stream',
    "sampled": "not in the sample of the stream",
    "curated": "left out by the curation rules of the stream",
}


def judge(
    streams: Streams | None,
    stream: str,
    event: dict[str, Any],
    ids: Mapping[str, str],
    context: Callable[[], Context],
    *,
    is_sampled: bool = True,
) -> str | Settings:
    """Return why an event is not sent (``unknown_stream, no_schema, sampled, curated``), or the settings of its stream
    after writing ``sample`` and the provided values into it. ``streams`` None: configuration is off. ``is_sampled``
    False: neither sampling nor curation is judged."""
    settings = {} if streams is None else streams.find(stream)
    if settings is None:
        return "unknown_stream"
    if not event.get("$schema"):
        return "no_schema"
    if not settings:
        return settings
    if event["meta"].get("domain") == "canary":
        return settings
    if is_sampled and not is_in_sample(settings, ids):
        return "sampled"
    client = client_settings(settings)
    attributes = context() if client else {}
    if is_sampled and not passes_curation(client.get("curation"), attributes):
        return "curated"
    sample = settings.get("sample")
    if isinstance(sample, Mapping) and "sample" not in event:
        event["sample"] = {name: sample[name] for name in ("unit", "rate") if name in sample}
    provide_values(client.get("provide_values"), event, attributes)
    return settings


def destination(settings: Settings, services: Mapping[str, str], url: str) -> str:
    """Return the address to which events of a stream go."""
    name = settings.get("destination_event_service")
    return services.get(name, url) if isinstance(name, str) else url
