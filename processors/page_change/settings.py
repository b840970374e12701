"""The settings of the page-change processor, and reading them.

Place: commands.processing.process → HERE → embedded.run, flink.
Rules: every setting has a default but ``intake``; a wrong name or value is reported with its line. Paths are relative
to the file. Streams, schemas and the sink are those of the intake that is named.
Not here: settings of the intake (server.config), the meaning of the bounds (draft.Bounds).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from processors.page_change.draft import Bounds, Kind
from processors.page_change.format import Names
from processors.page_change.map import STREAMS
from processors.page_change.records import LEAST_BYTES, MOST_BYTES
from server.config.framework import document as documents
from server.config.framework.finding import text_of
from server.config.framework.judge import judge
from server.config.framework.program import Program
from server.config.framework.section import Count, Seconds, Section, Text, says
from server.errors import SettingsError

Property = str | int | float | bool


class FlinkSettings(Section, frozen=True):
    """The Flink runner alone."""

    parallelism: Annotated[Count, says("Parallel instances of the keyed part; sources have one each.")] = 1
    checkpoint_s: Annotated[Seconds, says("Time between two checkpoints.")] = 30.0
    checkpoint_path: Annotated[str, says("Directory of checkpoints; empty: that of the cluster.")] = ""
    idleness_s: Annotated[Seconds, says("After this time without a record a partition holds nothing up.")] = 60.0
    jars: Annotated[
        list[Text],
        says("Jars that the cluster does not have: those that deploy/flink/fetch prints."),
    ] = field(default_factory=list)
    delivery: Annotated[
        Literal["at-least-once", "exactly-once"], says("With exactly-once, output appears with each checkpoint.")
    ] = "at-least-once"


class PageChangeSettings(Section, frozen=True):
    """The settings of both runners."""

    intake: Annotated[Text, says("Settings file of the intake whose streams, schemas and sink these are.")]
    path: Annotated[Text, says("Directory of the state and, with an embedded sink, of the output.")] = "var/page_change"
    inputs: Annotated[dict[Text, Kind], Meta(min_length=1), says("Input streams, each with its kind.")] = field(
        default_factory=lambda: dict(STREAMS)
    )
    output: Annotated[Text, says("Stream of the output.")] = Names().output
    late: Annotated[Text, says("Stream of events that came too late.")] = Names().late
    inconsistent: Annotated[Text, says("Stream of events that contradict the state.")] = Names().inconsistent
    error: Annotated[Text, says("Stream of events that cannot be used.")] = Names().error
    disorder_s: Annotated[Seconds, says("In a partition, an event is at most this much older than the newest.")] = 60.0
    reorder_s: Annotated[Seconds, says("Of two changes of a page, the later one is at most this much earlier.")] = 30.0
    skew_s: Annotated[Seconds, says("Deletions and restores closer than this are ordered by what is possible.")] = 2.0
    historical_s: Annotated[Seconds, says("A revision older than its event by this was imported or restored.")] = 300.0
    ttl_h: Annotated[float, Meta(gt=0, le=8_760), says("Hours after which a page without events is forgotten.")] = 168.0
    most_pending: Annotated[Count, says("Events of one page that may wait at once.")] = 1_000
    most_record_bytes: Annotated[
        int,
        Meta(ge=LEAST_BYTES, le=1 << 30),
        says(
            "Largest record to write, with its key. One that is larger, or too large for its topic, becomes an error."
        ),
    ] = MOST_BYTES
    heal_late: Annotated[bool, says("Emit a late event if nothing newer of its page was emitted.")] = True
    commit_s: Annotated[Seconds, says("Time between two commits of the embedded runner.")] = 1.0
    commit_events: Annotated[Count, says("Events after which it commits earlier.")] = 5_000
    metrics_listen: Annotated[
        str,
        says("Address, as host:port, of the metrics of the embedded runner; empty: none. It asks for no credentials."),
    ] = ""
    drain_s: Annotated[Seconds, says("After TERM, brokers that are away hold the end up for at most this time.")] = 20.0
    kafka: Annotated[dict[Text, Property], says("Properties of the consumer, as librdkafka names them.")] = field(
        default_factory=dict
    )
    flink: Annotated[FlinkSettings, says("The Flink runner alone.")] = field(default_factory=FlinkSettings)

    @property
    def bounds(self) -> Bounds:
        """The bounds in milliseconds."""
        return Bounds(
            disorder_ms=round(self.disorder_s * 1000),
            reorder_ms=round(self.reorder_s * 1000),
            skew_ms=round(self.skew_s * 1000),
            historical_ms=round(self.historical_s * 1000),
            ttl_ms=round(self.ttl_h * 3_600_000),
            most_pending=self.most_pending,
            heal=self.heal_late,
        )

    @property
    def names(self) -> Names:
        """The streams that are written."""
        return Names(self.output, self.late, self.inconsistent, self.error)


_PROGRAM = Program(
    root=PageChangeSettings,
    prefix="PENSTOCK_PAGE_CHANGE_",
    holds_secret=lambda path: path[:1] == ("kafka",),
    is_verbatim=lambda path: False,
    free_key=lambda section, part: part,
    is_foreign=lambda variable: True,
)


def load(path: Path) -> tuple[PageChangeSettings, Path]:
    """Read a file. Returns the settings and the directory of their paths. Raises SettingsError with every fault."""
    document = documents.read(path)
    if findings := judge(document, _PROGRAM):
        raise SettingsError(text_of(findings))
    if "intake" not in document.value:
        raise SettingsError(f"{path}: intake is missing: name the settings file of the intake")
    value = {name: inner for name, inner in document.value.items() if inner is not None}
    return msgspec.convert(value, PageChangeSettings), path.absolute().parent
