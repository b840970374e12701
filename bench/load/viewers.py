"""Read the stream of the console with several connections, as the page does, until standard input closes.

Place: switched starts it: `python -m bench.load.viewers PORT COUNT`.
Rule: it says "connected" when all connections have had their first message, and throws away what it reads.
Not here: the page.
"""

from __future__ import annotations

import asyncio
import sys

PATH = "/console/api/v1/stream"


async def view(port: int) -> asyncio.StreamReader:
    """Connect, and read up to the first message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))
    await reader.readuntil(b"event: facts\n")
    return reader


async def main(port: int, count: int) -> None:
    """View until the parent closes our standard input, or is gone."""
    readers = [await view(port) for _ in range(count)]

    async def drain(reader: asyncio.StreamReader) -> None:
        while await reader.read(1 << 16):
            pass

    tasks = [asyncio.create_task(drain(reader)) for reader in readers]
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
