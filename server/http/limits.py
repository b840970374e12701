"""The bounds of one worker towards its clients, with the answer for each.

Place: config.settings → HERE → http.reader, http.protocol.
Rule: whatever a client can make grow has a number here or in the settings, and an answer ready before it is needed.
Not here: bounds on events (intake), on what waits for the broker (sink).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.http.problem import RETRY_AFTER, Refusal

if TYPE_CHECKING:
    from server.config.settings import Limits

# Bytes parsed at a time unless a body of known length goes on: the parser cannot be stopped, so whatever requests
# are in one slice wait as requests (300 of the shortest), while the rest waits as bytes.
SLICE_BYTES: Final = 8192

# Of a response that waits for the end of the loop turn. A slice of pipelined requests holds 1 MB of them at the most.
LATER_BYTES: Final = 4096

REQUEST_BYTES: Final = 2048  # What a waiting request costs besides its body: object, headers (measured: 1.4-2 kB).
PIECE_BYTES: Final = 64  # What a piece of a body costs besides its bytes: chunks of one byte each are legal.

# A refused request with a body of known length up to this is read to its end, and the connection kept.
DISCARD_BYTES: Final = 65_536

# After an answer that leaves a body unread: read and forget this much for so long, then close. Closing at once would
# reset the connection and destroy the answer on its way (RFC 9112 section 9.6).
LINGER_BYTES: Final = 16_777_216
LINGER_S: Final = 5.0

CHUNK_BYTES: Final = 24  # Head and tail of one chunk, generously. Beyond: extensions or trailers.

GRACE_S: Final = 1.0  # Draining: how long an idle connection may still bring a request that is on its way.

KINDS: Final = (
    "head",
    "headers",
    "url",
    "body",
    "connections",
    "in_flight",
    "head_slow",
    "body_slow",
    "idle",
    "write_slow",
    "answer_slow",
    "linger",
)


class Bounds:
    """The settings, as the hot path reads them, and the refusals that name them."""

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
        "long_url",
        "many_connections",
        "many_headers",
        "max_body_bytes",
        "max_connections",
        "max_decompressed_bytes",
        "max_head_bytes",
        "max_headers",
        "max_in_flight_bytes",
        "max_ratio",
        "max_url_bytes",
        "swelling",
        "write_stall_s",
    )

    def __init__(self, limits: Limits) -> None:
        self.max_body_bytes = limits.max_body_bytes
        self.max_decompressed_bytes = limits.max_decompressed_bytes
        self.max_ratio = limits.max_ratio
        self.discard_bytes = min(DISCARD_BYTES, limits.max_body_bytes)
        self.max_head_bytes = limits.max_head_bytes
        self.max_headers = limits.max_headers
        self.max_url_bytes = limits.max_url_bytes
        self.max_connections = limits.max_connections
        self.max_in_flight_bytes = limits.max_in_flight_bytes
        self.head_s = limits.head_s
        self.body_stall_s = limits.body_stall_s
        self.idle_s = limits.idle_s
        self.write_stall_s = limits.write_stall_s
        self.answer_s = limits.answer_s
        self.big_body = Refusal(
            413, f"The body is larger than {limits.max_body_bytes} bytes. Send less at a time.", kind="body"
        )
        most_bytes = limits.max_decompressed_bytes
        self.big_inside = Refusal(
            413, f"The body is larger than {most_bytes} bytes when decompressed. Send less at a time.", kind="body"
        )
        self.swelling = Refusal(
            413,
            f"The body grows to more than {limits.max_ratio} times its size when decompressed. Send it as it is.",
            kind="body",
        )
        self.big_head = Refusal(
            431, f"The head of the request is larger than {limits.max_head_bytes} bytes. Send less.", kind="head"
        )
        self.big_framing = Refusal(
            431, f"Chunk extensions and trailers exceed {limits.max_head_bytes} bytes. Leave them out.", kind="head"
        )
        self.many_headers = Refusal(
            431, f"There are more than {limits.max_headers} header fields. Send fewer.", kind="headers"
        )
        self.long_url = Refusal(
            414, f"The request target is longer than {limits.max_url_bytes} bytes. Send a body instead.", kind="url"
        )
        self.full = Refusal(
            503, "The server holds as much as it may. Nothing was taken: try again.", more=RETRY_AFTER, kind="in_flight"
        )
        self.many_connections = Refusal(
            503, "The server has as many connections as it may. Try again.", more=RETRY_AFTER, kind="connections"
        )
