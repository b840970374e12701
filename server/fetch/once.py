"""Ask URLs once, from a process that must not run a loop: a child asks and ends.

Place: boot.declarations, commands.validate → HERE → fetch.stream_source, fetch.fetched_schemas, in the child.
Rules: the parent only waits, with a deadline, and kills a child that misses it. Answers reach the parent as files
(candidates of fetch.store, schemas); reasons for failures come through a pipe.
Not here: checking candidates (boot.declarations), refreshing (fetch.fetched_streams).
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from server.config.urls import urls_of
from server.fetch.store import Answers
from server.fetch.trouble import FetchError
from server.host import stdio
from server.schemas.repository import fetched_directory

if TYPE_CHECKING:
    from server.config.settings import Config

LOOK_S = 0.2
FETCH_S = 60.0  # The time for all schemas of one call.
BEGIN_S = 5.0  # The time to load the client and to exit.
_DIED = "the process that was to fetch it ended early"


def fetch_streams(config: Config, directory: Path, urls: Sequence[str], is_over: Callable[[], bool]) -> dict[str, str]:
    """Ask all URLs at once; every answer becomes a candidate. Returns the reason for each URL without an answer.

    ``is_over`` is called now and then, and says whether to give up.
    """
    wait_s = config.fetch.attempts * config.fetch.total_s * 2 + BEGIN_S
    found = _in_child(lambda: _ask_all(config, directory, urls), wait_s, is_over)
    return dict.fromkeys(urls, _DIED) if found is None else found


def fetch_schemas(config: Config, base_dir: Path, uris: Sequence[str]) -> dict[str, str]:
    """Fetch schemas at URLs unless they are on disk. Returns the ``error_type`` of each that is not on disk then."""
    found = _in_child(lambda: _fetch_all(config, base_dir, uris), FETCH_S + BEGIN_S, lambda: False)
    return dict.fromkeys(uris, "schema_unavailable") if found is None else found


def fetch_public_keys(config: Config, directory: Path, url: str, is_over: Callable[[], bool]) -> str | None:
    """Fetch the public keys of tokens and store them on disk. Returns the reason when that failed, else None."""
    wait_s = config.fetch.attempts * config.fetch.total_s * 2 + BEGIN_S
    found = _in_child(lambda: _ask_public_keys(config, directory, url), wait_s, is_over)
    return _DIED if found is None else found.get(url)


def _in_child(
    work: Callable[[], Coroutine[Any, Any, dict[str, str]]], wait_s: float, is_over: Callable[[], bool]
) -> dict[str, str] | None:
    """Run the work in a child and return its result; None when the child ends early or is too late."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receive)
        _be_child(work, send)
    os.close(send)
    try:
        text = _read(receive, time.monotonic() + wait_s, is_over)
    finally:
        os.close(receive)
        os.kill(pid, signal.SIGKILL)  # It is done or too late. It was not reaped yet, so the pid is still its own.
        os.waitpid(pid, 0)
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        return None


def _read(receive: int, deadline: float, is_over: Callable[[], bool]) -> bytes:
    text = b""
    while time.monotonic() < deadline and not is_over():
        if not select.select([receive], [], [], LOOK_S)[0]:
            continue
        piece = os.read(receive, 65_536)
        if not piece:
            break
        text += piece
    return text


def _be_child(work: Callable[[], Coroutine[Any, Any, dict[str, str]]], send: int) -> None:
    """Be the child; this never returns. Only the parent handles orders: the child's signals stay blocked as they are,
    and KILL ends it."""
    try:
        stdio.begin_child()
        with open(send, "wb") as pipe:
            pipe.write(msgspec.json.encode(asyncio.run(work())))
    except Exception:  # This is the top of a process.
        logging.getLogger("fetch").exception("fetching URLs failed with an unexpected error")
    finally:
        sys.stderr.flush()
        os._exit(0)


async def _ask_all(config: Config, directory: Path, urls: Sequence[str]) -> dict[str, str]:
    from server.fetch.client import HttpClient
    from server.fetch.stream_source import ask

    answers = Answers(directory, config.streams.headers)
    troubles: dict[str, str] = {}

    async def ask_one(url: str) -> None:
        try:
            answers.keep_candidate(await ask(client, config, url, answers.good(url)))
        except (FetchError, OSError) as error:
            troubles[url] = str(error)

    async with HttpClient(config.fetch, urls) as client:
        await asyncio.gather(*map(ask_one, urls))
    return troubles


async def _ask_public_keys(config: Config, directory: Path, url: str) -> dict[str, str]:
    from server.fetch.client import HttpClient
    from server.fetch.public_keys import fetch

    async with HttpClient(config.fetch, [url]) as client:
        try:
            await fetch(client, url, directory)
        except (FetchError, OSError) as error:
            return {url: str(error)}
    return {}


async def _fetch_all(config: Config, base_dir: Path, uris: Sequence[str]) -> dict[str, str]:
    from server.fetch.client import HttpClient
    from server.fetch.fetched_schemas import FetchedSchemas

    urls = urls_of(config.schemas.base_uris)
    async with HttpClient(config.fetch, urls) as client:
        schemas = FetchedSchemas(config, base_dir, fetched_directory(base_dir / config.fetch.path, urls), client)
        standings = await asyncio.gather(*(schemas.ask(uri, "") for uri in uris))
        await schemas.close()
    return {uri: standing.outcome for uri, standing in zip(uris, standings, strict=True) if standing.outcome != "here"}
