"""The counterpart of each setting of EventGate, or the reason why it has none.

Place: server.commands.import_eventgate → HERE.
Rule: there is one entry per key; a reason is a sentence that tells an operator what to do instead.
Not here: the files of EventGate's settings, Kafka's own properties.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

Path = tuple[str, ...]

# Settings with another name and the same values.
SAME: Final[Mapping[str, Path]] = {
    "schema_uri_field": ("intake", "schema_uri_field"),
    "stream_field": ("intake", "stream_field"),
    "id_field": ("intake", "id_field"),
    "dt_field": ("intake", "dt_field"),
    "schema_uri_query_param": ("intake", "schema_uri_query_param"),
    "stream_query_param": ("intake", "stream_query_param"),
    "error_stream": ("intake", "error_stream"),
    "schema_file_extension": ("schemas", "file_extension"),
    "allow_absolute_schema_uris": ("schemas", "allow_absolute_uris"),
    "topic_prefix": ("sink", "topic_prefix"),
}

# EventGate takes null, false and an empty text for "off" there: our value for that, and the note that says so.
OFF: Final[Mapping[str, tuple[str | bool | None, str]]] = {
    "error_stream": ("", 'is off in EventGate: "" was written, so there are no error events'),
    "topic_prefix": ("", 'is off in EventGate: "" was written'),
    "schema_uri_query_param": (None, "is off in EventGate: null was written"),
    "stream_query_param": (None, "is off in EventGate: null was written"),
    "schema_file_extension": ("", 'is off in EventGate: "" was written'),
    "allow_absolute_schema_uris": (False, "is off in EventGate: false was written"),
}

# No counterpart, and what to do.
NONE: Final[Mapping[str, str]] = {
    "compression_level": "responses are small and are not compressed",
    "csp": "pages are sent with a policy that allows nothing",
    "error_schema_uri": "error events are of /error/2.1.0: declare the error stream with schema_title error",
    "eventgate_factory_module": "this is the program itself: its transforms are named below, or built in",
    "http_request_headers_to_fields": (
        "streams declare it: default_settings.producers.eventgate.enrich_fields_from_http_headers in a file of streams"
    ),
    "kafka.hasty": "one producer serves hasty and guaranteed requests: the properties of guaranteed are taken",
    "log_header_whitelist": "no header of a request is logged",
    "no_proxy_list": "URLs are fetched directly, through no proxy",
    "output_path": "events of a development server are read with `penstock events --follow`",
    "proxy": "URLs are fetched directly, through no proxy",
    "schema_precache_uris": "the schemas that streams name are read ahead; `penstock check` reads all of them",
    "should_pretty_print": "pipe `penstock events` into jq",
    "spec": "GET /?spec and /_info are built in",
    "stream_config_object_path": "streams are looked for under `streams`, in answers and in files",
    "test_kitchen": "there is no list of refused user agents: refuse them at the edge",
    "worker_heap_limit_mb": "memory is bounded by sink.max_outstanding_bytes and http.limits.max_in_flight_bytes",
    "metrics": "metrics are at admin.listen, for Prometheus to scrape",
    "logging.streams": "logs go to standard error: log.style",
    "logging.name": "lines name their logger",
}

# Transforms of eventgate-wikimedia, which are either built in or missing here.
TRANSFORMS: Final[Mapping[str, str]] = {
    "eventgateWikimediaDefaults": "is built in: see docs/COMPATIBILITY.md",
    "processEdgeUniques": "subject identities are not filled in from X-Experiment-Enrollments: do it at the edge",
    "testKitchen": "instruments are not counted one by one, and no user agent is refused",
}

LEVELS: Final = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "fatal": "error",
    "10": "debug",
    "20": "debug",
    "30": "info",
    "40": "warning",
    "50": "error",
    "60": "error",
}
_UNITS: Final = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def bytes_of(value: Any) -> int | None:
    """Parse a size as body-parser does, such as ``10mb``; None if it is not a size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b?)", str(value).strip().lower())
    if match is None or match[2] not in _UNITS:
        return None
    return int(float(match[1]) * _UNITS[match[2]])


def place_of(uri: str) -> str:
    """Return a ``file:`` URL as a path; anything else unchanged. Raises ValueError for a directory of another host."""
    if not uri.startswith("file:"):
        return uri
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ValueError("a file of another host")
    return unquote(parts.path)


def places_of(value: Any) -> list[str]:
    """Convert one place, or a list of them. Raises TypeError for anything else."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TypeError("neither a text nor a list of texts")
    return [place_of(one) for one in given]


def workers_of(value: Any) -> int | str:
    """Convert ``num_workers``: 0 is a single process, ``ncpu`` one per core. Raises ValueError for anything else."""
    return "auto" if value == "ncpu" else max(int(value), 1)


def level_of(value: Any) -> str:
    """Convert a level of bunyan, a name or a number, to ours. Raises ValueError for any other text."""
    if str(value) not in LEVELS:
        raise ValueError("not a level of bunyan")
    return LEVELS[str(value)]


def origins_of(value: Any) -> dict[str, list[str]]:
    """Convert ``cors``: one origin, several, or false."""
    return {"origins": [str(one) for one in (value if isinstance(value, list) else [value] if value else [])]}


def brokers_of(value: Any) -> str:
    """Convert a list of brokers, or a text with commas."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


# Settings with another name and another form.
CHANGED: Final[Mapping[str, tuple[Path, Callable[[Any], Any]]]] = {
    "cors": (("http", "cors"), origins_of),
    "schema_base_uris": (("schemas", "base_uris"), places_of),
    "stream_config_uri": (("streams", "sources"), places_of),
    "test_events": (("intake", "test_events"), lambda value: [value] if isinstance(value, dict) else value),
    "stream_config_uri_options.headers": (("streams", "headers"), dict),
    "stream_config_retries": (("fetch", "attempts"), lambda value: int(value) + 1),
    "num_workers": (("workers",), workers_of),
    "logging.level": (("log", "level"), level_of),
}
