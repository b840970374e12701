"""Fetch the public keys of token issuers, and store them in the file that workers follow.

Place: fetch.once (at the start), fetch.process (later) → HERE → fetch.client, fetch.store.
Rules: an answer without a usable key is never stored; the last good set stays, and the log says so once, and once more
when it is over. Ignored keys are logged when they change. A set that has not changed is not written.
Not here: how workers use new keys (auth.key_follower).
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from server.auth.public_keys import MAX_BYTES, PublicKeysError, examine, kept_path, read
from server.fetch.retry import refresh_pause_s
from server.fetch.store import write_whole
from server.fetch.trouble import FetchError
from server.timing import timers

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.client import HttpClient

_logger = logging.getLogger("fetcher")


async def fetch(client: HttpClient, url: str, directory: Path) -> str:
    """Fetch the keys once. Returns a text about ignored keys. Raises FetchError, and OSError when the set cannot be
    stored."""
    answer = await client.get_patiently(url, {"Accept": "application/jwk-set+json, application/json"}, MAX_BYTES)
    if answer.body is None:
        raise FetchError(f"{url}: answered 304 to a request without a condition", may_pass=True)
    try:
        _, passed_over = examine(answer.body)
    except PublicKeysError as error:
        raise FetchError(f"{url}: the answer {error}", may_pass=True) from None
    path = kept_path(directory, url)
    if not path.exists() or path.read_bytes() != answer.body:
        write_whole(path, answer.body)
    return passed_over


async def keep_fresh(client: HttpClient, config: Config, url: str, directory: Path) -> None:
    """Fetch the keys regularly, without end."""
    failing_since: float | None = None
    said = _passed_over(kept_path(directory, url))  # The start read the same file and logged this.
    while True:
        try:
            passed_over = await fetch(client, url, directory)
            if passed_over != said and (said := passed_over):
                _logger.warning("public keys: %s: %s; the other keys are used", url, passed_over)
            if failing_since is not None:
                _logger.info("public keys: %s answers again, after %.0f s", url, time.monotonic() - failing_since)
                failing_since = None
        except (FetchError, OSError) as error:
            if failing_since is None:
                failing_since = time.monotonic()
                _logger.error("public keys: %s; the last good ones stay in force", error)
        except Exception:  # A bug with one answer must not end the asking.
            timers.failed("public_keys.keep_fresh")
        await asyncio.sleep(refresh_pause_s(config.auth.jwt.refresh_s))


def _passed_over(path: Path) -> str:
    try:
        return examine(read(path))[1]
    except PublicKeysError:
        return ""
