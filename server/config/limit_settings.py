"""Define every limit for clients: its name, unit, meaning, and defaults for both profiles.

Place: config.settings → HERE; config.load fills in the values of ``profile: external``.
Rules: as in config.settings. The default of a field is that of ``profile: internal``, for clients that are known;
``EXTERNAL`` holds those for unknown clients. A limit that can be switched off is off at 0, and its meaning says so.
Not here: the answer at a limit, and where it is enforced (http.limits, intake.text.event_limits).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Meta

from server.config.framework.section import Bytes, Count, Seconds, Section, says

CountOrNone = Annotated[int, Meta(ge=0, le=10_000_000)]
RateOrNone = Annotated[float, Meta(ge=0, le=10_000_000)]


class Limits(Section, frozen=True):
    """Limits of one worker on its clients. LIMITS.md has the answer to each breach and the defaults of both profiles;
    the defaults here are those of `profile: internal`."""

    max_body_bytes: Annotated[Bytes, says("Largest request body as sent; a larger one gets 413.")] = 4_194_304
    max_decompressed_bytes: Annotated[Bytes, says("Largest body after decompression; a larger one gets 413.")] = (
        16_777_216
    )
    max_ratio: Annotated[
        int,
        Meta(ge=2, le=1_000_000),
        says("Largest ratio of decompressed to compressed size, above 64 KiB; more gets 413."),
    ] = 200
    max_head_bytes: Annotated[Bytes, says("Largest request head, all headers together; a larger one gets 431.")] = (
        32_768
    )
    max_headers: Annotated[Count, says("Most headers of a request; more get 431.")] = 100
    max_header_bytes: Annotated[Bytes, says("Longest header, name and value together; a longer one gets 431.")] = 16_384
    max_url_bytes: Annotated[Bytes, says("Longest URL; a longer one gets 414.")] = 16_384
    max_events: Annotated[Count, says("Most events of one request; more get 413.")] = 10_000
    max_event_bytes: Annotated[
        Bytes, says("Largest single event; a larger one is invalid (`event_too_large`). A stream may set less.")
    ] = 1_048_576
    max_json_nodes: Annotated[
        Count,
        says(
            "Most values of one event, at all depths (an empty object or array counts twice); an event with more is "
            "invalid (`event_too_large`). Validating an invalid event takes up to 1.3 µs per value; real events have "
            "one or two hundred."
        ),
    ] = 10_000
    max_json_depth: Annotated[
        Annotated[int, Meta(ge=1, le=1000)],
        says(
            "Deepest nesting of objects and arrays in one event; deeper is invalid (`event_too_large`). From 900 on "
            "the decoders' own limit applies, which is a little below 1000 and costs nothing; with Python 3.12 and "
            "later it is 900, and counted."
        ),
    ] = 1_000
    max_number_digits: Annotated[
        Annotated[int, Meta(ge=20, le=10_000_000)],
        says("Most consecutive digits in a number of an event; more are invalid (`event_too_large`)."),
    ] = 1_000
    max_connections: Annotated[
        Count,
        says("Most connections of one worker at a time; more get 503. The limit of open files may lower it."),
    ] = 20_000
    max_connections_per_address: Annotated[
        CountOrNone,
        says(
            "Most connections of one worker at a time from one address (IPv6: one /64); more get 429. "
            "`trusted_proxies` and Unix sockets are exempt. 0: any number."
        ),
    ] = 0
    max_requests_per_connection: Annotated[
        CountOrNone, says("Number of requests after whose last answer a connection is closed. 0: any number.")
    ] = 0
    max_in_flight_bytes: Annotated[
        Bytes,
        says(
            "Most bytes that one worker holds at a time, of bodies and of responses that clients are slow to take; "
            "above it new requests get 503. Large bodies of one client may hold as many bytes as remain free, so at "
            "most half."
        ),
    ] = 134_217_728
    requests_per_s_per_address: Annotated[
        RateOrNone,
        says(
            "Most requests a second, on average, that one worker takes from one client address (IPv6: one /64); more "
            "get 429. `trusted_proxies` that name no client and Unix sockets are exempt. 0: any number."
        ),
    ] = 0.0
    burst_per_address: Annotated[
        Count, says("Most requests at once from one client address, when `requests_per_s_per_address` is set.")
    ] = 1_000
    requests_per_s_per_key: Annotated[
        RateOrNone,
        says(
            "Most requests a second, on average, that one worker takes with keys of one name, or tokens of one "
            "subject; more get 429. 0: any number."
        ),
    ] = 0.0
    burst_per_key: Annotated[
        Count, says("Most requests at once with keys of one name, when `requests_per_s_per_key` is set.")
    ] = 1_000
    head_s: Annotated[Seconds, says("Time within which a request head must be complete; else 408.")] = 10.0
    body_stall_s: Annotated[Seconds, says("Longest time without a byte of a body; then 408.")] = 10.0
    min_bytes_per_s: Annotated[
        RateOrNone,
        says(
            "Lowest rate at which a body arrives (else 408) and an answer is read (else the client is cut off); the "
            "client may fall behind it by `body_stall_s` and `write_stall_s` in all. 0: any rate."
        ),
    ] = 100.0
    idle_s: Annotated[Seconds, says("Time after which a kept-alive connection without a request is closed.")] = 75.0
    write_stall_s: Annotated[Seconds, says("Time after which a client that reads nothing is cut off.")] = 20.0
    answer_s: Annotated[
        Seconds,
        says(
            "Time after which a request whose outcome is not known gets 503, and its connection is closed. The "
            "default is longer than Kafka can take: the largest `message.timeout.ms` allowed is 8000, and librdkafka "
            "looks for expired messages once a second. So it ends only requests whose outcome was lost: a body that "
            "took too long to prepare gets 503 before any of it is sent."
        ),
    ] = 10.0


# A browser's beacon is 64 KiB at the most, and apps send small batches. Many clients share an address behind the
# translators of mobile networks, so the limits for one address are meant for greedy clients and not for many clients.
EXTERNAL: Final[Mapping[str, Any]] = {
    "max_body_bytes": 1_048_576,
    "max_decompressed_bytes": 4_194_304,
    "max_head_bytes": 16_384,
    "max_headers": 64,
    "max_header_bytes": 8_192,
    "max_url_bytes": 8_192,
    "max_events": 1_000,
    "max_event_bytes": 262_144,
    "max_json_nodes": 5_000,
    "max_json_depth": 64,
    "max_in_flight_bytes": 33_554_432,
    "max_connections_per_address": 1_000,
    "max_requests_per_connection": 10_000,
    "requests_per_s_per_address": 200.0,
    "burst_per_address": 2_000,
    "head_s": 5.0,
    "body_stall_s": 5.0,
    "min_bytes_per_s": 500.0,
    "idle_s": 30.0,
    "write_stall_s": 10.0,
}


def of_profile(written: dict[str, Any]) -> dict[str, Any]:
    """Return the written settings, completed by the defaults of their profile."""
    if written.get("profile") != "external":
        return written
    http = written.get("http", {})
    return written | {"http": http | {"limits": {**EXTERNAL, **http.get("limits", {})}}}
