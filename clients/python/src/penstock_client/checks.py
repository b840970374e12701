"""Checks of options: every value that could not be used later is refused when a client is made, by ValueError."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock_client.streams import Streams

if TYPE_CHECKING:
    from penstock_client.options import Options

MAX_REQUEST_S = 1e6  # Of sockets: their bound is 2**31 ms.
MAX_S = 1e9  # Of locks and clocks: their bound is 2**63 ns.

_FLAGS = ("hasty", "receipts", "set_dt", "debug")
_COUNTS = ("max_batch_events", "max_batch_bytes", "max_queue_events", "max_queue_bytes", "spool_max_bytes")
_TIMES_ABOVE_0 = ("timeout_s", "max_age_s", "streams_ttl_s")
_TIMES = ("linger_s", "block_s", "retry_base_s", "retry_cap_s", "settle_s", "exit_timeout_s")
_TEXTS = ("report_stream", "domain")
_FUNCTIONS = ("dumps", "on_drop", "validator")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")


def check_all(options: Options) -> None:
    """Raise ValueError for the first option whose value has a wrong type or is out of its bounds."""
    for name in _FLAGS:
        if not isinstance(getattr(options, name), bool):
            raise ValueError(f"{name} is True or False, not {getattr(options, name)!r}")
    for name in _COUNTS:
        _count(name, getattr(options, name), 1)
    if options.compress_over is not None:
        _count("compress_over", options.compress_over, 0)
    for name in (*_TIMES_ABOVE_0, *_TIMES):
        _time(name, getattr(options, name))
    for name in _TEXTS:
        if getattr(options, name) is not None:
            text(name, getattr(options, name))
    for name in _FUNCTIONS:
        if not (getattr(options, name) is None or callable(getattr(options, name))):
            raise ValueError(f"{name} is a function, not {getattr(options, name)!r}")
    spool: object = options.spool
    if not (spool is None or (isinstance(spool, str | os.PathLike) and os.fspath(spool))):
        raise ValueError(f"spool is the path of a directory, not {spool!r}")
    _check_tls(options.ssl_context)
    _check_headers(options.headers)
    _check_streams(options.streams)


def _count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is a whole number, {least} or above, not {value!r}")


def _time(name: str, value: object) -> None:
    bound_s = MAX_REQUEST_S if name == "timeout_s" else MAX_S
    # NaN is in no interval.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= bound_s:
        raise ValueError(f"{name} is a number of seconds from 0 to {bound_s:,.0f}, not {value!r}")
    if name in _TIMES_ABOVE_0 and not value:
        raise ValueError(f"{name} must be above 0")


def _check_tls(context: object) -> None:
    if context is None:
        return
    import ssl

    if not isinstance(context, ssl.SSLContext):
        raise ValueError(f"ssl_context is an ssl.SSLContext, not {context!r}")


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (_TOKEN.fullmatch(name) and value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name!r} has characters that no header may have")


def _check_streams(streams: object) -> None:
    if not isinstance(streams, Mapping):
        return
    try:
        Streams(streams)
    except (re.error, TypeError) as error:  # An expression that is none, or a name that is no text.
        raise ValueError(f"streams cannot be used: {error}") from error


def text(name: str, value: object) -> str:
    """Return a text, or raise ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text, not {value!r}")
    return value


def texts(name: str, value: object) -> dict[str, str]:
    """Return a copy of a mapping of texts, empty for None, or raise ValueError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is a mapping of texts, not {value!r}")
    return {text(f"a name in {name}", key): text(f"{name}[{key!r}]", one) for key, one in value.items()}


def identities(ids: object) -> dict[str, str]:
    """Return a copy of ids by unit, or raise ValueError for what no sample could go by."""
    found = texts("ids", ids)
    for unit, identity in found.items():
        if not _HEX.match(identity):
            raise ValueError(f"ids[{unit!r}] begins with eight hexadecimal digits at least, not {identity!r}")
    return found


def web_address(url: Any) -> str:
    """Return an address to read from, which may have a query, or raise ValueError."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
        is_one = is_one and url.isascii() and url.isprintable() and " " not in url
        is_one = is_one and not parts.fragment and not parts.username
    except (AttributeError, TypeError, ValueError):
        is_one = False
    if not is_one:
        raise ValueError(f"streams_url is an address of http or https, not {url!r}")
    return str(url)


def is_host(name: str) -> bool:
    """Whether a name could be looked up, or is an address."""
    try:
        return bool(name) and bool(name.encode("idna"))
    except UnicodeError:  # A part that is empty or longer than 63 bytes.
        return False
