"""The options of a client, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import urlsplit

from penstock_client import checks

if TYPE_CHECKING:
    import os
    import ssl

    from penstock_client.outcomes import Ticket

OnFull = Literal["drop_oldest", "drop_new", "block", "raise"]
OnDrop = Callable[["Ticket", str], object]
Values = Mapping[str, Any]

HOUR_S = 3600.0


class OptionValues(TypedDict, total=False):
    """The keywords of ``Options``, for type checkers."""

    hasty: bool
    linger_s: float
    max_batch_events: int
    max_batch_bytes: int
    timeout_s: float
    compress_over: int | None
    key: str | None
    headers: Mapping[str, str] | None
    ssl_context: ssl.SSLContext | None
    services: Mapping[str, str] | None
    max_queue_events: int
    max_queue_bytes: int
    on_full: OnFull
    block_s: float
    max_age_s: float | None
    retry_base_s: float
    retry_cap_s: float
    receipts: bool
    settle_s: float
    exit_timeout_s: float
    spool: str | os.PathLike[str] | None
    spool_max_bytes: int
    on_drop: OnDrop | None
    report_stream: str | None
    schemas: Mapping[str, str] | None
    set_dt: bool
    domain: str | None
    dumps: Callable[[Any], bytes | str] | None
    streams: Mapping[str, Any] | Literal["fetch"] | None
    streams_url: str | None
    streams_ttl_s: float
    ids: Mapping[str, str] | None
    context: Values | Callable[[], Values] | None
    validator: Callable[[Values], str | None] | None
    debug: bool


class Options:
    """All options but the URL are keywords with a default.

    How it sends:
      ``hasty``               do not wait for the broker: the answer is no verdict. ``submit`` may say otherwise.
      ``linger_s``            how long an event may wait for others to share its request.
      ``max_batch_events``, ``max_batch_bytes``   bounds of a request.
      ``timeout_s``           for one request. The intake knows every outcome after 11 s, so less than that is guessing.
      ``compress_over``       bodies of more bytes are sent with gzip; None: never.
      ``key``                 sent as ``X-API-Key``; ``headers`` are further ones.
      ``ssl_context``         for https; the default trusts what the system trusts.
      ``services``            addresses by ``destination_event_service``.
    How much it holds:
      ``max_queue_events``, ``max_queue_bytes``   bounds of what waits, retries included.
      ``on_full``             ``drop_oldest``, ``drop_new``, ``raise``, or ``block``, for ``block_s`` at most.
      ``max_age_s``           an event that could not be sent for so long is dropped: an hour; three days with a spool.
      ``spool``               a directory on a local disk: what is submitted survives the process. Its events go to
                              the address they were submitted for alone.
      ``spool_max_bytes``     bound of that.
    What it says:
      ``on_drop``             called with ticket and reason for each event that is dropped or rejected.
      ``report_stream``       a stream for counts of dropped events, once a minute when there are any.
    What it writes into events:
      ``schemas``             ``$schema`` by stream, for events without one.
      ``set_dt``              write the time of the call as ``dt`` if the event has none.
      ``domain``              ``meta.domain``.
    What it checks:
      ``validator``           called with each event; returns why it is not to be sent, or None. See validation.py.
      ``debug``               no sampling; every outcome is logged as it comes.
    Stream configuration:
      ``streams``             None: off; a mapping as in an answer of ``/v1/streamconfigs``; ``"fetch"``: from there.
      ``streams_url``, ``streams_ttl_s``   where, and how long it is fresh.
      ``ids``                 hexadecimal ids by unit of sampling; those of the process by default.
      ``context``             attributes for curation and ``provide_values``: a mapping, or a function that returns one.
    """

    def __init__(
        self,
        url: str,
        *,
        hasty: bool = False,
        linger_s: float = 0.2,
        max_batch_events: int = 1000,
        max_batch_bytes: int = 1_000_000,
        timeout_s: float = 15.0,
        compress_over: int | None = 16_384,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        services: Mapping[str, str] | None = None,
        max_queue_events: int = 100_000,
        max_queue_bytes: int = 64 << 20,
        on_full: OnFull = "drop_oldest",
        block_s: float = 1.0,
        max_age_s: float | None = None,
        retry_base_s: float = 1.0,
        retry_cap_s: float = 300.0,
        receipts: bool = True,
        settle_s: float = 11.0,
        exit_timeout_s: float = 5.0,
        spool: str | os.PathLike[str] | None = None,
        spool_max_bytes: int = 256 << 20,
        on_drop: OnDrop | None = None,
        report_stream: str | None = None,
        schemas: Mapping[str, str] | None = None,
        set_dt: bool = True,
        domain: str | None = None,
        dumps: Callable[[Any], bytes | str] | None = None,
        streams: Mapping[str, Any] | Literal["fetch"] | None = None,
        streams_url: str | None = None,
        streams_ttl_s: float = 600.0,
        ids: Mapping[str, str] | None = None,
        context: Values | Callable[[], Values] | None = None,
        validator: Callable[[Values], str | None] | None = None,
        debug: bool = False,
    ) -> None:
        self.url = checked_url(url)
        self.hasty = hasty
        self.linger_s = linger_s
        self.max_batch_events = max_batch_events
        self.max_batch_bytes = max_batch_bytes
        self.timeout_s = timeout_s
        self.compress_over = compress_over
        self.headers = checks.texts("headers", headers) | ({"X-API-Key": checks.text("key", key)} if key else {})
        self.ssl_context = ssl_context
        self.services = {name: checked_url(one) for name, one in checks.texts("services", services).items()}
        self.max_queue_events = max_queue_events
        self.max_queue_bytes = max_queue_bytes
        self.on_full = on_full
        self.block_s = block_s
        self.max_age_s = max_age_s if max_age_s is not None else (72 * HOUR_S if spool else HOUR_S)
        self.retry_base_s = retry_base_s
        self.retry_cap_s = retry_cap_s
        self.receipts = receipts
        self.settle_s = settle_s
        self.exit_timeout_s = exit_timeout_s
        self.spool = spool
        self.spool_max_bytes = spool_max_bytes
        self.on_drop = on_drop
        self.report_stream = report_stream
        self.schemas = checks.texts("schemas", schemas)
        self.set_dt = set_dt
        self.domain = domain
        self.dumps = dumps
        self.streams = streams
        self.streams_url = f"{self.url}/v1/streamconfigs" if streams_url is None else checks.web_address(streams_url)
        self.streams_ttl_s = streams_ttl_s
        self.ids = None if ids is None else checks.identities(ids)
        self.context = context
        self.validator = validator
        self.debug = debug
        self._check()

    def _check(self) -> None:
        if self.on_full not in ("drop_oldest", "drop_new", "block", "raise"):
            raise ValueError(f"on_full is drop_oldest, drop_new, block or raise, not {self.on_full!r}")
        if not (isinstance(self.streams, Mapping) or self.streams in (None, "fetch")):
            raise ValueError(f"streams is a mapping, 'fetch' or None, not {self.streams!r}")
        if not (self.context is None or callable(self.context) or isinstance(self.context, Mapping)):
            raise ValueError(f"context is a mapping or a function, not {self.context!r}")
        checks.check_all(self)

    def is_secure(self) -> bool:
        """Whether any of the addresses is one of https."""
        return any(one.startswith("https:") for one in (self.url, self.streams_url, *self.services.values()))

    def attributes(self) -> Values:
        """Return the attributes for curation and ``provide_values`` of an event that is submitted now. Raises what the
        function raises, and TypeError if it returns no mapping."""
        found = self.context() if callable(self.context) else self.context or {}
        if not isinstance(found, Mapping):
            raise TypeError(f"context returned {type(found).__name__}, not a mapping")
        return found


def checked_url(url: str) -> str:
    """Return the URL without a slash at its end, or raise ValueError."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_one = is_one and url.isprintable() and " " not in url and checks.is_host(parts.hostname or "")
    except (AttributeError, TypeError, ValueError):  # No text, half an IPv6 address, a port that is none.
        is_one = False
    if not is_one:
        raise ValueError(f"{url!r} is not the address of an intake: http://host[:port] or https://host[:port]")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} has a query, a fragment or a user name; give the address alone")
    if parts.path.rstrip("/").endswith("/v1/events"):
        url = url.rstrip("/").removesuffix("/v1/events")
    return url.rstrip("/")
