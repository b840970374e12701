"""The sources of the values that the server fills into events.

Place: intake.router chooses sources for an Enricher (intake.text.enricher).
Rule: an explicit null counts as present.
Not here: which fields are filled in, in which order (intake.router), where the values come from (intake.arrival), how
they are inserted (intake.text.enricher, intake.text.splice), the defaults of a schema (validators).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import methodcaller
from typing import NamedTuple

import msgspec

from server.intake.arrival import MAX_HEADER_CHARS, Arrival


class EnrichmentSource(NamedTuple):
    """The source of a value.

    ``of`` returns JSON text that depends on the client and its headers alone, or None if there is no such value. NEW_ID
    and RECEIVE_TIME are special-cased, and return None. ``is_certain``: it never returns None. ``samples``: its oddest,
    shortest and longest values; a schema that accepts these accepts all of its values.
    """

    of: Callable[[Arrival], bytes | None]
    is_certain: bool
    samples: tuple[bytes, ...]


def _by_itself(_arrival: Arrival) -> None:
    return None


RECEIVE_TIME = EnrichmentSource(_by_itself, True, (b'"2020-02-29T23:59:59.999Z"',))
CLIENT_IP = EnrichmentSource(
    Arrival.client_ip, False, (b'"1.1.1.1"', b'"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"')
)
NEW_ID = EnrichmentSource(_by_itself, True, (b'"01900000-0000-7000-8000-000000000000"',))

_ODD = '<"%\\{|^`}> \t\x80\u00e9\u00ff\u0100\u2028\ufeff\uffff\U0001f600'
_LONGEST = ("\u00ff" * MAX_HEADER_CHARS, "\U0001f600" * MAX_HEADER_CHARS)
_HEADER_SAMPLES = tuple(map(msgspec.json.encode, ("", _ODD, *_LONGEST)))


@lru_cache(maxsize=1_024)  # Settings choose the names, so equal sources are one object.
def header(name: bytes) -> EnrichmentSource:  # cold: once per route
    """Return the source of this header's value."""
    return EnrichmentSource(methodcaller("header", name), False, _HEADER_SAMPLES)
