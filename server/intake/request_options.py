"""The options in the head of a request that apply to the events in its body.

Place: intake.receive → HERE. Requests with the same head from the same peer share one (``Request.memo``).
Rule: the query takes precedence over the headers. Nothing here depends on the body, on time, or on anything that a
reload changes.
Not here: the sender and its credentials (intake.arrival), bodies that are not plain JSON (intake.forms).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from server.intake.trace import NAME as TRACE
from server.intake.trace import header_of
from server.text.octets import text_of
from server.version import CANARY_AGENT

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.http.request import Request
    from server.intake.forms.forms import Forms

# Nothing but volumes depends on it, so any client may claim it. A look into each event would cost all of them.
_CANARY: Final = CANARY_AGENT.encode()
_NOT_HASTY: Final = frozenset({None, "", "false", "0"})


class RequestOptions:
    """The options of a request. ``is_plain``: the body is JSON as it stands. ``schema_uri`` and ``stream``, JSON text,
    apply to events that name none themselves; ``trace`` is a header for their records. ``attempt``, from 1, counts how
    often the client has sent these events. ``is_canary``: a canary process sent it, so its events are no
    traffic."""

    __slots__ = ("attempt", "is_canary", "is_hasty", "is_plain", "schema_uri", "stream", "trace")

    def __init__(
        self,
        *,
        is_hasty: bool,
        is_plain: bool,
        schema_uri: bytes | None = None,
        stream: bytes | None = None,
        trace: tuple[str, bytes] | None = None,
        attempt: int = 1,
        is_canary: bool = False,
    ) -> None:
        self.is_hasty = is_hasty
        self.is_plain = is_plain
        self.schema_uri = schema_uri
        self.stream = stream
        self.trace = trace
        self.attempt = attempt
        self.is_canary = is_canary


PLAIN: Final = RequestOptions(is_hasty=False, is_plain=True)


class RequestOptionsReader:
    """Reads them, by the settings."""

    __slots__ = ("_forms", "_schema_uri_header", "_schema_uri_param", "_stream_header", "_stream_param")

    def __init__(self, config: Config, forms: Forms) -> None:
        settings = config.intake
        self._forms = forms
        self._schema_uri_param = settings.schema_uri_query_param
        self._stream_param = settings.stream_query_param
        self._schema_uri_header = _header(settings.schema_uri_header)
        self._stream_header = _header(settings.stream_header)

    def read(self, request: Request, *, is_beacon: bool) -> RequestOptions:
        """Return the options of a request. It is hasty if the query says so, and always if it ``is_beacon``."""
        headers, params = request.headers, request.params()
        options = RequestOptions(
            is_hasty=is_beacon or params.get("hasty") not in _NOT_HASTY,
            is_plain=self._forms.is_plain(headers),
            schema_uri=_text(params.get(self._schema_uri_param or "")) or _named(request, self._schema_uri_header),
            stream=_text(params.get(self._stream_param or "")) or _named(request, self._stream_header),
            trace=header_of(headers[TRACE]) if TRACE in headers else None,
            attempt=attempt_of(params.get("attempt", "")),
            is_canary=headers.get(b"user-agent", b"").startswith(_CANARY),
        )
        if request.memo is not None:
            request.memo[RequestOptions] = options
        return options


def attempt_of(text: str) -> int:
    """Return the number of an attempt; 1 for what is none."""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 10 else 1


def _header(name: str | None) -> bytes:
    return name.lower().encode() if name else b""


def _named(request: Request, header: bytes) -> bytes | None:
    value = request.headers.get(header)
    return _text(text_of(value)) if value else None


def _text(value: str | None) -> bytes | None:
    return msgspec.json.encode(value) if value else None
