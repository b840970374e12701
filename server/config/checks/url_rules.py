"""Check the URLs that are fetched, and the headers and constraints that are sent to them.

Place: config.rules → HERE.
Rule: a setting that would fail every fetch is an error at the start; a secret's value is in no message.
Not here: fetching (fetch.client).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from server.config.framework.breach import Breach
from server.config.framework.document import KeyPath, SettingsDocument
from server.config.settings import Config
from server.config.urls import is_url, origin_of, problem_of, urls_of

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS = (
    *("accept", "accept-encoding", "connection", "content-length", "if-modified-since", "if-none-match"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
)
_URL_HINT = "write https://host/path; secrets go into headers"


def url_breaches(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    """Yield every fault of URLs, headers and constraints."""
    yield from _places(config)
    for section in ("streams", "schemas"):
        yield from _headers(section, getattr(config, section).headers)
    yield from _constraints(config)
    yield from _unused(config, document)
    if config.fetch.connect_s > config.fetch.total_s:
        reason = f"{config.fetch.connect_s:g} s is more than fetch.total_s, {config.fetch.total_s:g} s"
        yield Breach(("fetch", "connect_s"), reason, "lower it: no fetch takes longer than fetch.total_s")


def _places(config: Config) -> Iterator[Breach]:
    lists: tuple[tuple[KeyPath, list[str], bool], ...] = (
        (("streams", "sources"), config.streams.sources, True),
        (("schemas", "base_uris"), config.schemas.base_uris, False),
    )
    for path, texts, may_have_query in lists:
        for index, text in enumerate(texts):
            if is_url(text):
                problem = problem_of(text, may_have_query=may_have_query)
                if problem is not None:
                    yield Breach((*path, index), f"{_shown(text)} {problem}", _URL_HINT)
            elif "://" in text and not text.startswith("file:"):
                yield Breach((*path, index), f"{_shown(text)} is neither a path nor an http or https URL", _URL_HINT)
    for index, text in enumerate(config.fetch.allowed_origins):
        try:
            origin_of(text)
            is_bare = urlsplit(text).path in ("", "/") and problem_of(text, may_have_query=False) is None
        except ValueError:
            is_bare = False
        if not is_bare:
            reason = f"{_shown(text)} is not an origin"
            yield Breach(("fetch", "allowed_origins", index), reason, "write https://host or https://host:8443")


def _shown(text: str) -> str:
    """Return the text without a part that may be a password."""
    return re.sub(r"//[^/]*@", "//…@", text)


def _headers(section: str, headers: dict[str, str]) -> Iterator[Breach]:
    for name, value in headers.items():
        path = (section, "headers", name)
        if not HEADER_NAME.fullmatch(name):
            yield Breach(path, f"{name!r} is not a header name", "write a name such as X-Api-Key")
        elif name.lower() in _OURS:
            yield Breach(path, "is set by this service itself", "leave it out")
        elif not _HEADER_VALUE.fullmatch(value):
            yield Breach(path, "has a character that no header may have", "use printable ASCII on one line")


def _constraints(config: Config) -> Iterator[Breach]:
    for name, value in config.streams.constraints.items():
        if "|" in name or "|" in value or "=" in name:
            reason = "has a | or a = that would end the constraint"
            yield Breach(("streams", "constraints", name), reason, "name one setting, and one value for it")


def _unused(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    lists = {"streams": config.streams.sources, "schemas": config.schemas.base_uris}
    settings = (
        *(("streams", name) for name in ("constraints", "headers", "on_missing", "refresh_s")),
        *(("schemas", name) for name in ("headers", "wait_s", "unknown_per_min", "unknown_per_min_client")),
    )
    for section, name in settings:
        if not urls_of(lists[section]) and (document.value.get(section) or {}).get(name):
            what = "streams.sources" if section == "streams" else "schemas.base_uris"
            yield Breach((section, name), f"has no effect: {what} has no URL", "leave it out, or add one", True)
