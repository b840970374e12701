"""CloudEvents 1.0: one as JSON, a batch as JSON, or one whose attributes are headers (binary mode).

Place: intake.forms → HERE.
Rules: the event is the ``data``. ``dataschema`` is its schema and ``intake.cloudevents`` gives its stream, if it names
none itself. ``id``, ``time`` and ``source`` are put where the settings say, if the schema declares the field and the
event lacks it: before validation, so they are validated like all client data. An event gets the same verdict in every
mode: without data it is ``{}``, because attributes alone are an event. Extensions are ignored.
Sources: CloudEvents 1.0.2, HTTP protocol binding sections 3.1 to 3.3, JSON event format section 3.1.
Not here: parsing HTTP headers (http.reader), the event's way (intake.pipeline).
"""

from __future__ import annotations

import base64
import fnmatch
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from server.intake.forms.form import Form
from server.intake.forms.piece import Piece, unreadable
from server.intake.text.cut import Elements, elements, split
from server.intake.text.decode import BOM, begins_array, has_duplicate_names
from server.intake.text.fields import EventMembers, Fields
from server.intake.text.members import Path
from server.intake.text.splice import insert_by_path
from server.intake.verdict import Verdict
from server.text import percent

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.config.transport_settings import CloudEventRule
    from server.intake.forms.form import SchemaHere

MARK: Final = b"ce-specversion"  # The header whose presence makes a request one in binary mode.
ONE: Final = "The request body is an array. Send one CloudEvent, or a batch as application/cloudevents-batch+json."
MANY: Final = "The request body is an object. Send an array, or one CloudEvent as application/cloudevents+json."

REQUIRED: Final = ("specversion", "id", "source", "type")
ATTRIBUTES: Final = (*REQUIRED, "time", "dataschema")
MAX_ATTRIBUTE_CHARS: Final = 2_048
_VERSION: Final = re.compile(r"1\.\d+")
# Unclosed quotes match as well (only closed text is in group 1): a search that failed at one quote would begin again at
# the next, and a header of escaped quotes would take quadratic time.
_QUOTED: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|"[^"\\]*+(?:\\.[^"\\]*+)*+\\?\Z', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
NO_DATA: Final = b"{}"

Attributes = dict[str, str]  # The attributes of ATTRIBUTES that are present.


class _Envelope(msgspec.Struct, gc=False):
    """The members of a JSON CloudEvent that are read."""

    specversion: Any = None
    id: Any = None
    source: Any = None
    type: Any = None
    time: Any = None
    dataschema: Any = None
    content: Raw | UnsetType = msgspec.field(default=UNSET, name="data")
    data_base64: Any = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_attributes = attrgetter(*ATTRIBUTES)


class CloudEvents:
    """Unwraps CloudEvents.

    ``schema`` finds a schema by its URI. It need not find a schema that has to be fetched: intake.pipeline looks for it
    too, and a request that has waited for a schema is split again.
    """

    def __init__(self, config: Config, schema: SchemaHere) -> None:
        settings = config.intake
        self._schema = schema
        self._rejects_duplicates = config.rejects_duplicates
        fields = Fields.of(config)
        source = tuple(settings.source_field.split("."))
        self._places: dict[str, Path] = {"id": fields.id, "time": fields.dt, "source": source}
        self._members = EventMembers(fields, self._places.values())
        self._rule = lru_cache(maxsize=1_024)(_Rules(settings.cloudevents).find)

    def binary(self, headers: Mapping[bytes, bytes]) -> Callable[[bytes], Piece]:
        """Return the unwrapper of a CloudEvent in binary mode: the body is the data and the headers are the
        attributes."""
        found: Attributes = {}
        for name in ATTRIBUTES:
            value = headers.get(b"ce-" + name.encode())
            if value is not None:
                text = _of_header(value)
                if text is None:
                    wrong = _wrong(f"should have percent-encoded UTF-8 in its '{name}'")
                    return lambda content: Piece(content, wrong)
                found[name] = text
        return lambda content: self._piece(found, content)

    def unwrap(self, raw: bytes) -> Piece:
        """Unwrap one CloudEvent in JSON."""
        try:
            envelope = _decode_envelope(raw)
        # It is not an object, or cannot be read: the pipeline reports that.
        except (msgspec.DecodeError, RecursionError):
            return Piece(raw)
        if envelope.content is not UNSET and envelope.data_base64 is not None:
            return Piece(raw, _wrong("should have 'data' or 'data_base64', and not both"))
        values = zip(ATTRIBUTES, _attributes(envelope), strict=True)
        return self._piece({name: value for name, value in values if isinstance(value, str)}, _content(envelope))

    def _piece(self, found: Attributes, content: bytes | None) -> Piece:
        missing = next((name for name in REQUIRED if not found.get(name)), None)
        if missing is not None:
            return Piece(content or b"null", _wrong(f"should have '{missing}', a string that is not empty"))
        if not _VERSION.fullmatch(found["specversion"]):
            return Piece(content or b"null", _wrong("should have '1.0' as its 'specversion'"))
        long = next((name for name, text in found.items() if len(text) > MAX_ATTRIBUTE_CHARS), None)
        if long is not None:
            return Piece(content or b"null", _wrong(f"should have a shorter '{long}'"))
        if content is None:
            return unreadable(b"", "the CloudEvent should have data that is JSON")
        rule = self._rule(found["source"], found["type"])
        schema_uri = found.get("dataschema") or (rule.schema if rule is not None else None)
        return Piece(
            self._filled(content, found, schema_uri),
            None,
            _encoded(schema_uri) if schema_uri else None,
            _encoded(rule.stream) if rule else None,
        )

    def _filled(self, raw: bytes, found: Attributes, schema_uri: str | None) -> bytes:
        """Return the event with those attributes that its schema declares."""
        members = self._members
        try:
            values = members.read(raw)
        except (msgspec.DecodeError, RecursionError):
            return raw
        own = next((values[at] for at in members.schema_at if isinstance(values[at], Raw)), None)
        schema = self._schema((_text(own) if own is not None else schema_uri) or "")
        if isinstance(schema, tuple):
            return raw
        lacking: dict[Path, bytes] = {}
        for name, path in self._places.items():
            if name in found and values[members.at(path)] is UNSET and schema.declares(path):
                member = _encoded(path[-1]) + b":" + _encoded(found[name]) + b","
                lacking[path[:-1]] = lacking.get(path[:-1], b"") + member
        if lacking and self._rejects_duplicates and has_duplicate_names(raw):
            return raw  # Inserting level by level would remove a duplicate name, which the pipeline has to see.
        for parent, inserted in lacking.items():
            raw = insert_by_path(raw, parent, inserted)
        return raw


class _Rules:
    """The rules that choose a stream: the first whose patterns match applies."""

    def __init__(self, rules: list[CloudEventRule]) -> None:
        self._rules = [(_matcher(rule.source), _matcher(rule.type), rule) for rule in rules]

    def find(self, source: str, type_: str) -> CloudEventRule | None:
        return next((rule for of, kind, rule in self._rules if of.match(source) and kind.match(type_)), None)


def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def _of_header(value: bytes) -> str | None:
    """Decode the attribute in a header (section 3.1.3.2 of the HTTP binding): unquote quoted strings, then decode
    percent-encoding once, as version 1.0.2 requires. None: the result is not UTF-8."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    if '"' in text:
        text = _QUOTED.sub(_without_quotes, text)
    try:
        return percent.decode(text.encode()).decode()
    except UnicodeDecodeError:
        return None


def _without_quotes(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else _ESCAPED.sub(r"\1", found[1])


def _content(envelope: _Envelope) -> bytes | None:
    """Return the data as JSON text: ``{}`` if there is none; None if it is not JSON."""
    if isinstance(envelope.content, Raw):
        return bytes(envelope.content)
    if envelope.data_base64 is None:
        return NO_DATA
    try:
        body = base64.b64decode(envelope.data_base64, validate=True)
    except (TypeError, ValueError):  # Not text, not ASCII, or not base64.
        return None
    if not body:
        return NO_DATA
    raws = split(body, 1)
    if not isinstance(raws, list):
        return None
    return _text_of(body)


def _text_of(body: bytes) -> bytes:
    """Return the JSON text of a body that is known to hold one."""
    return body.strip().removeprefix(BOM).lstrip()


def as_data(body: bytes, most: int, max_event_bytes: int, *, may_take_long: bool) -> Elements | list[Any] | int | str:
    """Find the data of one CloudEvent, as intake.text.cut.elements does: no data is an empty object, and an array is
    one element that is not an event."""
    if not body:
        return [NO_DATA]
    found = elements(body, most, max_event_bytes, may_take_long=may_take_long)
    return [_text_of(body)] if isinstance(found, list) and begins_array(body) else found


def is_one(_raws: list[Any], is_array: bool) -> str | None:
    """Return what is wrong with a body that should hold one CloudEvent."""
    return ONE if is_array else None


def is_batch(_raws: list[Any], is_array: bool) -> str | None:
    """Return what is wrong with a body that should hold a batch."""
    return None if is_array else MANY


def one_whole(raws: list[Any], is_array: bool) -> str | None:
    """Treat a whole body as data: an array, found element by element, is one element that is not an event."""
    if is_array and not (len(raws) == 1 and isinstance(raws[0], bytes) and raws[0][:1] == b"["):
        raws[:] = [unreadable(b"", "the data of the CloudEvent should be a JSON object")]
    return None


def form(config: Config, schema: SchemaHere) -> Form:
    """How a body that is one CloudEvent as JSON is read."""
    return Form(unwrap=CloudEvents(config, schema).unwrap, finish=is_one)


def _wrong(what: str) -> Verdict:
    return Verdict("schema_violation", f"the CloudEvent {what}")


def _text(value: Raw) -> str | None:
    try:
        return msgspec.json.decode(value, type=str)
    except msgspec.DecodeError:
        return None


_encoded = msgspec.json.encode
