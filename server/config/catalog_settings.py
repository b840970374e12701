"""Define the settings of where streams and schemas are found, and how URLs are fetched.

Place: config.settings → HERE.
Rule: as in config.settings, which is read first.
Not here: what settings ask of one another (config.rules, config.url_rules).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from server.config.framework.section import Bytes, Count, Headers, Seconds, Section, Text, Texts, repr_without, says


class SchemaSettings(Section, frozen=True):
    """Where schemas are found."""

    base_uris: Annotated[
        Texts,
        says(
            "Directories of schemas (or their `file:` URIs) and `http(s):` URLs of repositories. Directories are "
            "looked into first; of either kind the first that has a schema wins. A URL that does not answer is not "
            "passed over: until it does, what it may have is unavailable."
        ),
    ] = field(default_factory=lambda: ["schemas/"])
    file_extension: Annotated[
        str, Meta(pattern=r"^(\.[A-Za-z0-9]+)?$"), says("Added to a schema URI that is not found without it.")
    ] = ".yaml"
    allow_insecure: Annotated[
        bool, says("Accept schemas whose checking a client can make slow, such as a pattern without `maxLength`.")
    ] = False
    allow_absolute_uris: Annotated[bool, says("Accept events that name their schema by an absolute URL.")] = False
    max_cached: Annotated[Count, says("Most schemas that a worker keeps ready.")] = 5_000
    prepared_path: Annotated[
        str,
        says(
            "Directory in which is kept what schema files come to, so that the next start need not work it out; made "
            "when absent. Empty: nothing is kept."
        ),
    ] = "var/schemas"
    headers: Annotated[Headers, says("Headers of the requests to the URLs among `base_uris`.")] = field(
        default_factory=dict
    )
    wait_s: Annotated[
        Seconds,
        says(
            "A request whose schema is being fetched waits for so long; its events are then answered "
            "`schema_unavailable`. Others do not wait."
        ),
    ] = 3.0
    unknown_s: Annotated[Seconds, says("A schema that no URL has is not asked for again within this time.")] = 60.0
    unknown_per_min: Annotated[
        Count, says("Most schemas a minute that are asked for at URLs in vain; then only known ones are answered.")
    ] = 300
    unknown_per_min_client: Annotated[Count, says("The same for one client address.")] = 20

    def __repr__(self) -> str:
        """Like any struct's, but without what is in headers."""
        return repr_without(self, "headers")


class StreamSettings(Section, frozen=True):
    """Which streams there are."""

    sources: Annotated[
        list[Text],
        says(
            'Files that declare streams, and URLs that answer `{"streams": {…}}` (the EventStreamConfig API), '
            "merged in order, the later one winning. "
            "No source at all: any name that is a legal topic is a stream."
        ),
    ] = field(default_factory=list)
    constraints: Annotated[
        dict[Text, str],
        says("What is asked of the streams of every URL: sent as `constraints=name=value|…` in the query."),
    ] = field(default_factory=dict)
    headers: Annotated[Headers, says("Headers of the requests to those URLs, such as `Host`.")] = field(
        default_factory=dict
    )
    refresh_s: Annotated[Seconds, says("How often the URLs are asked again, a tenth more or less.")] = 60.0
    on_missing: Annotated[
        Literal["exit", "wait"],
        says(
            "At the start, when a URL has no good answer and none is kept from before: `exit` with code 3, or `wait` "
            "until it has."
        ),
    ] = "exit"
    wiki: Annotated[
        Text | None, says("Whose overrides apply, of `default_settings_overrides` and `stream_overrides`.")
    ] = None
    unknown_titles: Annotated[
        Literal["warn", "refuse"],
        says(
            "A stream whose schema title is in no schema repository: `warn` serves the others and answers its "
            "events with `unknown_schema`; `refuse` does not start. When no title at all is found, neither starts."
        ),
    ] = "warn"

    max_regex_names: Annotated[
        Count,
        says(
            "Most names that one worker takes for streams declared by a regex; where nothing is declared, for all "
            "streams. Events of further names are `unknown_stream`, until the worker is replaced. Each name is a topic "
            "that librdkafka keeps, 39 kB, and the more there are the longer it takes for a new one."
        ),
    ] = 500

    def __repr__(self) -> str:
        """Like any struct's, but without what is in headers."""
        return repr_without(self, "headers")


class Fetch(Section, frozen=True):
    """How one process fetches, for all workers, what streams and schemas are at URLs."""

    path: Annotated[
        Text, says("Directory in which the last good answers and fetched schemas are kept; made when absent.")
    ] = "var/cache"
    connect_s: Annotated[Seconds, says("A connection must stand after this time.")] = 3.0
    total_s: Annotated[Seconds, says("An answer must be complete after this time.")] = 10.0
    attempts: Annotated[int, Meta(ge=1, le=20), says("How often one thing is tried before it counts as failed.")] = 3
    retry_s: Annotated[
        Seconds, says("Longest pause before the second attempt; it doubles with each. `Retry-After` is obeyed.")
    ] = 0.5
    max_answer_bytes: Annotated[Bytes, says("Largest answer of a URL of streams. Of a schema: 1 MiB at most.")] = (
        16_777_216
    )
    max_redirects: Annotated[int, Meta(ge=0, le=10), says("Most redirects that are followed, within an origin.")] = 3
    allowed_origins: Annotated[
        list[Text],
        says(
            "Other origins (`https://host`) that redirects and `$ref`s may lead to. Without it nothing is fetched but "
            "from the origins of `streams.sources` and below `schemas.base_uris`."
        ),
    ] = field(default_factory=list)
