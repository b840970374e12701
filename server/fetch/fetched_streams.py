"""Keep the streams of URLs fresh: ask for them regularly, check the answers and publish them.

Place: fetch.stream_source, catalog.check_streams → HERE → catalog.publication, fetch.store.
Rules: a bad answer or none changes nothing: the last good one stays, and the log says so once, and once more when it is
over. An answer is published only after a check together with all other sources. Workers get it even when the disk is
full.
Not here: how workers use a new snapshot (catalog.snapshot_follower).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from server.catalog.check_schemas import SchemaTitles
from server.catalog.check_streams import check
from server.catalog.publication import Publication, head_of
from server.catalog.snapshot import publishable
from server.catalog.sources import Source, of_answer
from server.config.framework.finding import errors_of
from server.fetch.health import Health
from server.fetch.retry import refresh_pause_s
from server.fetch.store import Answers, StoredAnswer
from server.fetch.stream_source import ask
from server.fetch.trouble import FetchError
from server.timing import timers

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.client import HttpClient

_logger = logging.getLogger("fetcher")


class Streams:
    """All sources of one generation; a task for each URL keeps it fresh."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        schemas: SchemaTitles | None,
        publication: Publication,
        health: Health,
        answers: Answers,
    ) -> None:
        self._config = config
        self._sources = list(sources)
        self._schemas = schemas
        self._publication = publication
        self._health = health
        self._answers = answers
        self._failing_at: dict[str, float] = {}

    def catch_up(self, urls: Sequence[str]) -> None:
        """Use answers that an earlier fetcher found good but may not have published."""
        kept = [found for url in urls if (found := self._answers.good(url)) is not None]
        refusal = self._use(kept)
        if refusal is not None:
            _logger.error("streams: the answers kept on disk are not used: %s", refusal)

    async def keep_fresh(self, client: HttpClient, url: str) -> None:
        """Ask a URL regularly, without end."""
        kept = self._answers.good(url)
        while True:
            try:
                kept = self._heed(await ask(client, self._config, url, kept), kept)
            except FetchError as error:
                self._note_failure(url, str(error))
            except OSError as error:  # The disk failed. The published snapshot stays.
                self._note_failure(url, f"{url}: its answer cannot be kept: {error}")
            except Exception:  # A bug with one answer must not end the asking.
                timers.failed("Streams.keep_fresh")
            await asyncio.sleep(refresh_pause_s(self._config.streams.refresh_s))

    def _heed(self, new: StoredAnswer, before: StoredAnswer | None) -> StoredAnswer | None:
        """Use an answer if it is good. Returns the last good one. Raises OSError when it cannot be kept."""
        refusal = self._use([new]) if before is None or new.body != before.body else None
        if refusal is not None:
            self._note_failure(new.url, refusal)
            return before
        self._answers.keep(new)
        self._note_good(new.url)
        return new

    def _use(self, answers: Sequence[StoredAnswer]) -> str | None:
        """Check all sources with these answers in their places, and publish. Returns why not."""
        config = self._config
        new = {kept.url: of_answer(kept.url, kept.body) for kept in answers}
        sources = [new.get(source.name, source) for source in self._sources]
        findings = check(
            sources,
            topic_prefix=config.sink.topic_prefix,
            wiki=config.streams.wiki,
            schemas=self._schemas,
            refuse_unknown=config.streams.unknown_titles == "refuse",
        )
        errors = errors_of(findings)
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            return f"the answer is refused: {errors[0]}{more}"
        self._sources = sources
        digest, text = publishable(sources, config.streams.wiki)
        if head_of(digest) != self._publication.digest_head:
            self._publication.publish(text, digest)
            _logger.info("streams of %s have changed: snapshot %s", ", ".join(new), digest[:12])
            for finding in findings:
                _logger.warning("%s", finding)
        return None

    def _note_failure(self, url: str, reason: str) -> None:
        self._health.note_failure(url)
        if url not in self._failing_at:
            self._failing_at[url] = time.monotonic()
            _logger.error("streams: %s; the last good answer stays in force", reason)

    def _note_good(self, url: str) -> None:
        self._health.note_good(url)
        since = self._failing_at.pop(url, None)
        if since is not None:
            _logger.info("streams: %s answers again, after %.0f s", url, time.monotonic() - since)
