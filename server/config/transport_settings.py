"""Define the settings for events that do not come as JSON from a server.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: checks of settings against one another (config.checks.transport_rules).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from server.config.framework.section import HeaderName, Section, Text, says

SchemaUri = Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9_.-]+)+/\d+\.\d+\.\d+$")]
StreamName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Destination(Section, frozen=True):
    """Where reports of one type go."""

    stream: StreamName
    schema: SchemaUri


class CloudEventRule(Section, frozen=True):
    """Which stream takes CloudEvents of a source and type; ``schema`` is for those without ``dataschema``."""

    stream: StreamName
    source: Text = "*"
    type: Text = "*"
    schema: SchemaUri | None = None


class CorsSettings(Section, frozen=True):
    """Which pages of other sites may send events and read the answers (CORS). `text/plain` needs no permission to be
    sent: `sendBeacon` works without any of these settings, but the page does not learn the outcome."""

    origins: Annotated[
        list[Text],
        says(
            "Origins whose pages may do so: `https://a.example`, `https://*.example.org` (any host below it), or `*` "
            "for all. Empty: no page of another site. A stream may accept fewer (`producers.eventgate.origins`)."
        ),
    ] = field(default_factory=list)
    credentials: Annotated[
        bool, says("Whether those pages may send cookies and other credentials along. Not allowed with the origin `*`.")
    ] = False
    headers: Annotated[
        list[HeaderName],
        says(
            "Headers that those pages may send in addition to the usual ones and those of tracing, such as one that a "
            "stream copies into its events (`enrich_fields_from_http_headers`)."
        ),
    ] = field(default_factory=list)
    max_age_s: Annotated[
        int, Meta(ge=0, le=86_400), says("Time for which a browser may cache the permission before it asks again.")
    ] = 7_200
