"""The peer in FastAPI: uvicorn with uvloop and httptools, jsonschema-rs, confluent-kafka.

Place: `python -m bench.peers.fastapi.app PORT BROKERS SCHEMAS`; started by peers.start.
Rule: as the documentation of the parts has it: an async handler, JSON by the framework, a poll thread that serves
delivery reports (the example of confluent-kafka for asyncio), one future for each request.
Not here: what every peer does (README.md of the folder above).
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import uuid_utils
import uvicorn
from confluent_kafka import Producer
from fastapi import FastAPI, Request, Response

POLL_S = 0.1  # It returns at once when something is there.

Failure = dict[str, Any]


class Sender:
    """A producer and the thread that polls it."""

    def __init__(self, brokers: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
        )
        self.produce = self._producer.produce
        self._is_over = False
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._is_over:
            self._producer.poll(POLL_S)

    def close(self) -> None:
        """Wait for what is out."""
        self._producer.flush(5)
        self._is_over = True
        self._thread.join()


class Waiting:
    """A guaranteed request. The poll thread counts; the loop's future is set when the last ack is there."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._left = count + 1  # The first is the request itself.
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.failures: list[Failure] = []

    def on_delivery(self, error: Any, _message: Any) -> None:
        """Count one ack, on the poll thread."""
        if error is not None:
            self.failures.append({"status": "error", "context": {"message": "not delivered"}})
        self.settle(1)

    def settle(self, settled: int) -> None:
        """Wake the request when nothing is left."""
        with self._lock:
            self._left -= settled
            is_last = self._left == 0
        if is_last:
            self._loop.call_soon_threadsafe(self.done.set_result, None)


def take(app: FastAPI, event: Any, on_delivery: Callable[[Any, Any], None] | None) -> Failure | None:
    """Fill in, judge and send one event, or say what is wrong with it."""
    try:
        meta = event["meta"]
        now = datetime.now(UTC)
        meta.setdefault("dt", now.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        meta.setdefault("id", str(uuid_utils.uuid7()))
        app.state.validators[event["$schema"]].validate(event)
        timestamp_ms = int(now.timestamp() * 1000)
        app.state.sender.produce(
            meta["stream"], orjson.dumps(event), timestamp=timestamp_ms, on_delivery=on_delivery or _ignore
        )
    except (KeyError, TypeError, AttributeError, jsonschema_rs.ValidationError) as error:
        return {"status": "invalid", "event": event, "context": {"message": str(error)}}
    except BufferError:
        return {"status": "error", "event": event, "context": {"message": "queue full"}}
    return None


def _ignore(_error: Any, _message: Any) -> None:
    """Do nothing: no client waits for the outcome of a hasty event."""


def make(brokers: str, schemas: dict[str, Any]) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.validators = {
            uri: jsonschema_rs.Draft7Validator(schema, validate_formats=True) for uri, schema in schemas.items()
        }
        app.state.sender = Sender(brokers)
        yield
        app.state.sender.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> Response:
        return Response()

    @app.post("/v1/events")
    async def events(request: Request, hasty: bool = False) -> Response:
        return await receive(app, await request.body(), is_hasty=hasty)

    @app.post("/v1/beacon")
    async def beacon(request: Request) -> Response:
        return await receive(app, await request.body(), is_hasty=True)

    return app


async def receive(app: FastAPI, body: bytes, *, is_hasty: bool) -> Response:
    """Both routes."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Response(status_code=400)
    events = parsed if isinstance(parsed, list) else [parsed]
    if is_hasty:
        for event in events:
            take(app, event, None)
        return Response(status_code=202)
    waiting = Waiting(len(events))
    failures = [failure for event in events if (failure := take(app, event, waiting.on_delivery))]
    waiting.failures += failures
    waiting.settle(len(failures) + 1)
    await waiting.done
    if not waiting.failures:
        return Response(status_code=201)
    status = 207 if len(waiting.failures) < len(events) else 400
    return Response(orjson.dumps({"failures": waiting.failures}), status, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        make(sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))),
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        loop="uvloop",
        http="httptools",
    )
