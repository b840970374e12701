"""How many connections a worker may have with the descriptors that the system lets it have.

Place: http.limits and boot.announce → HERE.
Rule: connections never take the last descriptors: spool, brokers and schemas are opened while clients hold theirs, and
``accept`` is not what finds out that there are none (EMFILE, getrlimit(2)).
Not here: refusing a connection (http.server), leaving it in the queue (http.listener).
"""

from __future__ import annotations

import resource
from typing import Final

# Measured: a worker holds 31 with three brokers and its spool; each broker more takes 3 (librdkafka: a socket, and a
# pipe to wake its thread), each other worker 1 (the map of its spool), each spool of a dead worker 5 for a while.
LEAST_RESERVED: Final = 96
SHARE_RESERVED: Final = 4  # A quarter, between these two.
MOST_RESERVED: Final = 512
LEAST_CONNECTIONS: Final = 8

HARD_PART: Final = 8  # Connections that are told 503 stay for a moment: an eighth above the limit, the rest is cut off.


def limit() -> int | None:
    """Descriptors that this process may have; None: any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def reserved(most: int) -> int:
    """How many of ``most`` are not for connections."""
    return min(max(LEAST_RESERVED, most // SHARE_RESERVED), MOST_RESERVED)


def connections(wanted: int, most: int | None) -> int:
    """``wanted``, or as many as there are descriptors for, with those that are only told 503."""
    if most is None:
        return wanted
    room = (most - reserved(most)) * HARD_PART // (HARD_PART + 1)
    return min(wanted, max(LEAST_CONNECTIONS, room))
