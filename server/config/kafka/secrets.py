"""Which properties of librdkafka may hold a secret.

Place: config.sink_settings, config.program, config.kafka.settings → HERE.
Rule: a property is taken for a secret by its name, so that one that librdkafka gets later is hidden too.
Not here: which settings outside ``sink.kafka`` are secrets (config.program).
"""

from __future__ import annotations

_SECRET = ("password", "secret", "key", "oauthbearer.config")
_NOT_SECRET = (
    "location",
    "keytab",
    "key.file",
    "key.refresh",
    "kinit",
)  # Paths and commands: an operator needs to see them.


def is_secret(kafka_property: str) -> bool:
    """Whether a librdkafka property may hold a secret: its value is then never shown."""
    name = kafka_property.lower()
    return any(word in name for word in _SECRET) and not any(word in name for word in _NOT_SECRET)
