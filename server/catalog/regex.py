"""Read names of streams that are regular expressions: ``/^mediawiki\\.job\\..+/``.

Place: catalog.sources → HERE → catalog.snapshot, catalog.topics.
Rules: a name that begins with a slash is a regex. It ends with a slash, has no flags, and matches anywhere in a name
unless it is anchored. It is read as ECMA-262 reads it, so that browsers agree. A regex that a client's name can make
slow is refused.
Not here: which declaration is asked first (catalog.snapshot).
"""

from __future__ import annotations

import re

from server.schemas.repository import Matcher, compile_regex, is_slow_regex

_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]|\\[./_-])*")


class RegexError(ValueError):
    """Why a name between slashes cannot be used."""


def is_regex(name: str) -> bool:
    """Whether a declared name is a regular expression."""
    return name.startswith("/")


def body(declared: str) -> str:
    """Return the text between the slashes. Raises RegexError."""
    text, slash, flags = declared[1:].rpartition("/")
    if not slash or not text:
        raise RegexError("it begins with a slash and must end with another")
    if flags:
        raise RegexError(f"nothing may follow the last slash: {flags!r}")
    if re.search(r"(?<!\\)(?:\\\\)*/", text):
        raise RegexError("a slash inside must be escaped: \\/")
    return text


def compiled(declared: str) -> Matcher:
    """Compile a declared regex for ``search``. Raises RegexError."""
    text = body(declared)
    try:
        if is_slow_regex(text):
            raise RegexError(
                "it is insecure: a quantifier repeats another, so a name sent by a client can make it very slow"
            )
        return compile_regex(text)
    except RegexError:
        raise
    except ValueError as error:
        raise RegexError(f"it is not a regular expression: it {error}") from None


def with_prefixes(declared: str, prefixes: list[str]) -> str:
    """Return one regex for the topics: ``/^a\\.+/`` with ``x.``, ``y.`` → ``/^(x\\.|y\\.)a\\.+/``."""
    quoted = "|".join(_SPECIAL.sub(r"\\\g<0>", prefix) for prefix in prefixes)
    text = body(declared)
    rest = text[1:] if text.startswith("^") else f".*{text}"
    return f"/^({quoted}){rest}/"


def sample(declared: str) -> str | None:
    """Return a name that the regex matches, where one is cheap to find: in plain text with ``.+`` or ``.*`` in it."""
    parts = re.split(r"(?<!\\)\.[+*]", body(declared).removeprefix("^").removesuffix("$"))
    if not all(_PLAIN.fullmatch(part) for part in parts):
        return None
    return "x".join(parts).replace("\\", "")
