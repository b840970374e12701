"""Answer services that deliver events to registered addresses: may they send here, and how fast?

Place: worker wraps the routes of events with it → HERE → http.protocol.
Rules: a service asks by OPTIONS with ``WebHook-Request-Origin``. An answer with ``WebHook-Allowed-Origin`` allows it;
an answer without that line does not. The delivered events are judged like any others: this handshake protects the host
that a registration names, not the intake. A browser's preflight is answered as always (http.around.cors).
Source: CloudEvents, HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4.
Not here: keys and tokens of deliveries (auth), rate limits (http.around.request_rate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from server.http.problem import Refusal
from server.text.origins import origins_of

if TYPE_CHECKING:
    from server.config.settings import Http
    from server.http.request import Request
    from server.http.routes import Handler

ASKS: Final = b"webhook-request-origin"
PREFLIGHT: Final = b"access-control-request-method"


class Webhooks:
    """The webhook settings, and the answers by them."""

    def __init__(self, settings: Http) -> None:
        names = settings.webhook_origins
        self.is_on = bool(names)
        self._is_open = "*" in names
        self._allowed = origins_of(name for name in names if name != "*")
        rates = (settings.limits.requests_per_s_per_address, settings.limits.requests_per_s_per_key)
        per_min = [max(1, int(rate * 60)) for rate in rates if rate]
        self._rate = str(min(per_min)) if per_min else "*"

    def table(self, routes: Mapping[str, Mapping[str, Handler | None]]) -> dict[str, dict[str, Handler | None]]:
        """Return the routes; those that accept a POST also answer the question."""
        made = {path: dict(methods) for path, methods in routes.items()}
        for methods in made.values():
            if self.is_on and methods.get("POST") is not None:
                served = {name for name, one in methods.items() if one is not None}
                handler = _Answering(self, ", ".join(sorted(served)), methods.get("OPTIONS")).handle
                methods["OPTIONS" if "OPTIONS" in served else "options"] = handler
        return made

    def lines(self, origin: bytes) -> str:
        """Return the header lines for the service that names itself ``origin``; none if it may not send."""
        if self._is_open:
            allowed = "*"
        elif origin.lower() in self._allowed:
            allowed = origin.decode()
        else:
            return ""
        return f"WebHook-Allowed-Origin: {allowed}\r\nWebHook-Allowed-Rate: {self._rate}\r\n"


class _Answering:
    """Handles OPTIONS at one path. ``otherwise`` handles requests that do not ask as a webhook."""

    __slots__ = ("_allow", "_otherwise", "_webhooks")

    def __init__(self, webhooks: Webhooks, allow: str, otherwise: Handler | None) -> None:
        self._webhooks = webhooks
        self._allow = f"Allow: {allow}\r\n"
        none = Refusal(405, f"The method is not served at this path. Use one of: {allow}.", more=self._allow.encode())
        self._otherwise = otherwise or none.handle

    def handle(self, request: Request) -> None:
        origin = request.headers.get(ASKS)
        if origin is None or PREFLIGHT in request.headers:
            self._otherwise(request)
        else:
            request.reply(200, "OK", more=(self._allow + self._webhooks.lines(origin)).encode("latin-1"))
