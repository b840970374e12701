"""Read the query of a reader of stream settings, with the parameters of the existing system's API.

Place: server.pages.published → HERE → catalog.views.
Rules: lists are separated by ``|``, or by U+001F when they begin with it. A value that makes no sense is an error that
names its parameter. Nothing that a client sent is repeated except a parameter's name, and only when it is harmless.
Not here: answers (catalog.views), what constraints mean (catalog.constraints).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from msgspec import UNSET, Struct, UnsetType

from server.catalog import constraints
from server.text import percent

MAX_PARAMETERS = 100
KNOWN = ("action", "all_settings", "constraints", "format", "formatversion", "streams", "wiki")
# Clients of the Action API may send these with every request; they change nothing here.
FOREIGN = frozenset(
    {
        "assert",
        "assertuser",
        "curtimestamp",
        "errorformat",
        "errorlang",
        "errorsuselocal",
        "maxage",
        "maxlag",
        "origin",
        "requestid",
        "responselanginfo",
        "servedby",
        "smaxage",
        "uselang",
        "utf8",
        "ascii",
        "variant",
        "crossorigin",
    }
)
DEPRECATED = 'The parameter "all_settings" has been deprecated.'  # As the existing system words it.

_WIKI = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HARMLESS = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class QueryError(ValueError):
    """A parameter that makes no sense; "" stands for the whole query. ``reason`` follows its name: "takes json"."""

    def __init__(self, parameter: str, reason: str) -> None:
        subject = f"The parameter `{parameter}`" if parameter else "The query"
        super().__init__(f"{subject} {reason}.")
        self.parameter = parameter


class Query(Struct, frozen=True):
    """The query of a reader. ``names`` None means all streams; ``wiki`` unset means the service's own wiki."""

    names: tuple[str, ...] | None = None
    constraints: constraints.Constraints = {}
    wiki: str | UnsetType = UNSET
    is_deprecated: bool = False
    is_action: bool = False  # True only when `action` was given.
    is_format_named: bool = False


def parse(query: bytes, known: Collection[str] = KNOWN) -> Query:
    """Read a query string; ``known`` are the parameters of this route. Raises QueryError."""
    given = _parameters(query, known)
    if given.get("action", "streamconfigs") != "streamconfigs":
        raise QueryError("action", "accepts only `streamconfigs` here")
    if given.get("format", "json") != "json":
        raise QueryError("format", "accepts only `json`")
    if given.get("formatversion", "2") not in ("2", "latest"):
        raise QueryError("formatversion", "accepts `2` or `latest`: booleans stay booleans in the answer")
    wiki: str | UnsetType = given.get("wiki", UNSET)
    if isinstance(wiki, str) and not _WIKI.fullmatch(wiki):
        raise QueryError("wiki", "accepts the name of a wiki, such as `enwiki`")
    try:
        wanted = constraints.parse(listed(given.get("constraints", "")))
    except constraints.ConstraintError as error:
        raise QueryError("constraints", str(error)) from None
    return Query(
        names=listed(given["streams"]) if "streams" in given else None,
        constraints=wanted,
        wiki=wiki,
        is_deprecated="all_settings" in given,
        is_action="action" in given,
        is_format_named="format" in given,
    )


def listed(text: str) -> tuple[str, ...]:
    """Return the items of a list, each once."""
    items = text[1:].split("\x1f") if text.startswith("\x1f") else text.split("|")
    return tuple(item for item in dict.fromkeys(items) if item)


def _parameters(query: bytes, known: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    fields = [field for field in query.split(b"&") if field]
    if len(fields) > MAX_PARAMETERS:
        raise QueryError("", f"has more than {MAX_PARAMETERS} parameters")
    for field in fields:
        escaped, _, value = field.partition(b"=")
        name = percent.text_of(escaped)
        if name in FOREIGN:
            continue
        if name not in known:
            raise _unknown(name, known)
        if name in found:
            raise QueryError(name, "occurs twice; separate the items of a list by `|`")
        found[name] = percent.text_of(value)
    return found


def _unknown(name: str, known: Collection[str]) -> QueryError:
    close = difflib.get_close_matches(name[:40], known, n=1, cutoff=0.7)
    hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known) or 'none'}"
    if not _HARMLESS.fullmatch(name):
        return QueryError("", f"has a parameter that is not known; {hint}")
    return QueryError(name, f"is not known; {hint}")
