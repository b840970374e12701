"""The modules of the road of an event that are compiled ahead of time: the one list of them.

Place: read by server.compiled.finder at every start, and by server.compiled.build.
Rules: the same source runs both ways (docs/decisions/0010-compiled-hot-path.md). All listed modules of a process are
compiled or none is, because they call each other without looking names up.
Not here: how they are found and built.
"""

from __future__ import annotations

from typing import Final

MODULES: Final = (
    "server.console.copying.copied",
    "server.http.closing",
    "server.http.head_cache",
    "server.http.limits",
    "server.http.outgoing",
    "server.http.protocol",
    "server.http.reader",
    "server.http.request",
    "server.http.response",
    "server.http.routes",
    "server.http.server",
    "server.identity",
    "server.intake.arrival",
    "server.intake.batch",
    "server.intake.books.counts",
    "server.intake.books.dated",
    "server.intake.books.judged",
    "server.intake.books.receipts",
    "server.intake.books.tally",
    "server.intake.books.versions",
    "server.intake.delivery.delivery",
    "server.intake.delivery.doubt",
    "server.intake.delivery.separating",
    "server.intake.delivery.waiting_room",
    "server.intake.error_events",
    "server.intake.event",
    "server.intake.pending",
    "server.intake.pipeline",
    "server.intake.private.withhold",
    "server.intake.receive",
    "server.intake.record",
    "server.intake.request_options",
    "server.intake.route",
    "server.intake.router",
    "server.intake.sending",
    "server.intake.text.cut",
    "server.intake.text.decode",
    "server.intake.text.enricher",
    "server.intake.text.event_limits",
    "server.intake.text.fields",
    "server.intake.text.members",
    "server.intake.text.splice",
    "server.intake.verdict",
    "server.record",
    "server.sink.base",
    "server.sink.kafka.contact",
    "server.sink.kafka.producer",
    "server.timing.turns",
    "validators.regex.dfa",
    "validators.words.invalid",
    "validators.words.notes",
    "validators.words.predicates",
)

# The one module that is written in C. Where nothing is compiled, another one does the same (sink.kafka.client).
BINDING: Final = "server.sink.kafka.client.binding"
C_SOURCES: Final = tuple(
    f"server/sink/kafka/client/{name}"
    for name in ("binding.c", "binding.h", "librdkafka.h", "outcomes.c", "producer.c", "topic.c")
)

LIBRARY: Final = "penstock__mypyc"  # The one extension that holds all of them. mypyc appends ``__mypyc`` to a name.


def initialiser(module: str) -> str:
    """Return the name below which the library holds the function that makes a module: ``PyInit_`` and this."""
    return module.replace("_", "__").replace(".", "_")
