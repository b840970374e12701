"""Define every setting once, with its name, unit, default, bounds and meaning.

Place: read once in the master, before the first socket; workers get it by fork.
Rule: one frozen struct per section, unknown keys forbidden; no globals, nothing is read from deep code. A setting's
meaning is its description here or in the other ``config.*_settings``: docs/SETTINGS.md is rendered from them.
Not here: how YAML, environment and command line become these structs (config.load), checks of settings against one
another (config.rules).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, field

from server.config.auth_settings import Auth
from server.config.canary_settings import CanarySettings
from server.config.catalog_settings import Fetch, SchemaSettings, StreamSettings
from server.config.console_settings import ConsoleSettings
from server.config.eventstreams_settings import EventStreams
from server.config.framework.section import Count, HeaderName, Seconds, Section, Text, Texts, says
from server.config.limit_settings import Limits
from server.config.plausibility_settings import PlausibilitySettings
from server.config.privacy_settings import PrivacySettings
from server.config.sink_settings import SinkSettings, SpoolSettings
from server.config.tracing_settings import TracingSettings
from server.config.transport_settings import CloudEventRule, CorsSettings, Destination

EventPaths = str | Texts  # Their grammar is in config.rules: msgspec 0.22 crashes on a pattern within a union.
HostName = Annotated[str, Meta(pattern=r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$")]

# HTTP's share of ``drain_s``. The rest is the sink's, because the last accepted events must still reach the broker.
HTTP_SHARE_OF_DRAIN: Final = 0.75


class Http(Section, frozen=True):
    """Connections and requests of clients."""

    listen: Annotated[
        Texts,
        says(
            "Addresses to listen on: `host:port`, `[v6]:port`, `:port`, `unix:/path`, `unix:/path?mode=660` or "
            "`unix:@name`. Port 0 takes any free port."
        ),
    ] = field(default_factory=lambda: ["127.0.0.1:8192"])
    backlog: Annotated[Count, says("Connections that the kernel holds until a worker takes them.")] = 1024
    trusted_proxies: Annotated[
        list[Text],
        says(
            "Addresses or networks (`10.0.0.0/8`) of your own proxies: `X-Forwarded-For` and `client_ip_header` are "
            "used only in requests from these."
        ),
    ] = field(default_factory=list)
    client_ip_header: Annotated[
        Text | None,
        says(
            "Header in which a trusted proxy names the client; without it, `X-Forwarded-For` is used. `Forwarded` "
            "is read as RFC 7239 defines it, from right to left. The proxies must set it on every request."
        ),
    ] = None
    cors: Annotated[CorsSettings, says("Pages of other sites.")] = field(default_factory=CorsSettings)
    webhook_origins: Annotated[
        list[Text],
        says(
            "Services that may deliver events to an address of this service by webhook, as they name themselves in "
            "`WebHook-Request-Origin`: `events.example.com`, `*.example.com` (any host below it), or `*` for all. "
            "They ask once for permission; a stream's `auth` still decides who may write. An empty list refuses all."
        ),
    ] = field(default_factory=lambda: ["*"])
    proxy_protocol: Annotated[
        bool,
        says(
            "Connections to `listen` begin with a header of the PROXY protocol, version 2, which names the client: "
            "only `trusted_proxies` may connect; all others are refused."
        ),
    ] = False
    limits: Annotated[Limits, says("Limits on clients.")] = field(default_factory=Limits)


class AdminSettings(Section, frozen=True):
    """Metrics and operations. A separate process serves them, never on the public address."""

    listen: Annotated[
        Text,
        says(
            "Address of metrics and operations; never one of `http.listen`. Every client that reaches it may change "
            "log levels."
        ),
    ] = "127.0.0.1:8193"
    hosts: Annotated[
        list[HostName],
        says(
            "Host names by which `listen` is reached: `metrics.a.example`, or `*.a.example` for all below it. Requests "
            "for other hosts get 421, so that no web page in a browser can reach this address under a host name of its "
            "own choice. IP addresses, `localhost`, names without a dot, the name of the machine and the host in "
            "`listen` are always allowed."
        ),
    ] = field(default_factory=list)


class Intake(Section, frozen=True):
    """Required and filled-in fields of events. Fields are dotted paths; in a list, the first that is present wins."""

    schema_uri_field: Annotated[EventPaths, says("Where an event names its schema.")] = "$schema"
    stream_field: Annotated[EventPaths, says("Where an event names its stream.")] = "meta.stream"
    id_field: Annotated[
        Text, says("The event's ID; filled with a UUIDv7 when the schema declares it and the event lacks it.")
    ] = "meta.id"
    dt_field: Annotated[
        Text, says("The event's time, also the timestamp in Kafka; filled with the time of receipt when absent.")
    ] = "meta.dt"
    schema_uri_query_param: Annotated[
        Text | None, says("Query parameter that names the schema of events that name none. Null: not read.")
    ] = "schema_uri"
    stream_query_param: Annotated[
        Text | None, says("Query parameter that names the stream of events that name none. Null: not read.")
    ] = "stream"
    schema_uri_header: Annotated[
        HeaderName | None, says("Header that names the schema of events when neither event nor query does. Null: none.")
    ] = None
    stream_header: Annotated[
        HeaderName | None, says("Header that names the stream of events when neither event nor query does. Null: none.")
    ] = None
    reports: Annotated[
        dict[Text, Destination],
        says(
            "Destinations of browser reports by report type; `csp-report` stands for those of CSP's `report-uri`: "
            "`network-error: {stream: w3c.reportingapi.network_error, schema: /w3c/reportingapi/network_error/1.0.0}`."
        ),
    ] = field(default_factory=dict)
    cloudevents: Annotated[
        list[CloudEventRule],
        says(
            "Rules that give a stream to CloudEvents that name none: `{source: …, type: …, stream: …, schema: …}`; the "
            "first that matches applies. `*` matches anything, as does an absent `source` or `type`; `schema` applies "
            "to events without `dataschema`. Without rules, headers that begin with `ce-` have no special meaning."
        ),
    ] = field(default_factory=list)
    source_field: Annotated[Text, says("Filled with the `source` of a CloudEvent, as its `id` and `time` are.")] = (
        "meta.source"
    )
    set_dt_for: Annotated[
        list[Text], says("Schema titles (`*` matches anything) whose absent top-level `dt` is filled in.")
    ] = field(default_factory=lambda: ["analytics/legacy/*"])
    duplicate_keys: Annotated[
        Literal["accept", "reject"] | None,
        says(
            "Objects in which a name occurs twice: `accept` validates the last value, as most readers see it; `reject` "
            "makes the event invalid. Null: `reject` with `profile: external`, else `accept`."
        ),
    ] = None
    error_stream: Annotated[
        str | None,
        says(
            "Stream of error events, which report invalid ones. Null: `<service_name>.error.validation`; empty: none."
        ),
    ] = None
    error_schema_uri: Annotated[
        str, Meta(pattern=r"^(/[A-Za-z0-9_.-]+)+/\d+\.\d+\.\d+$"), says("Schema of error events.")
    ] = "/error/2.1.0"
    error_events_per_s: Annotated[
        float, Meta(ge=0, le=1_000_000), says("Most error events that one worker sends; the rest are only counted.")
    ] = 100.0
    alarm_stream: Annotated[
        str | None,
        says("Stream of alarm events, which say that events fail expectations of their schemas. Null or empty: none."),
    ] = None
    alarm_schema_uri: Annotated[
        str, Meta(pattern=r"^(/[A-Za-z0-9_.-]+)+/\d+\.\d+\.\d+$"), says("Schema of alarm events.")
    ] = "/penstock/expectation_alarm/1.0.0"
    test_events: Annotated[list[dict[str, Any]], says("Events that `GET /v1/_test/events` submits.")] = field(
        default_factory=list
    )


class ProcessSettings(Section, frozen=True):
    """How the master supervises its workers."""

    beat_s: Annotated[Seconds, says("Interval at which a worker's loop signals that it is alive.")] = 0.5
    late_s: Annotated[Seconds, says("A worker without a beat for this long is stuck: it gets ABRT.")] = 15.0
    abort_s: Annotated[Seconds, says("Time for such a worker to log its stack; then it gets KILL.")] = 2.0
    boot_s: Annotated[Seconds, says("Longest time for a new worker to get ready.")] = 60.0
    max_workers: Annotated[int, Meta(ge=1, le=256), says("Most workers, including those added by TTIN.")] = 64
    backoff_max_s: Annotated[Seconds, says("Longest wait before a worker that keeps dying is forked again.")] = 30.0
    deaths_in_window: Annotated[Count, says("This many deaths within `window_s` end the master.")] = 20
    window_s: Annotated[Seconds, says("The window in which deaths are counted.")] = 60.0


class Log(Section, frozen=True):
    """The log, which goes to standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], says("Lowest level that is written.")] = "info"
    style: Annotated[
        Literal["auto", "json", "text"],
        says("One JSON object per line, or text; `auto` is text on a terminal and JSON otherwise."),
    ] = "auto"
    client_text: Annotated[
        bool, says("Whether examples of refused events show what clients sent, which may contain personal data.")
    ] = False


class Config(Section, frozen=True):
    """All settings."""

    service_name: Annotated[
        Text | None,
        says(
            "Name of this service: it accepts the streams whose `destination_event_service` is the same. Null: it "
            "accepts every declared stream."
        ),
    ] = None
    profile: Annotated[
        Literal["internal", "external"],
        says("`external` changes the defaults of `http.limits` and others for the public internet: see LIMITS.md."),
    ] = "internal"
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
        says("Number of workers; `auto`: one per core that affinity and the CPU quota of the container allow."),
    ] = "auto"
    drain_s: Annotated[Seconds, says("Time to answer and deliver what is in flight after TERM.")] = 20.0
    http: Annotated[Http, says("Connections and requests of clients.")] = field(default_factory=Http)
    admin: Annotated[AdminSettings, says("Metrics and operations.")] = field(default_factory=AdminSettings)
    console: Annotated[ConsoleSettings, says("The console.")] = field(default_factory=ConsoleSettings)
    schemas: Annotated[SchemaSettings, says("Schema repositories.")] = field(default_factory=SchemaSettings)
    streams: Annotated[StreamSettings, says("Declared streams.")] = field(default_factory=StreamSettings)
    fetch: Annotated[Fetch, says("Fetching of URLs.")] = field(default_factory=Fetch)
    intake: Annotated[Intake, says("Required and filled-in fields of events.")] = field(default_factory=Intake)
    auth: Annotated[Auth, says("Credentials for writing to streams.")] = field(default_factory=Auth)
    sink: Annotated[SinkSettings, says("The destination of events.")] = field(default_factory=SinkSettings)
    spool: Annotated[SpoolSettings, says("The spool.")] = field(default_factory=SpoolSettings)
    process: Annotated[ProcessSettings, says("Supervision of workers.")] = field(default_factory=ProcessSettings)
    log: Annotated[Log, says("The log.")] = field(default_factory=Log)
    tracing: Annotated[TracingSettings, says("Spans for OpenTelemetry.")] = field(default_factory=TracingSettings)
    canary: Annotated[CanarySettings, says("Canaries.")] = field(default_factory=CanarySettings)
    plausibility: Annotated[PlausibilitySettings, says("Plausibility alarms.")] = field(
        default_factory=PlausibilitySettings
    )
    privacy: Annotated[PrivacySettings, says("Values that schemas withhold.")] = field(default_factory=PrivacySettings)
    eventstreams: Annotated[EventStreams, says("Streams for their consumers.")] = field(default_factory=EventStreams)

    @property
    def rejects_duplicates(self) -> bool:
        """Return ``intake.duplicate_keys`` or its default, which depends on the profile."""
        return (self.intake.duplicate_keys or ("reject" if self.profile == "external" else "accept")) == "reject"

    @property
    def follows_callers(self) -> bool:
        """Return ``tracing.follow_callers`` or its default, which depends on the profile."""
        given = self.tracing.follow_callers
        return self.profile == "internal" if given is None else given

    @property
    def error_stream(self) -> str | None:
        """Return ``intake.error_stream`` or its default, which depends on the service's name; None: no error events."""
        if self.intake.error_stream is not None:
            return self.intake.error_stream or None
        return f"{self.service_name}.error.validation" if self.service_name else None
