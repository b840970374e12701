"""Store fetched answers on disk, as whole files or not at all.

Place: fetch.stream_source, fetch.fetched_schemas → HERE → ``fetch.path``.
Rules: a file is written under another name, made durable, and renamed in one step, so a reader, a crash or a full disk
never leaves half of one. Files are not trusted when they are read: a malformed one counts as absent.
Not here: when something is fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

STALE_S = 3_600.0  # The writer of a temporary file that is an hour old is dead.

_logger = logging.getLogger("fetch")


class StoredAnswer(Struct, frozen=True):
    """An answer with its validators. ``fetched_at`` is when it was last found to be right, in seconds since 1970."""

    url: str
    fetched_at: float
    body: bytes
    etag: str | None = None
    last_modified: str | None = None

    def condition(self) -> dict[str, str]:
        """Return the header that asks for an answer only if there is a newer one (RFC 9110 section 13.1)."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified is not None else {}


class _Head(Struct, frozen=True):
    url: str
    fetched_at: float
    body_bytes: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


class Answers:
    """The stored answers of each URL of streams: the last good one, and a candidate that is not checked yet."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        self._directory = directory / "streams"
        self._headers = msgspec.json.encode(sorted((name.lower(), value) for name, value in headers.items()))

    def good(self, url: str) -> StoredAnswer | None:
        """Return the answer that was last served with."""
        return self._read(url, "good")

    def candidate(self, url: str) -> StoredAnswer | None:
        """Return an answer that was fetched and has not been checked yet."""
        return self._read(url, "candidate")

    def keep_candidate(self, kept: StoredAnswer) -> None:
        """Store a candidate. Raises OSError."""
        self._write(kept, "candidate")

    def keep(self, kept: StoredAnswer) -> None:
        """Store a good answer and drop the candidate. Raises OSError."""
        self._write(kept, "good")
        self.drop_candidate(kept.url)

    def drop_candidate(self, url: str) -> None:
        self._path(url, "candidate").unlink(missing_ok=True)

    def _path(self, url: str, kind: str) -> Path:
        """Return the path for a URL and these headers, which decide the answer too: ``Host`` names a wiki."""
        name = hashlib.sha256(url.encode() + b"\n" + self._headers).hexdigest()[:32]
        return self._directory / f"{name}.{kind}"

    def _read(self, url: str, kind: str) -> StoredAnswer | None:
        path = self._path(url, kind)
        try:
            head_text, _, body = path.read_bytes().partition(b"\n")
            head = msgspec.json.decode(head_text, type=_Head)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            _logger.warning("%s cannot be used: %s", path, error)
            return None
        if hashlib.sha256(body).hexdigest() != head.sha256:
            _logger.warning("%s cannot be used: it is damaged", path)
            return None
        return StoredAnswer(head.url, head.fetched_at, body, head.etag, head.last_modified)

    def _write(self, kept: StoredAnswer, kind: str) -> None:
        digest = hashlib.sha256(kept.body).hexdigest()
        head = _Head(kept.url, kept.fetched_at, len(kept.body), digest, kept.etag, kept.last_modified)
        write_whole(self._path(kept.url, kind), msgspec.json.encode(head) + b"\n" + kept.body)


def write_whole(path: Path, text: bytes) -> None:
    """Write a file durably and put it in its place in one step. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def sweep(directory: Path) -> None:
    """Remove the temporary files of dead writers."""
    for beside in directory.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - beside.stat().st_mtime > STALE_S:
                beside.unlink()
