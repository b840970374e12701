"""Define the settings of where streams and schemas are found, and how URLs are fetched.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: checks of settings against one another (config.rules, config.checks.url_rules).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from server.config.framework.section import Bytes, Count, Headers, Seconds, Section, Text, Texts, repr_without, says


class SchemaSettings(Section, frozen=True):
    """Schema repositories."""

    base_uris: Annotated[
        Texts,
        says(
            "Directories of schemas (or their `file:` URIs) and `http(s):` URLs of repositories. Directories are "
            "searched first; among directories, and among URLs, the first that has a schema wins. A URL that does not "
            "answer is not skipped: until it answers, the schemas that it may have are unavailable."
        ),
    ] = field(default_factory=lambda: ["schemas/"])
    file_extension: Annotated[
        str, Meta(pattern=r"^(\.[A-Za-z0-9]+)?$"), says("Added to a schema URI that is not found without it.")
    ] = ".yaml"
    allow_insecure: Annotated[
        bool, says("Accept schemas whose validation a client can make slow, such as a pattern without `maxLength`.")
    ] = False
    allow_absolute_uris: Annotated[bool, says("Accept events that name their schema by an absolute URL.")] = False
    max_cached: Annotated[Count, says("Most compiled schemas that a worker caches.")] = 5_000
    prepared_path: Annotated[
        str,
        says(
            "Directory of the on-disk cache of bundled schemas, which makes the next start faster; made when absent. "
            "Empty: no cache."
        ),
    ] = "var/schemas"
    headers: Annotated[Headers, says("Headers of requests to the URLs in `base_uris`.")] = field(default_factory=dict)
    wait_s: Annotated[
        Seconds,
        says(
            "Longest time for which a request waits for a schema that is being fetched; then its events get "
            "`schema_unavailable`. Other requests do not wait."
        ),
    ] = 3.0
    unknown_s: Annotated[Seconds, says("Time for which a schema that no URL has is not requested again.")] = 60.0
    unknown_per_min: Annotated[
        Count, says("Most failed schema fetches per minute; beyond this, only cached schemas are used.")
    ] = 300
    unknown_per_min_client: Annotated[Count, says("Most failed schema fetches per minute for one client address.")] = 20

    def __repr__(self) -> str:
        """Like the repr of any struct, but with the values of headers masked."""
        return repr_without(self, "headers")


class StreamSettings(Section, frozen=True):
    """Declared streams."""

    sources: Annotated[
        list[Text],
        says(
            'Files that declare streams, and URLs that answer `{"streams": {…}}` (the EventStreamConfig API), '
            "merged in order; later ones win. "
            "Without any source, every name that is a legal topic is a stream."
        ),
    ] = field(default_factory=list)
    constraints: Annotated[
        dict[Text, str],
        says("Constraints on the streams that URLs return, sent as `constraints=name=value|…` in the query."),
    ] = field(default_factory=dict)
    headers: Annotated[Headers, says("Headers of requests to those URLs, such as `Host`.")] = field(
        default_factory=dict
    )
    refresh_s: Annotated[Seconds, says("Interval at which the URLs are fetched again, varied by 10 %.")] = 60.0
    on_missing: Annotated[
        Literal["exit", "wait"],
        says(
            "At the start, when a URL gives no good answer and no earlier one is kept: `exit` with code 3, or `wait` "
            "until there is one."
        ),
    ] = "exit"
    wiki: Annotated[Text | None, says("Wiki whose `default_settings_overrides` and `stream_overrides` apply.")] = None
    unknown_titles: Annotated[
        Literal["warn", "refuse"],
        says(
            "Handling of a stream whose schema title is in no schema repository: `warn` serves the others and answers "
            "its events with `unknown_schema`; `refuse` does not start. Neither starts when no title is found at all."
        ),
    ] = "warn"

    max_regex_names: Annotated[
        Count,
        says(
            "Most stream names that one worker accepts for streams declared by a regex, or, when no streams are "
            "declared, in all. Events of further names are `unknown_stream` until the worker is replaced. Each name is "
            "a topic that takes 39 kB in librdkafka, which needs longer for a new one the more it has."
        ),
    ] = 500

    def __repr__(self) -> str:
        """Like the repr of any struct, but with the values of headers masked."""
        return repr_without(self, "headers")


class Fetch(Section, frozen=True):
    """How one process fetches streams and schemas from URLs for all workers."""

    path: Annotated[
        Text, says("Directory in which the last good answers and fetched schemas are kept; made when absent.")
    ] = "var/cache"
    connect_s: Annotated[Seconds, says("Time within which a connection must be established.")] = 3.0
    total_s: Annotated[Seconds, says("Time within which an answer must be complete.")] = 10.0
    attempts: Annotated[int, Meta(ge=1, le=20), says("Number of attempts before a fetch counts as failed.")] = 3
    retry_s: Annotated[
        Seconds,
        says("Longest pause before the second attempt; it doubles with each further one. `Retry-After` is obeyed."),
    ] = 0.5
    max_answer_bytes: Annotated[Bytes, says("Largest answer of a URL of streams. A schema may have 1 MiB at most.")] = (
        16_777_216
    )
    max_redirects: Annotated[int, Meta(ge=0, le=10), says("Most redirects that are followed within an origin.")] = 3
    allowed_origins: Annotated[
        list[Text],
        says(
            "Other origins (`https://host`) that redirects and `$ref`s may lead to. All else is fetched only "
            "from the origins of `streams.sources` and below `schemas.base_uris`."
        ),
    ] = field(default_factory=list)
