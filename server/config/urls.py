"""Tell which texts of the settings are URLs, and whether a URL can be fetched.

Place: settings → HERE → config.checks.url_rules, boot.generation, fetch.client.
Rule: an origin is ``scheme://host:port`` in lower case with its port always written, so two of them compare as text.
Not here: fetching (fetch.client), what is at a URL (fetch.stream_source, fetch.fetched_schemas).
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def is_url(text: str) -> bool:
    """Whether the text is meant as a web URL, valid or not; any other text is a path or a ``file:`` URI."""
    return text.lower().startswith(("http:", "https:"))


def urls_of(texts: Iterable[str]) -> list[str]:
    """Return the texts that are URLs, each once, in order."""
    return [text for text in dict.fromkeys(texts) if is_url(text)]


def origin_of(url: str) -> str:
    """Return the origin: ``https://Example.org/a`` → ``https://example.org:443``. Raises ValueError without one."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _PORTS or not host:
        raise ValueError("is not an http or https URL with a host")
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{parts.port or _PORTS[scheme]}"


def problem_of(url: str, *, may_have_query: bool) -> str | None:
    """Return why this URL cannot be fetched, or None."""
    try:
        parts = urlsplit(url)
        origin_of(url)
    except ValueError as error:
        return str(error)
    if any(character <= " " or character == "\x7f" for character in url):
        return "has a space or a control character in it"
    if "@" in parts.netloc:
        return "has a user name or a password in it, which log lines would show"
    if parts.fragment:
        return "has a fragment, which is never sent"
    if parts.query and not may_have_query:
        return "has a query, but paths are added to it"
    return None
