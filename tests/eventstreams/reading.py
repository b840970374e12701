"""A client that reads what EventStreams sends as EventSource does, byte by byte.

Rule: it follows the standard (HTML, section 9.2.6) and knows nothing of the server.
Not here: the server (harness).
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from typing import Any, Self

PATIENCE_S = 60.0


class Message:
    """One dispatched event, as EventSource would see it."""

    def __init__(self, kind: str, text: str, last_id: str) -> None:
        self.kind = kind
        self.text = text
        self.last_id = last_id

    @property
    def value(self) -> Any:
        return json.loads(self.text)

    @property
    def id(self) -> str:
        return str(self.value["meta"]["id"])


class Answer:
    """One answer. ``last_id`` and ``comments`` grow as it is read, as the standard says (HTML, section 9.2.6)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._text = b""
        self._is_over = False
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.last_id = ""
        self.retry_ms = 0
        self.comments: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.writer.close()

    async def ask(self, target: str, headers: Mapping[str, str]) -> None:
        lines = [f"GET {target} HTTP/1.1", "Host: test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode()
        first, *rest = head.strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}

    async def body(self) -> Any:
        """Return the JSON of an answer with a length."""
        text = await self._reader.readexactly(int(self.headers["content-length"]))
        return json.loads(text)

    async def piece(self) -> bytes:
        """Return the next piece of a stream, decompressed; b"" at its end."""
        while not self._is_over:
            if self.headers.get("transfer-encoding") == "chunked":
                size = int(await self._line(), 16)
                if size == 0:
                    while line := (await self._line()).decode():
                        name, _, value = line.partition(": ")
                        self.trailers[name.lower()] = value
                    self._is_over = True
                    return b""
                piece = await asyncio.wait_for(self._reader.readexactly(size + 2), PATIENCE_S)
                piece = piece[:-2]
            else:
                piece = await asyncio.wait_for(self._reader.read(65_536), PATIENCE_S)
                self._is_over = not piece
            if self.headers.get("content-encoding") == "gzip":
                piece = self._inflate.decompress(piece)
            if piece:
                return piece
        return b""

    async def _line(self) -> bytes:
        return (await asyncio.wait_for(self._reader.readuntil(b"\r\n"), PATIENCE_S))[:-2]

    async def block(self) -> bytes | None:
        """Return the next block of lines up to a blank one; None at the end."""
        while b"\n\n" not in self._text:
            piece = await self.piece()
            if not piece:
                return None
            self._text += piece
        block, _, self._text = self._text.partition(b"\n\n")
        return block

    async def message(self) -> Message | None:
        """Return the next event that EventSource would dispatch; None at the end."""
        while (block := await self.block()) is not None:
            kind, parts = "message", []
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments.append(value)
                elif name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry_ms = int(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    parts.append(value)
            if parts:
                return Message(kind, "\n".join(parts), self.last_id)
        return None

    async def messages(self, count: int) -> list[Message]:
        """Return so many events."""
        found: list[Message] = []
        for _ in range(count):
            message = await self.message()
            assert message is not None, f"the stream ended after {len(found)} of {count} events"
            found.append(message)
        return found

    async def ids(self, count: int) -> list[str]:
        """Return the ``meta.id`` of so many events."""
        return [message.id for message in await self.messages(count)]

    async def rest(self) -> list[Message]:
        """Return all events up to the end of the stream."""
        found = []
        while (message := await self.message()) is not None:
            found.append(message)
        return found

    async def lines(self) -> list[Any]:
        """Return all lines of JSON up to the end."""
        text = b""
        while piece := await self.piece():
            text += piece
        return [json.loads(line) for line in text.splitlines() if line]

    async def opened(self) -> None:
        """Read the beginning of a stream, up to its first position."""
        while not self.last_id:
            block = await self.block()
            assert block is not None
            for line in block.decode().split("\n"):
                if line.startswith("id: "):
                    self.last_id = line[4:]
