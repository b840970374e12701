"""Check the settings of tracing against the machine and against one another.

Place: config.rules → HERE.
Rule: as in config.rules: a finding names the setting that an operator would change.
Not here: each value alone (config.framework.judge).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.settings import Config
from server.config.urls import problem_of

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def tracing_breaches(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    """Yield an invalid endpoint, missing packages, and settings that have no effect."""
    endpoint = config.tracing.endpoint
    if endpoint is None:
        for name in document.value.get("tracing") or {}:
            if name != "endpoint":
                yield Breach(("tracing", name), "has no effect: tracing.endpoint is not set", "set it", is_warning=True)
        return
    problem = problem_of(endpoint, may_have_query=True)
    if problem is not None:
        hint = "write http://host:4318/v1/traces; secrets go into OTEL_EXPORTER_OTLP_HEADERS"
        yield Breach(("tracing", "endpoint"), problem, hint)
    if not is_installed():
        reason = "needs OpenTelemetry's SDK and its OTLP exporter, which are not installed here"
        yield Breach(("tracing", "endpoint"), reason, "install penstock[otel], or leave it out")


def is_installed() -> bool:
    """Whether the extra ``otel`` is installed. This loads only packages without code."""
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:  # The root package of the name.
        return False
