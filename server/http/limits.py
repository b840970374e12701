"""The limits that one worker sets its clients, with the answer for each.

Place: config.limit_settings → HERE → http.reader, http.closing, http.server.
Rule: everything that a client can make grow has a number here or in the settings, and a ready-made answer.
Not here: how limits on events are checked (intake), the answer to too many of them (intake.refusals), records that
wait for the broker (sink).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from server.host import descriptors
from server.http.problem import RETRY_AFTER, Refusal

if TYPE_CHECKING:
    from server.config.limit_settings import Limits

# Bytes parsed at a time unless a body of known length goes on. The parser cannot be stopped, so all requests in one
# slice wait as requests (300 of the shortest), while the rest waits as bytes.
SLICE_BYTES: Final = 8192

# How much of one client's waiting requests is served in one turn of the loop: the bytes of their bodies, and
# TURN_REQUEST_BYTES for each request. That is 32 of the shortest, or one of 1,000 `{}`, which takes 4 ms.
TURN_BYTES: Final = 2048
TURN_REQUEST_BYTES: Final = 64
# A slice counts as this much, and each of its bytes that is not body (heads, the framing of chunks) as one more:
# chunks of one byte cause 1,400 callbacks per slice, so one such slice takes a turn.
TURN_SLICE_BYTES: Final = 256

# The largest response that waits for the end of the loop turn. One slice of pipelined requests holds 1 MB of them at
# most.
LATER_BYTES: Final = 4096

REQUEST_BYTES: Final = 2048  # The cost of a waiting request besides its body: object, headers (measured: 1.4-2 kB).
PIECE_BYTES: Final = 64  # The cost of a piece of a body besides its bytes: chunks of one byte each are legal.

# Once this much of a request's body has arrived, its bytes are counted for its client: a larger read is always parsed.
LARGE_BYTES: Final = 65_536

# A refused request with a body of known length up to this is read to its end, and the connection kept.
DISCARD_BYTES: Final = 65_536

# After an answer that leaves a body unread, this much is read and discarded for this long before the connection is
# closed. Closing at once would reset the connection and destroy the answer on its way (RFC 9112 section 9.6).
LINGER_BYTES: Final = 16_777_216
LINGER_S: Final = 5.0

CHUNK_BYTES: Final = 24  # A generous size of one chunk's head and tail. More bytes are extensions or trailers.

GRACE_S: Final = 1.0  # During a drain, how long an idle connection may still bring a request that is on its way.


class Limit(NamedTuple):
    """One row of the table. ``kind`` is the key under which ``HttpServer.refused`` counts a breach. ``answer`` is the
    status that the client gets, or what happens instead. ``helps``: the answer says when to try again."""

    setting: str
    kind: str
    answer: str
    helps: bool = False


# Every limit on clients. docs/LIMITS.md is rendered from this and from config.limit_settings.
TABLE: Final = (
    Limit("max_head_bytes", "head", "431, closed"),
    Limit("max_headers", "headers", "431, closed"),
    Limit("max_header_bytes", "header", "431, closed"),
    Limit("max_url_bytes", "url", "414, closed"),
    Limit("max_body_bytes", "body", "413"),
    Limit("max_in_flight_bytes", "in_flight", "503", helps=True),
    Limit("max_connections", "connections", "503, closed", helps=True),
    Limit("max_connections_per_address", "address_connections", "429, closed", helps=True),
    Limit("max_requests_per_connection", "connection_requests", "closed after its last answer"),
    Limit("requests_per_s_per_address", "address_rate", "429", helps=True),
    Limit("burst_per_address", "address_rate", "429", helps=True),
    Limit("requests_per_s_per_key", "key_rate", "429", helps=True),
    Limit("burst_per_key", "key_rate", "429", helps=True),
    Limit("head_s", "head_slow", "408, closed"),
    Limit("body_stall_s", "body_slow", "408, closed"),
    Limit("min_bytes_per_s", "body_slow, write_slow", "408, closed; cut off"),
    Limit("idle_s", "idle", "closed"),
    Limit("write_stall_s", "write_slow", "cut off"),
    Limit("answer_s", "answer_slow", "503, closed", helps=True),
)
# Limits that the intake checks and counts (intake.books.counts), by events; the first two are counted by requests.
INTAKE: Final = (
    Limit("max_decompressed_bytes", "body", "413"),
    Limit("max_ratio", "body", "413"),
    Limit("max_events", "refused_many", "413"),
    Limit("max_event_bytes", "event_too_large", "invalid"),
    Limit("max_json_nodes", "event_too_large", "invalid"),
    Limit("max_json_depth", "event_too_large", "invalid"),
    Limit("max_number_digits", "event_too_large", "invalid"),
)
# Kinds without a setting: a refused client that goes on sending, and a peer that may not use the PROXY protocol.
OTHERS: Final = ("linger", "proxy_header")
KINDS: Final = tuple(dict.fromkeys(kind for limit in TABLE for kind in limit.kind.split(", "))) + OTHERS


class RequestLimits:
    """The limits in the form that the hot path reads, and the refusals that name them."""

    __slots__ = (
        "answer_s",
        "big_body",
        "big_framing",
        "big_head",
        "big_inside",
        "body_stall_s",
        "discard_bytes",
        "full",
        "head_s",
        "idle_s",
        "long_header",
        "long_url",
        "many_connections",
        "many_headers",
        "many_of_address",
        "max_body_bytes",
        "max_connections",
        "max_connections_per_address",
        "max_decompressed_bytes",
        "max_head_bytes",
        "max_header_bytes",
        "max_headers",
        "max_in_flight_bytes",
        "max_ratio",
        "max_requests",
        "max_url_bytes",
        "s_per_byte",
        "sure_head_bytes",
        "swelling",
        "write_stall_bytes",
        "write_stall_s",
    )

    def __init__(self, limits: Limits) -> None:
        self.max_body_bytes = limits.max_body_bytes
        self.max_decompressed_bytes = limits.max_decompressed_bytes
        self.max_ratio = limits.max_ratio
        self.discard_bytes = min(DISCARD_BYTES, limits.max_body_bytes)
        self.max_head_bytes = limits.max_head_bytes
        self.max_header_bytes = limits.max_header_bytes
        self.sure_head_bytes = min(limits.max_head_bytes, limits.max_header_bytes)  # Up to this, no head is counted.
        self.max_headers = limits.max_headers
        self.max_url_bytes = limits.max_url_bytes
        self.max_connections = descriptors.connections(limits.max_connections, descriptors.limit())
        self.max_connections_per_address = limits.max_connections_per_address
        self.max_requests = limits.max_requests_per_connection or -1  # Counted down to 0; from -1 it is never reached.
        self.max_in_flight_bytes = limits.max_in_flight_bytes
        self.head_s = limits.head_s
        self.body_stall_s = limits.body_stall_s
        self.idle_s = limits.idle_s
        self.write_stall_s = limits.write_stall_s
        self.s_per_byte = 1 / limits.min_bytes_per_s if limits.min_bytes_per_s else float("inf")
        self.write_stall_bytes = int(limits.min_bytes_per_s * limits.write_stall_s)
        self.answer_s = limits.answer_s
        self.big_body = Refusal(
            413, f"The body is larger than {limits.max_body_bytes} bytes. Send less at a time.", kind="body"
        )
        inside_bytes = limits.max_decompressed_bytes
        self.big_inside = Refusal(
            413, f"The body is larger than {inside_bytes} bytes when decompressed. Send less at a time.", kind="body"
        )
        self.swelling = Refusal(
            413,
            f"The body grows to more than {limits.max_ratio} times its size when decompressed. Send it as it is.",
            kind="body",
        )
        self.big_head = Refusal(
            431,
            f"The head of the request is larger than {limits.max_head_bytes} bytes. Send fewer or shorter headers.",
            kind="head",
        )
        self.long_header = Refusal(
            431, f"A header field is longer than {limits.max_header_bytes} bytes. Send a shorter one.", kind="header"
        )
        self.big_framing = Refusal(
            400, f"Chunk extensions and trailers exceed {limits.max_head_bytes} bytes. Leave them out.", kind="head"
        )
        self.many_headers = Refusal(
            431, f"There are more than {limits.max_headers} header fields. Send fewer.", kind="headers"
        )
        self.long_url = Refusal(
            414,
            f"The request target is longer than {limits.max_url_bytes} bytes. Send the data in a body instead.",
            kind="url",
        )
        self.full = Refusal(
            503,
            "The server holds as many bytes as its limit allows. Nothing was accepted: try again.",
            more=RETRY_AFTER,
            kind="in_flight",
        )
        self.many_connections = Refusal(
            503, "The server has reached its limit of connections. Try again.", more=RETRY_AFTER, kind="connections"
        )
        self.many_of_address = Refusal(
            429,
            "Your address has reached its limit of connections. Use those that are open.",
            more=RETRY_AFTER,
            kind="address_connections",
        )
