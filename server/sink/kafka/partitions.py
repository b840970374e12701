"""Which partition a key goes to, as librdkafka's partitioners say.

Place: sink.kafka.producer → HERE; the replay of the spool asks, so that one sick partition keeps no other waiting.
Rule: the results are librdkafka's (rd_crc32.c, rdmurmur2.c, rdfnv1a.c); tests/server/sink/kafka compares them with it.
Not here: choosing the partition of a record that is sent, which librdkafka does.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

from server.config.kafka.rules import Properties

UNKNOWN: Final = -1
_DEFAULT: Final = "consistent_random"  # librdkafka's.
_MASK: Final = 0xFFFFFFFF


def partitioner_of(properties: Properties) -> Callable[[bytes, int], int]:
    """Return the function from a key and the number of partitions to the partition. Those that spread empty keys at
    random give UNKNOWN for them."""
    name, _, spread = str(properties.get("partitioner", _DEFAULT)).partition("_")
    hash_of = _HASHES[name]

    def partition_of(key: bytes, count: int) -> int:
        return UNKNOWN if spread and not key else hash_of(key) % count

    return partition_of


def _murmur2(key: bytes) -> int:
    """Java's: the sign is cut off."""
    m, h, whole = 0x5BD1E995, 0x9747B28C ^ len(key), len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & _MASK
        k ^= k >> 24
        h = (h * m & _MASK) ^ (k * m & _MASK)
    rest = key[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & _MASK
    h = (h ^ h >> 13) * m & _MASK
    return (h ^ h >> 15) & 0x7FFFFFFF


def _fnv1a(key: bytes) -> int:
    """librdkafka's, as Sarama's: a negative result loses its sign."""
    h = 0x811C9DC5
    for byte in key:
        h = (h ^ byte) * 0x01000193 & _MASK
    return -(h - (1 << 32)) if h >= 1 << 31 else h


_HASHES: Final[dict[str, Callable[[bytes], int]]] = {"consistent": zlib.crc32, "murmur2": _murmur2, "fnv1a": _fnv1a}
