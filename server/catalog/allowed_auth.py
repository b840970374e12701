"""Check the settings of a stream that say who may write to it.

Place: catalog.allowed → HERE.
Rule: settings of streams are served to everyone, so a key or a hash among them is an error, and its value is in no
message.
Not here: whether keys of these names exist (auth.check_auth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, get_args

from server.catalog.stream_fault import StreamFault
from server.config.auth_settings import KEY_NAME, Way
from server.config.framework.document import KeyPath
from server.config.framework.finding import kind_of, quoted
from server.text.networks import HINT as NETWORK_HINT
from server.text.networks import network
from server.text.origins import HINT, is_origin

SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-api-key"})

EVERY: Final = ["*"]  # As ``api_keys`` or ``origins``: nothing is restricted, whatever a more general place says.
_WAYS: Final[tuple[str, ...]] = get_args(Way)


def ways(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """Check ``auth``: one word or a list of them."""
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(one, str) and one in _WAYS for one in given):
        reason = f"found {quoted(value)}; allowed is one of {', '.join(_WAYS)}, or a list of them"
        yield StreamFault(path, reason, "write several as a list: any one of them is enough")
    elif "none" in given and len(given) > 1:
        yield StreamFault(
            path,
            "has `none` together with other ways: every client would be let in",
            "leave out none, or the other ways",
        )


def key_names(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """``api_keys``: names of keys, never the keys."""
    yield from () if value == EVERY else _each(value, path, _key_name)


def networks(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """Check ``networks``, whose clients may write."""
    return _each(value, path, _network)


def identities(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """Check ``identities``: the names that the proxy gives to clients."""
    return _each(value, path, _identity)


def origins(value: Any, path: KeyPath) -> Iterator[StreamFault]:
    """``origins``: whose pages may write."""
    yield from () if value == EVERY else _each(value, path, _origin)


def _each(value: Any, path: KeyPath, wrong: Callable[[Any], tuple[str, str] | None]) -> Iterator[StreamFault]:
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else f"{kind_of(value)} (not shown)"
        hint = "leave it out to restrict nothing; to stop all writing, set enabled to false"
        yield StreamFault(path, f"found {found}; allowed is a list of one or more", hint)
        return
    for index, item in enumerate(value):
        if found_wrong := wrong(item):
            yield StreamFault((*path, index), *found_wrong)


def _key_name(item: Any) -> tuple[str, str] | None:
    if isinstance(item, str) and KEY_NAME.fullmatch(item):
        return None
    hint = "keys and hashes belong in auth.key_files: the settings of streams are public"
    return "is not the name of a key (not shown)", hint


def _network(item: Any) -> tuple[str, str] | None:
    try:
        network(item if isinstance(item, str) else "")
    except ValueError as error:
        return str(error), NETWORK_HINT
    return None


def _identity(item: Any) -> tuple[str, str] | None:
    if isinstance(item, str) and item:
        return None
    return f"found {quoted(item)}; allowed is text", "write the value that the proxy puts into its header"


def _origin(item: Any) -> tuple[str, str] | None:
    if is_origin(item):
        return None
    return (
        f"found {quoted(item)}; allowed is an origin",
        "write ['*'] alone to take events from anywhere" if item == "*" else HINT,
    )
