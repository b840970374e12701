"""The settings of the lake, and reading them.

Place: command → HERE → catalog, run.
Rules: every setting has a default; a wrong name or value is reported with its line. Paths are relative to the file, or
to the working directory if there is none. Streams, schemas and the sink are those of the intake that is named, or those
of an intake without a settings file, which are relative to the working directory too.
Not here: settings of the intake (server.config).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, field

from server.config.framework import document as documents
from server.config.framework.finding import text_of
from server.config.framework.judge import judge
from server.config.framework.program import Program
from server.config.framework.section import Bytes, Count, Seconds, Section, Text, says
from server.errors import SettingsError

Property = str | int | float | bool


class LakeSettings(Section, frozen=True):
    """The settings of ``penstock lake``."""

    intake: Annotated[
        str,
        says("Settings file of the intake whose streams, schemas and sink these are; empty: those of `make run`."),
    ] = ""
    path: Annotated[Text, says("Directory of the embedded catalogue and its tables, and of the lock.")] = "var/lake"
    catalog: Annotated[
        dict[Text, str],
        says("Properties of a catalogue of Iceberg, as pyiceberg names them; empty: SQLite in `path`."),
    ] = field(default_factory=dict)
    namespace: Annotated[Text, says("Namespace of the tables.")] = "events"
    streams: Annotated[
        list[Text],
        says("Streams that are written; empty: each declared one whose settings do not switch `consumer` off."),
    ] = field(default_factory=list)
    consumer: Annotated[Text, says("A stream with `consumers.<this>.enabled: false` is left out.")] = (
        "analytics_hive_ingestion"
    )
    commit_s: Annotated[Seconds, says("Time between two commits.")] = 300.0
    commit_events: Annotated[Count, says("Events after which it commits earlier.")] = 100_000
    commit_bytes: Annotated[Bytes, says("Bytes of events after which it commits earlier.")] = 256 << 20
    late_s: Annotated[Seconds, says("An hour is closed this long after its end.")] = 3_600.0
    dedupe_ids: Annotated[Count, says("IDs of events of open hours that are remembered for each stream.")] = 1_000_000
    keep_days: Annotated[
        float, Meta(ge=0, le=36_500), says("`--expire` drops hours that are older than this; 0: none.")
    ] = 0.0
    keep_snapshots_h: Annotated[
        float,
        Meta(ge=1, le=87_600),
        says("`--expire` leaves snapshots, and files that no snapshot has, for this time."),
    ] = 72.0
    metrics_listen: Annotated[
        str, says("Address, as host:port, of the metrics; empty: none. It asks for no credentials.")
    ] = ""
    kafka: Annotated[dict[Text, Property], says("Properties of the consumer, as librdkafka names them.")] = field(
        default_factory=dict
    )
    drain_s: Annotated[Seconds, says("After TERM, brokers that are away hold the end up for at most this time.")] = 20.0


_PROGRAM = Program(
    root=LakeSettings,
    prefix="PENSTOCK_LAKE_",
    holds_secret=lambda path: path[:1] in (("kafka",), ("catalog",)),
    is_verbatim=lambda path: False,
    free_key=lambda section, part: part,
    is_foreign=lambda variable: True,
)


def load(path: Path | None) -> tuple[LakeSettings, Path]:
    """Read a file; None has the defaults. Returns the settings and the directory of their paths. Raises SettingsError
    with every fault."""
    if path is None:
        return LakeSettings(), Path.cwd()
    document = documents.read(path)
    if findings := judge(document, _PROGRAM):
        raise SettingsError(text_of(findings))
    value = {name: inner for name, inner in document.value.items() if inner is not None}
    return msgspec.convert(value, LakeSettings), path.absolute().parent
