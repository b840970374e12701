"""Split a small body into the raw text of its events, and look for names that occur twice in one object.

Place: intake.text.cut → HERE → intake.pipeline.
Rule: every decoding error of a body is caught here; a malformed body is the request's fault, never that of half an
event.
Not here: large bodies, and those with an odd event (intake.text.cut); content encodings and types (http).
"""

# hot path

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

import msgspec
import orjson
from msgspec import Raw

EMPTY: Final = "Request body was empty. Must provide JSON encoded events."
NOT_JSON: Final = "The request body is not JSON: {} Send one JSON object or an array of objects, in UTF-8."
NOT_EVENTS: Final = "The request body is neither a JSON object nor an array. Send one event or an array of events."

BOM: Final = b"\xef\xbb\xbf"  # Editors of one system write it before UTF-8. RFC 8259 section 8.1 lets a reader skip it.

BLANKS: Final = b" \t\r\n"  # RFC 8259 section 2; Python strips two more.

_decode_array = msgspec.json.Decoder(list[Raw]).decode
_decode_one = msgspec.json.Decoder(Raw).decode


def at_once(body: bytes, most: int = sys.maxsize) -> list[bytes] | int | str | None:
    """Return the raw text of each event of a body, or what is wrong with the body, in words for the client.

    A number: that many events are more than ``most``. None: one event is odd, and intake.text.cut finds out which. The
    whole body is checked to be UTF-8 (50 ns per kilobyte of ASCII), because decoders do not check the strings that they
    skip.
    """
    body = body.strip(BLANKS)
    if not body:
        return EMPTY
    first = body[0]
    try:
        if not body.isascii():
            str(body, "utf-8")
        if first == _BRACE:
            _decode_one(body)
            return [body]
        if first == _BRACKET:
            raws = _decode_array(body)
            return len(raws) if len(raws) > most else [bytes(raw) for raw in raws] or EMPTY
        if body.startswith(BOM) and body[len(BOM) :].lstrip(BLANKS)[:1] in (b"{", b"["):
            return at_once(body[len(BOM) :], most)
        _decode_one(body)
    except UnicodeDecodeError as error:
        return NOT_JSON.format(f"byte {error.start} is not UTF-8.")
    except RecursionError:
        return None if first in (_BRACE, _BRACKET) else NOT_JSON.format("it is nested too deeply.")
    except msgspec.DecodeError as error:
        if first in (_BRACE, _BRACKET) and HALF_PAIR.search(body):
            return None
        return NOT_JSON.format(f"{_reason(error)}.")
    return NOT_EVENTS


def begins_array(body: bytes) -> bool:
    """Whether a small body in which events were found is an array."""
    return body.lstrip(BLANKS).removeprefix(BOM).lstrip(BLANKS)[:1] == b"["


def without_half_pairs(text: bytes) -> bytes:
    """Return JSON of the same length in which no escape stands for half of a surrogate pair.

    Decoders refuse those halves, although they are JSON (RFC 8259 section 8.2). Letters in strings differ from the
    original: the result only serves to find ends.
    """
    return text.replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")


def has_duplicate_names(raw: bytes) -> bool:
    """Whether a member name occurs twice in one object of this event, in any spelling.

    Decoding drops all but the last member of a name, and with each of them its colon. No colon comes back when the rest
    is encoded again: strings keep theirs, unless they were escapes, and nothing else has any. So colons are counted.
    """
    if b"\\u003a" not in raw and b"\\u003A" not in raw:
        try:
            return raw.count(b":") != orjson.dumps(orjson.loads(raw)).count(b":")
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):  # Half a surrogate pair, or too deep.
            return _has_duplicate_names(raw)
    return _has_duplicate_names(raw)


def _has_duplicate_names(raw: bytes) -> bool:
    """Decide the same by looking at every object. Numbers are not converted: those of thousands of digits would be
    refused."""
    try:
        json.loads(raw, object_pairs_hook=_refuse_duplicates, parse_int=len, parse_float=len)
    except _DuplicateNameError:
        return True
    return False


class _DuplicateNameError(Exception):
    pass


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _DuplicateNameError


def _reason(error: msgspec.DecodeError) -> str:
    """Return the decoder's message, which names the byte: "invalid character (byte 8)"."""
    return str(error).removeprefix("JSON is malformed: ")


# A half or a whole pair: a match only means that a second look is worth it.
HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_BRACE = ord("{")
_BRACKET = ord("[")
