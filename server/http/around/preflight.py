"""Answer a browser that asks which headers a page may send in addition to those of every request.

Place: http.around.cors, pages.documents → HERE.
Rules: allowed are the headers that the service reads, and those that instrumentation of pages adds to every request by
itself: a page with instrumentation would otherwise lose all its events for a header that is not even read. Names of
families, which have any number of members, are allowed if they are asked for. There is no wildcard: it covers neither
requests with credentials nor ``Authorization`` (Fetch Standard, CORS-preflight fetch). No page may send a header that
proxies write.
Not here: which origins may send (http.around.cors).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from server.http.fields import elements

if TYPE_CHECKING:
    from server.http.request import Request

# Headers that the service reads, or that scripts of its users send.
OWN: Final = (
    *("Authorization", "Content-Encoding", "Content-Type", "X-API-Key", "X-Request-Id", "X-Requested-With"),
    *("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-dataschema"),
    *("If-None-Match", "Cache-Control", "Pragma", "X-Penstock-Test"),
)
# Headers that instrumentation adds, by the documentation of each.
INSTRUMENTATION: Final = (
    *("traceparent", "tracestate", "baggage"),  # W3C Trace Context and Baggage: OpenTelemetry, Elastic APM, Faro
    *("b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags"),  # Zipkin's propagation
    *("sentry-trace",),  # Sentry: tracePropagationTargets
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority"),  # Datadog RUM
    *("newrelic",),  # New Relic Browser: distributed_tracing.cors_use_newrelic_header
    *("uber-trace-id",),  # Jaeger's propagation
    *("Request-Id", "Request-Context"),  # Application Insights: enableCorsCorrelation
    *("X-Amzn-Trace-Id",),  # CloudWatch RUM: addXRayTraceIdHeader
    *("X-Cloud-Trace-Context", "grpc-trace-bin"),  # OpenCensus Web
    *("X-INSTANA-T", "X-INSTANA-S", "X-INSTANA-L"),  # Instana: allowedOrigins
    *("sw8", "sw8-correlation"),  # SkyWalking
    *("X-dtc", "x-dtpc", "x-dtreferer"),  # Dynatrace RUM
    *("x-client-trace-id", "X-Correlation-Id"),  # Envoy, and many scripts
)
# CloudEvents have extensions; the other prefixes are of families above to which new names are added.
FAMILIES: Final = re.compile(
    rb"(ce|x-b3|x-datadog|x-client|x-sentry|x-instana|uberctx|ot-tracer|baggage|sw8)-[a-z0-9_-]{1,64}", re.IGNORECASE
)
MAX_ASKED: Final = 64  # How many names of families one answer allows.

_ASKED: Final = b"access-control-request-headers"
_PRIVATE: Final = b"access-control-request-private-network"
_ALLOW_PRIVATE: Final = b"Access-Control-Allow-Private-Network: true\r\n"


class Preflight:
    """Answers OPTIONS. http.around.cors adds the lines that name the origin, if it may send."""

    __slots__ = ("_allowed", "_known", "_lines")

    def __init__(self, methods: str, max_age_s: int, headers: Iterable[str] = (), more: bytes = b"") -> None:
        """``headers`` may be sent in addition to those above; ``more`` are further lines, each with CRLF."""
        names = (*OWN, *INSTRUMENTATION, *headers)
        self._known = frozenset(name.lower().encode() for name in names)
        self._allowed = f"Access-Control-Allow-Headers: {', '.join(names)}".encode()
        allow = ", ".join(sorted({*methods.split(", "), "OPTIONS"}))  # Every method that is served (RFC 9110 10.2.1).
        self._lines = (
            f"Allow: {allow}\r\nAccess-Control-Allow-Methods: {methods}\r\nAccess-Control-Max-Age: {max_age_s}\r\n"
        ).encode() + more

    def handle(self, request: Request) -> None:
        """Answer 204 with the allowed methods and headers."""
        headers = request.headers
        asked = [name for name in elements(headers.get(_ASKED, b"")) if FAMILIES.fullmatch(name)][:MAX_ASKED]
        asked = [b", " + name for name in dict.fromkeys(asked) if name.lower() not in self._known]
        # Browsers ask this when a page on the internet sends into a private network. Every allowed origin may.
        private = _ALLOW_PRIVATE if headers.get(_PRIVATE, b"").lower() == b"true" else b""
        request.reply(204, "No Content", more=b"".join((self._allowed, *asked, b"\r\n", private, self._lines)))
