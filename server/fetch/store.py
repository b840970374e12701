"""What is kept on disk of what was fetched: whole files, or none.

Place: fetch.stream_source, fetch.fetched_schemas → HERE → ``fetch.path``.
Rules: a file is written beside its place, made durable, and moved there in one step, so a reader, a crash or a full
disk never leaves half of one. Nothing here trusts what it reads: a file that is not what it should be counts as absent.
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

STALE_S = 3_600.0  # Whoever wrote a temporary file an hour ago is dead.

_logger = logging.getLogger("fetch")


class StoredAnswer(Struct, frozen=True):
    """An answer and what goes with it. ``fetched_at`` is in seconds since 1970: when it was last found to be right."""

    url: str
    fetched_at: float
    body: bytes
    etag: str | None = None
    last_modified: str | None = None

    def condition(self) -> dict[str, str]:
        """The header that asks for an answer only if there is a newer one (RFC 9110 section 13.1)."""
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
    """The last good answer of each URL of streams. Two of them: those that were checked, and candidates."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        self._directory = directory / "streams"
        self._headers = msgspec.json.encode(sorted((name.lower(), value) for name, value in headers.items()))

    def good(self, url: str) -> StoredAnswer | None:
        """The answer that was last served with."""
        return self._read(url, "good")

    def candidate(self, url: str) -> StoredAnswer | None:
        """One that was fetched and has not been checked yet."""
        return self._read(url, "candidate")

    def keep_candidate(self, kept: StoredAnswer) -> None:
        """Raises OSError."""
        self._write(kept, "candidate")

    def keep(self, kept: StoredAnswer) -> None:
        """It is good, and the only one now. Raises OSError."""
        self._write(kept, "good")
        self.drop_candidate(kept.url)

    def drop_candidate(self, url: str) -> None:
        self._path(url, "candidate").unlink(missing_ok=True)

    def _path(self, url: str, kind: str) -> Path:
        """Headers decide what is answered as much as the URL does: ``Host`` names a wiki."""
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
    """Put a file in its place in one step, durably. Raises OSError."""
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
    """Remove what dead writers left."""
    for beside in directory.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - beside.stat().st_mtime > STALE_S:
                beside.unlink()
