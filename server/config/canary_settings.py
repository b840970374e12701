"""Define the settings of canaries.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: checks against other settings (config.checks.canary_rules), what a canary is (server.canary).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from server.config.framework.section import Seconds, Section, Text, says


class CanarySettings(Section, frozen=True):
    """Canaries: artificial events that are sent through each stream and looked for where the sink stores events."""

    enabled: Annotated[
        bool,
        says("Whether a process next to the workers sends canaries. `penstock canary once` needs the others alone."),
    ] = False
    targets: Annotated[
        dict[Text, Text],
        says(
            "URLs of the services to send to, by the names that metrics show, such as one for each data centre: "
            "`{eqiad: https://intake.eqiad.example}`. Without any: `local`, the first TCP address in `http.listen`."
        ),
    ] = field(default_factory=dict)
    period_s: Annotated[Seconds, says("Time from the beginning of one run to that of the next.")] = 300.0
    request_s: Annotated[Seconds, says("Longest time for one request, with its answer.")] = 10.0
    roundtrip_s: Annotated[
        Seconds, says("Longest time from the first step for a stream and target until its canary has come back.")
    ] = 30.0
    run_s: Annotated[Seconds, says("Longest time for a whole run; what is not done by then has failed.")] = 120.0
    concurrency: Annotated[
        int, Meta(ge=1, le=64), says("Most canaries that are under way at once; each has a consumer of its own.")
    ] = 4
    max_skew_s: Annotated[
        Seconds, says("Largest difference between the time of a stored canary and the clock of the host that sent it.")
    ] = 60.0
    path: Annotated[
        Text,
        says(
            "Directory of the state and of the lock: of all processes with the same directory one sends canaries. It "
            "is made when absent."
        ),
    ] = "var/canary"
    eventstreams_url: Annotated[
        Text | None,
        says(
            "URL of EventStreams, such as `http://127.0.0.1:8194`: canaries of the streams that it shows to everyone "
            "are looked for there as well."
        ),
    ] = None
    key_file: Annotated[Text | None, says("File with the API key or token that canaries are sent with.")] = None
    ping_url: Annotated[
        Text | None,
        says("URL of an external checker that expects a GET after each run in which every canary came back."),
    ] = None
