"""Define the settings of the console.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: checks against the admin address (config.checks.console_rules), what the console shows (server.console).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from server.config.framework.section import Bytes, Count, Section, Text, says


class ConsoleSettings(Section, frozen=True):
    """The console: a page of the admin address that shows every event and every refused request."""

    enabled: Annotated[
        bool, says("Whether workers hand copies of events to the console. Without it they cost nothing.")
    ] = False
    mode: Annotated[
        Literal["development", "production"],
        says(
            "`development`: the page may send events, and requests of test sessions may be disturbed on purpose. "
            "`production`: read only, and client addresses are always masked."
        ),
    ] = "production"
    token_file: Annotated[
        Text | None,
        says(
            "File with the token that the page and its interface ask for. Null: none, which is allowed only if "
            "`admin.listen` is a loopback address or a Unix socket."
        ),
    ] = None
    mask: Annotated[
        list[Text],
        says(
            "Fields whose values the console never gets, as dotted paths (`performer.user_text`) or as names at any "
            "depth (`*.password`). Workers mask them. The credentials of a request are always masked."
        ),
    ] = field(default_factory=lambda: ["http.client_ip"])
    show_addresses: Annotated[
        bool, says("Whether requests show whole client addresses in development; otherwise the last part is masked.")
    ] = False
    max_per_s: Annotated[
        Count,
        says(
            "Most events a second that one worker copies; the rest are counted and shown as a gap. Requests of test "
            "sessions, and requests that are not accepted, may each be as many again. In production a tenth of the "
            "accepted ones is copied while nothing has read the console for a minute."
        ),
    ] = 100
    max_copy_bytes: Annotated[Bytes, says("Most bytes of a body or an event that are copied; the rest is cut off.")] = (
        1_048_576
    )
    max_events: Annotated[Count, says("Most events that the console remembers; the oldest are forgotten.")] = 10_000
    max_bytes: Annotated[Bytes, says("Most bytes that the remembered events take.")] = 67_108_864
