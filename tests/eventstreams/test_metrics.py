"""The metrics of EventStreams have cells, units and words of their own, and name no client."""

from __future__ import annotations

import asyncio
from collections import deque

from eventstreams.metrics import STREAMS, TABLE, StreamMeasures, StreamParts
from server.metrics.table import INTAKE
from server.shared.scoreboard import Scoreboard
from tests.eventstreams.harness import Log, running


def test_every_number_of_a_worker_reaches_its_cell() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams, await streams.get("/v2/stream/a?filter=page:/x") as answer:
            await answer.opened()
            log.append(page="/x")
            log.append(page="/y")
            await answer.ids(1)
            await streams.until(lambda: streams.counts.of("a").read == 2)
            board = Scoreboard(4)
            row = board.claim(0, 1)
            assert row is not None
            StreamMeasures(row, StreamParts(streams.hub, streams.server, streams.counts, deque([0.0]))).write()
            sums, gauges = board.sums(), row.gauges()

            def total(name: str) -> int:
                return sum(sums[TABLE.sum_places[f"penstock_eventstreams_{name}"]])

            assert [total(name) for name in ("deliveries", "starts", "ends", "filter_evaluations")] == [1, 1, 0, 2]
            assert total("http_responses") == 1
            assert gauges[TABLE.gauge_places["penstock_eventstreams_clients"]] == 1
            assert board.kinds.consumed.totals()["a"][0::2] == [1, 2]
            assert board.kinds.consumed.gauges()["a"] == [[1, 0]]

    asyncio.run(scene())


def test_no_metric_has_the_name_of_one_of_the_intake_and_labels_are_from_closed_sets() -> None:
    assert {metric.name for metric in STREAMS.metrics} & INTAKE.metrics.keys() == set()
    labels = {label for metric in STREAMS.metrics for label in metric.labels}
    assert labels <= {"stream", "start", "reason", "route", "status", "limit"}
