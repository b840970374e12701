"""How many connections a worker may have with the descriptors that the system allows it.

Place: http.limits and boot.announce → HERE.
Rule: connections never take the last descriptors: spool, brokers and schemas are opened while clients hold theirs, and
``accept`` must not be the first to find that none are left (EMFILE, getrlimit(2)).
Not here: refusing a connection (http.server), leaving it in the queue (http.listener).
"""

from __future__ import annotations

import resource
from typing import Final

# Measured: a worker holds 31 with three brokers and its spool. Each further broker takes 3 (librdkafka: a socket, and a
# pipe to wake its thread), each other worker 1 (the map of its spool), each spool of a dead worker 5 for a while, and
# each further producer 2 and 3 for each broker.
MIN_RESERVED: Final = 96
SHARE_RESERVED: Final = 4  # One descriptor in 4 is reserved, within MIN_RESERVED and MAX_RESERVED.
MAX_RESERVED: Final = 2048
PRODUCERS_PART: Final = 2  # Producers of shares of the topics may take half of what is reserved.
PER_PRODUCER: Final = 2
PER_BROKER: Final = 3
LEAST_BROKERS: Final = 3  # As many are counted before they are known.
MIN_CONNECTIONS: Final = 8

# Connections over the limit are answered 503 and stay for a moment: up to an eighth of it; further ones are cut off.
HARD_PART: Final = 8


def limit() -> int | None:
    """Return how many descriptors this process may have; None: any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def reserved(descriptors: int) -> int:
    """Return how many of ``descriptors`` are not for connections."""
    return min(max(MIN_RESERVED, descriptors // SHARE_RESERVED), MAX_RESERVED)


def suffice_for_producers(number: int, brokers: int, descriptors: int | None) -> bool:
    """Whether a worker may have so many producers, each of which talks to all brokers."""
    needed = number * (PER_PRODUCER + PER_BROKER * max(brokers, LEAST_BROKERS))
    return descriptors is None or needed <= reserved(descriptors) // PRODUCERS_PART


def connections(wanted: int, descriptors: int | None) -> int:
    """Return ``wanted``, or the number that ``descriptors`` suffice for, with those that are only answered 503."""
    if descriptors is None:
        return wanted
    room = (descriptors - reserved(descriptors)) * HARD_PART // (HARD_PART + 1)
    return min(wanted, max(MIN_CONNECTIONS, room))
