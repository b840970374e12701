"""KafkaSSE's design in Python: a Kafka consumer for each client.

Place: `python -m bench.peers.kafka_sse BROKERS`, which prints its port; bench.streaming measures it.
Rules: it does what the documentation of KafkaSSE says (https://github.com/wikimedia/KafkaSSE): each client has a
consumer with a group of its own and assigned partitions; messages are consumed one by one; when there is none, the next
attempt comes 100 ms later; each event is a block of event, id (all partitions) and data, and ``meta`` gets topic,
partition and offset.
Where it is given an advantage: any path names a topic, there are no limits, filters, keep-alive or compression, one
loop on uvloop serves all, and a consumer's statistics are off.
Not here: resuming by id, which the bench does not use.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any, Final

import orjson
import uvloop
from confluent_kafka import Consumer, Message, TopicPartition

IDLE_S: Final = 0.1  # KafkaSSE's kafkaConsumer idleDelay.
PATIENCE_S: Final = 60.0
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    b"Connection: close\r\n\r\n:ok\n\n"
)


class Client:
    """One client with its consumer."""

    def __init__(self, brokers: str, number: int, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {"bootstrap.servers": brokers, "group.id": f"KafkaSSE-{number}", "enable.auto.commit": False}
        )
        self._offsets: dict[tuple[str, int], int] = {}

    def assign(self) -> None:
        """Begin at the end of every partition. Blocks."""
        metadata = self._consumer.list_topics(self._topic, timeout=PATIENCE_S)
        starts = []
        for partition in metadata.topics[self._topic].partitions:
            place = TopicPartition(self._topic, partition)
            place.offset = self._consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1]
            self._offsets[self._topic, partition] = place.offset
            starts.append(place)
        self._consumer.assign(starts)

    def next(self) -> Message | None:
        """Return the next message if there is one."""
        return self._consumer.poll(0)

    def frame(self, message: Message) -> bytes:
        """Return the block of one event."""
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        self._offsets[topic, partition] = offset + 1
        event: dict[str, Any] = orjson.loads(message.value() or b"{}")
        event.setdefault("meta", {}).update(topic=topic, partition=partition, offset=offset)
        position = [{"topic": name, "partition": at, "offset": next_} for (name, at), next_ in self._offsets.items()]
        return b"event: message\nid: %b\ndata: %b\n\n" % (orjson.dumps(position), orjson.dumps(event))

    def close(self) -> None:
        """Blocks."""
        self._consumer.close()


async def send(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send events until the client has gone."""
    while not writer.is_closing() and not reader.at_eof():
        message = client.next()
        if message is None:
            await asyncio.sleep(IDLE_S)
        elif message.error() is None:
            writer.write(client.frame(message))
            await writer.drain()


async def serve(brokers: str) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        head = await reader.readuntil(b"\r\n\r\n")
        client = Client(brokers, count, head.split()[1].decode().rpartition("/")[2])
        try:
            await loop.run_in_executor(None, client.assign)
            writer.write(HEAD)
            with contextlib.suppress(ConnectionError):  # The client has gone.
                await send(client, reader, writer)
        finally:
            writer.close()
            await loop.run_in_executor(None, client.close)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
