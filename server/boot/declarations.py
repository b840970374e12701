"""Read the declarations of streams: files, and the new or last answers of URLs.

Place: config → HERE → boot.examine.
Rules: at the start every URL is asked; on a reload only one that has never answered, as the fetcher keeps the others
fresh. Where there is no new answer the last good one on disk is used, with a finding. An answer is stored as good only
after a check of everything with it.
Not here: asking (fetch.once), which declarations are allowed (catalog.check_streams).
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from server.catalog.sources import AnswerError, Source, of_answer, read_files
from server.config.framework.document import dotted
from server.config.framework.finding import Finding, Level
from server.config.load import Loaded
from server.config.urls import is_url, urls_of
from server.errors import EXIT_DONE, PenstockError
from server.fetch.once import fetch_streams
from server.fetch.retry import refresh_pause_s
from server.fetch.store import Answers, StoredAnswer
from server.master import signals

Occasion = Literal["check", "start", "reload"]

_LOOK_S = 0.2  # A TERM that comes while streams are waited for is noticed within this time.
_HINT = "see that it answers, or set streams.on_missing to wait"

_logger = logging.getLogger("streams")


class StoppedWhileReadingError(PenstockError):
    """TERM came while streams were waited for. Nothing had been started, so nothing must be stopped."""

    exit_code = EXIT_DONE


class Declarations(Struct):
    """All sources. ``sources`` has the newest answers; ``older`` has the last good ones instead, when there are any.
    ``fresh`` are answers that have not been checked yet."""

    sources: list[Source]
    older: list[Source] | None
    findings: list[Finding]
    fresh: list[StoredAnswer] = field(default_factory=list)
    answers: Answers | None = None

    def settle(self, *, is_good: bool) -> None:
        """Store the fresh answers as good, or drop them. Raises OSError."""
        for kept in self.fresh:
            assert self.answers is not None
            if is_good:
                self.answers.keep(kept)
            else:
                self.answers.drop_candidate(kept.url)


def read(loaded: Loaded, occasion: Occasion) -> Declarations:
    """Read all declarations. Raises SettingsError when a file cannot be read; trouble with a URL is a finding."""
    texts = loaded.config.streams.sources
    urls = urls_of(texts)
    if not urls:
        return Declarations(read_files(loaded.path(text) for text in texts), None, [])
    directory = loaded.path(loaded.config.fetch.path)
    answers = Answers(directory, loaded.config.streams.headers)
    due = urls if occasion != "reload" else [url for url in urls if answers.good(url) is None]
    troubles = _ask(loaded, directory, answers, due, occasion)
    good = {url: kept for url in urls if (kept := answers.good(url))}
    fresh = {url: kept for url in due if url not in troubles and (kept := answers.candidate(url))}
    findings = [_about_trouble(loaded, url, reason, good.get(url)) for url, reason in troubles.items()]
    sources = _sources(loaded, texts, {**good, **fresh})
    is_older = any(url in good and good[url].body != kept.body for url, kept in fresh.items())
    older = _sources(loaded, texts, {**fresh, **good}) if is_older else None
    return Declarations(sources, older, findings, list(fresh.values()), answers)


def about_older(loaded: Loaded, errors: list[Finding]) -> Finding:
    """Return the finding for new answers that are refused, so that the last good ones are used."""
    reason = f"what the URLs answer now is refused, so their last good answers are used: {errors[0]}"
    return _about(loaded, ("streams", "sources"), reason, "fix the declarations there", "warning")


def _ask(loaded: Loaded, directory: Path, answers: Answers, urls: list[str], occasion: Occasion) -> dict[str, str]:
    """Ask the URLs, and if so set, those that have never answered repeatedly. Returns why some have no answer now."""
    config = loaded.config
    troubles = fetch_streams(config, directory, urls, signals.is_stop_pending) if urls else {}
    is_patient = occasion == "start" and config.streams.on_missing == "wait"
    is_said = False
    while missing := [url for url in troubles if answers.good(url) is None]:
        if signals.is_stop_pending():
            raise StoppedWhileReadingError("told to stop while waiting for streams")
        if not is_patient:
            break
        if not is_said:
            _logger.warning("waiting for streams: %s; nothing is served until then", troubles[missing[0]])
            is_said = True
        _pause(refresh_pause_s(min(config.streams.refresh_s, config.fetch.total_s)))
        again = fetch_streams(config, directory, missing, signals.is_stop_pending)
        troubles = {url: reason for url, reason in troubles.items() if url not in missing} | again
    return troubles


def _pause(pause_s: float) -> None:
    end = time.monotonic() + pause_s
    while time.monotonic() < end and not signals.is_stop_pending():
        time.sleep(_LOOK_S)


def _sources(loaded: Loaded, texts: list[str], kept: dict[str, StoredAnswer]) -> list[Source]:
    """Return the sources in the order of the settings. A URL without any answer is left out; a finding reports it."""
    sources: list[Source] = []
    for text in texts:
        if not is_url(text):
            sources += read_files([loaded.path(text)])
        elif text in kept:
            sources.append(_parsed(kept[text]))
    return sources


def _parsed(kept: StoredAnswer) -> Source:
    try:
        return of_answer(kept.url, kept.body)
    except AnswerError as error:  # This or another version could read the answer when it was stored.
        return Source(kept.url, {"streams": f"cannot be read: {error}"}, {})


def _about_trouble(loaded: Loaded, url: str, reason: str, good: StoredAnswer | None) -> Finding:
    path = ("streams", "sources", loaded.config.streams.sources.index(url))
    if good is None:
        return _about(loaded, path, f"{reason}; no earlier answer is kept", _HINT, "error")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(good.fetched_at))
    return _about(loaded, path, f"{reason}; starting from its last good answer, of {moment}", "", "warning")


def _about(loaded: Loaded, path: tuple[str | int, ...], reason: str, hint: str, level: Level) -> Finding:
    file, line = loaded.origin(*path)
    return Finding(level=level, file=file, line=line, key=dotted(path), reason=reason, hint=hint)
