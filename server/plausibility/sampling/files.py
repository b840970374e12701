"""The two files of the sampling process: its last report, and the learned fields.

Place: plausibility.sampling.process writes them → HERE → plausibility.watcher reads the report.
Rules: a file is written under another name and renamed, so that a reader never sees half of one. It is not trusted when
it is read: a malformed one counts as absent. The secret with which values are hashed is in the learned file alone.
Not here: what is in a report (plausibility.sampling.sample).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from server.host.replace import replace_file
from server.log import Limited
from server.plausibility.sampling.drift import Spread
from server.plausibility.sampling.sample import StreamReport

REPORT: Final = "samples.json"
LEARNED: Final = "fields.msgpack"

_logger = logging.getLogger("plausibility")
_limited = Limited(_logger)


class Report(Struct, frozen=True):
    """The samples of one round. ``round_number`` differs between two rounds; ``ended_s`` is in seconds since 1970."""

    round_number: int
    ended_s: float
    streams: dict[str, StreamReport]


class LearnedFields(Struct, frozen=True):
    """The learned spreads of one stream's fields. ``born`` is a minute of Unix time."""

    born: int
    windows: int
    spreads: dict[str, Spread]


class Learned(Struct, frozen=True):
    """The learned fields of all streams, and the secret of their hashes."""

    salt: bytes
    streams: dict[str, LearnedFields]


Content = TypeVar("Content", Report, Learned)


def read_report(directory: Path) -> Report | None:
    """Return the last report, or None if there is none."""
    try:
        return _decoded(directory / REPORT, msgspec.json.Decoder(Report))
    except OSError as failed:
        _limited.warning(REPORT, "%s cannot be read and counts as absent: %s", directory / REPORT, failed)
        return None


def write_report(directory: Path, report: Report) -> None:
    """Replace the report. Raises OSError."""
    replace_file(directory / REPORT, msgspec.json.encode(report))


def read_learned(directory: Path) -> Learned:
    """Return what was learned; without a usable file a new secret and nothing else. Raises OSError: the file may be
    readable later."""
    found = _decoded(directory / LEARNED, msgspec.msgpack.Decoder(Learned))
    if found is not None and 16 <= len(found.salt) <= 64:
        return found
    return Learned(os.urandom(32), {})


def write_learned(directory: Path, salt: bytes, streams: Mapping[str, LearnedFields]) -> None:
    """Replace what was learned. Raises OSError."""
    replace_file(directory / LEARNED, msgspec.msgpack.encode(Learned(salt, dict(streams))), 0o600)


def _decoded(path: Path, decoder: msgspec.json.Decoder[Content] | msgspec.msgpack.Decoder[Content]) -> Content | None:
    try:
        return decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as bad:
        _limited.warning(path.name, "%s cannot be read and counts as absent: %s", path, bad)
        return None
