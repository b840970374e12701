"""A console without a service, to which a test adds rows as fast as it likes.

Rules: it runs on a loop of its own thread, and ends with the ``with`` block.
Not here: copies and workers (tests.process.test_console).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from server.boot.generation import read
from server.console.console import Console
from server.console.ring import Ring
from server.console.routes import ConsoleRoutes
from tests.harness.served import EXAMPLES


class Many:
    """The console; ``url`` is that of its page."""

    def __init__(self, directory: Path) -> None:
        settings: dict[str, Any] = {
            "schemas": {"base_uris": [str(EXAMPLES / "schemas")], "prepared_path": ""},
            "streams": {"sources": [str(EXAMPLES / "streams.yaml")]},
            "sink": {"kind": "memory"},
            "console": {"enabled": True, "mode": "development", "max_events": 60_000, "max_bytes": 1 << 30},
        }
        file = directory / "many.yaml"
        file.write_text(json.dumps(settings))
        self._generation = read(file, [])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._wait(self._begin())
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._generation.close()

    def add(self, fill: Callable[[Ring], object]) -> None:
        """Add rows, on the loop."""

        async def filled() -> None:
            fill(self.console.ring)

        self._wait(filled())

    async def _begin(self) -> str:
        made = self._generation
        made.open()
        assert made.channel is not None
        self.console = Console(made.config, made.data_dir, made.channel, made.schemas, made.snapshot, lambda: 1)
        application = web.Application()
        application.add_routes(ConsoleRoutes(self.console).routes())
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/console/"

    async def _end(self) -> None:
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
