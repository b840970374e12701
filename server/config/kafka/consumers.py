"""The properties of consumers, worked out from those of the producer.

Place: eventstreams.sources.kafka, sink.kafka.watch → HERE.
Rule: of the producer's properties a consumer takes those that say how to reach the brokers, and none of them if it has
brokers of its own.
Not here: which consumers there are, and what they fix for themselves (those that use this file).
"""

from __future__ import annotations

from typing import Final

from server.config.kafka.rules import Properties, canonical, text_of

_SHARED: Final = ("security.", "sasl.", "ssl.", "socket.", "reconnect.", "https.", "enable.ssl", "client.", "broker.a")
_SHARED_NAMES: Final = frozenset(
    {"bootstrap.servers", "metadata.broker.list", "connections.max.idle.ms", "metadata.max.age.ms", "debug"}
)


def reaching(sink: Properties, own: Properties) -> dict[str, str]:
    """Return the properties by which consumers reach the brokers, and then their ``own``, by their canonical names."""
    own_named = {canonical(name): text_of(value) for name, value in own.items()}
    given = {canonical(name): text_of(value) for name, value in sink.items()}
    shared = {
        name: value
        for name, value in given.items()
        if (name in _SHARED_NAMES or name.startswith(_SHARED)) and "bootstrap.servers" not in own_named
    }
    return {**shared, **own_named}
