"""Ask one URL for its streams.

Place: fetch.once (at the start), fetch.fetched_streams (later) → HERE → fetch.client.
Rules: the request is conditional on the last answer; an answer that does not declare streams counts as a failure.
Not here: whether the streams make sense (catalog.check_streams), storing answers (fetch.store).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from server.catalog.sources import AnswerError, of_answer
from server.fetch.store import StoredAnswer
from server.fetch.trouble import FetchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.config.settings import Config
    from server.fetch.client import HttpClient


async def ask(client: HttpClient, config: Config, url: str, before: StoredAnswer | None) -> StoredAnswer:
    """Return the URL's answer; ``before`` with a new time when that is still right. Raises FetchError."""
    answer = await client.get_patiently(
        constrained(url, config.streams.constraints),
        {"Accept": "application/json", **config.streams.headers, **(before.condition() if before else {})},
        config.fetch.max_answer_bytes,
    )
    if answer.body is None:
        if before is None:
            raise FetchError(f"{url}: answered 304 to a request without a condition", may_pass=True)
        return msgspec.structs.replace(before, fetched_at=time.time())
    try:
        of_answer(url, answer.body)
    except AnswerError as error:
        raise FetchError(f"{url}: the answer {error}", may_pass=True) from None
    return StoredAnswer(url, time.time(), answer.body, answer.etag, answer.last_modified)


def constrained(url: str, constraints: Mapping[str, str]) -> str:
    """Add ``constraints`` to the query. Each is itself a fragment of a query, and so it is quoted twice."""
    if not constraints:
        return url
    fragments = "|".join(f"{name}={quote(value, safe='')}" for name, value in constraints.items())
    return f"{url}{'&' if urlsplit(url).query else '?'}constraints={quote(fragments, safe='')}"
