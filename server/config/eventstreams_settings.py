"""Define the settings of EventStreams, the program that serves streams to their consumers.

Place: config.settings → HERE.
Rules: the same as in config.settings; read that file before this one. Everything that EventStreams shares with the
intake (streams, schemas, the sink, keys, proxies, limits of HTTP) is not repeated here: both programs read one file.
Not here: which streams are served (a stream's ``consumers.eventstreams``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from server.config.framework.section import Bytes, Count, Seconds, Section, Text, Texts, says
from server.config.kafka.rules import Value
from server.config.limit_settings import CountOrNone
from server.config.transport_settings import CorsSettings


class EventStreamsLimits(Section, frozen=True):
    """Limits on consumers. Those for a client and for all of them hold over all workers of a host."""

    max_clients: Annotated[Count, says("Most open streams at a time; more get 503.")] = 10_000
    max_clients_per_address: Annotated[
        CountOrNone,
        says(
            "Most open streams at a time of one client address (IPv6: one /64); more get 429. `http.trusted_proxies` "
            "that name no client and Unix sockets are exempt. 0: any number."
        ),
    ] = 20
    max_streams: Annotated[Count, says("Most streams that one request may name; more get 400.")] = 50
    max_filters: Annotated[
        Count,
        says("Most different combinations of streams, filter, fields and sample of one worker; more get 503."),
    ] = 1_000
    write_stall_s: Annotated[
        Seconds, says("Time after which a client that reads nothing is cut off, though events wait for it.")
    ] = 20.0
    ring_events: Annotated[Count, says("Newest events of a topic that a worker holds for clients a little behind.")] = (
        10_000
    )
    ring_bytes: Annotated[Bytes, says("Most bytes of these events.")] = 33_554_432


class EventStreams(Section, frozen=True):
    """`penstock eventstreams`: the streams that allow it, as Server-Sent Events."""

    listen: Annotated[Texts, says("Addresses to listen on, as `http.listen`.")] = field(
        default_factory=lambda: ["127.0.0.1:8194"]
    )
    admin_listen: Annotated[Text, says("Address of this program's metrics and operations.")] = "127.0.0.1:8195"
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"], says("Number of workers; `auto`: as for the intake.")
    ] = 1
    drain_s: Annotated[
        Seconds,
        says(
            "Time after TERM over which the ends of open streams are spread, so that clients do not all return at once."
        ),
    ] = 10.0
    cors: Annotated[CorsSettings, says("Pages of other sites that may read streams.")] = field(
        default_factory=lambda: CorsSettings(origins=["*"])
    )
    kafka: Annotated[
        dict[Text, Value],
        says(
            "librdkafka properties of the consumers. They are added to those of `sink.kafka` that say how to reach the "
            "brokers and win over them; `bootstrap.servers` alone replaces them all."
        ),
    ] = field(default_factory=dict)
    readers: Annotated[
        Annotated[int, Meta(ge=1, le=256)],
        says("Most readers of a worker that clients behind the newest events share; each has connections of its own."),
    ] = 8
    keepalive_s: Annotated[
        Seconds, says("Longest silence of a stream, varied by 10 %; then a comment or the position is sent.")
    ] = 15.0
    max_age_s: Annotated[
        Seconds, says("Age at which a stream ends, varied by 10 %. Keep it below the limit of your proxies.")
    ] = 840.0
    retry_s: Annotated[
        Seconds, says("Time that clients are asked to wait before they connect again, varied by 50 %.")
    ] = 3.0
    peer_timeout_s: Annotated[
        Seconds, says("Time after which a peer that confirms nothing is taken for gone (TCP_USER_TIMEOUT, keep-alive).")
    ] = 20.0
    skew_s: Annotated[
        Seconds,
        says("Margin by which clocks of producers may differ: on another cluster a client resumes this much earlier."),
    ] = 60.0
    compression: Annotated[bool, says("Whether a client that accepts gzip or zstd gets it.")] = True
    limits: Annotated[EventStreamsLimits, says("Limits on consumers.")] = field(default_factory=EventStreamsLimits)
