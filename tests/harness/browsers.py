"""Three browser engines, driven without a driver library: Chromium, Firefox and WebKit, as Debian packages them.

Rules: a test sees ``Browser`` alone. Every browser has a profile of its own in the test's directory, runs headless
(WebKit below Xvfb) and ends with the ``with`` block; ``kill`` signals descendants of that browser only.
Not here: what pages do (page.js), what the network does (site).

Chromium and WebKit speak WebDriver (W3C). There is no geckodriver in Debian; Firefox itself speaks WebDriver BiDi.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest

from tests.harness.running import eventually

MINI_BROWSER = next(iter(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")), None)
PROGRAMS = {
    "chromium": ["chromium", "chromedriver"],
    "firefox": ["firefox-esr"],
    "webkit": ["WebKitWebDriver", "Xvfb"],
}
ANSWER_S = 150.0  # On a busy machine a browser takes more than a minute to begin.
# What the process of a page calls itself.
PAGES = r"-contentproc.*-isForBrowser"


def lacks(engine: str) -> str:
    """Return which program an engine lacks here; empty if none."""
    lacking = [name for name in PROGRAMS[engine] if not shutil.which(name)]
    return ", ".join(lacking) or ("MiniBrowser" if engine == "webkit" and MINI_BROWSER is None else "")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(pattern: str, said: Path) -> str:
    """Wait until a program has said something; return the first group."""
    found = eventually(lambda: re.findall(pattern, said.read_text(), re.MULTILINE), or_show=said.read_text)
    word: str = found[0]
    return word


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the processes below one, each with its command line."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    todo = [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            todo.append(child)
            try:
                yield child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue


class Browser:
    """One browser. Tabs are named by strings; scripts are expressions whose value is JSON."""

    engine = ""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self.begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def begin(self) -> None:
        """Start the browser."""
        raise NotImplementedError

    def open(self, url: str) -> str:
        """Open a tab, load a page in it, and return the tab's name."""
        raise NotImplementedError

    def run(self, tab: str, expression: str) -> Any:
        """Evaluate an expression in a tab."""
        raise NotImplementedError

    def copy(self, tab: str) -> str:
        """Open the tab's page in another tab, which begins with a copy of its sessionStorage, as a duplicated tab does
        (HTML, "creating a new auxiliary browsing context"). Return the other tab's name."""
        before = self._tabs()
        self.run(tab, "window.open(location.href) !== null")
        (other,) = eventually(lambda: self._tabs() - before)
        return str(other)

    def _tabs(self) -> set[str]:
        """Return the names of all tabs."""
        raise NotImplementedError

    def close(self, tab: str) -> None:
        """Close a tab."""
        raise NotImplementedError

    def kill(self, tabs: list[str]) -> None:
        """Kill the processes of these tabs, which are all that are open, as when memory runs out."""
        raise NotImplementedError

    def _below(self) -> list[tuple[int, str]]:
        return [found for process in self._processes for found in descendants(process.pid)]

    def _start(self, *command: str, **environ: str) -> Path:
        """Start a program in a group of its own; return the file with all it says."""
        said = self._directory / f"{Path(command[0]).name}.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "HOME": str(self._directory), **environ},
            )
        self._processes.append(process)
        return said

    def _end(self) -> None:
        for process in reversed(self._processes):
            below = [pid for pid, _line in descendants(process.pid)]
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pid in below:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


class WebDriver(Browser):
    """A browser behind a WebDriver server."""

    _address = ""
    _session = ""

    def _begin(self, capabilities: dict[str, Any]) -> None:
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"
        self._first: str = self._ask("GET", f"{self._session}/window")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from error

    def open(self, url: str) -> str:
        self._switch(self._first)
        tab: str = self._ask("POST", f"{self._session}/window/new", {"type": "tab"})["handle"]
        self._switch(tab)
        self._ask("POST", f"{self._session}/url", {"url": url})
        return tab

    def _tabs(self) -> set[str]:
        return set(self._ask("GET", f"{self._session}/window/handles"))

    def _switch(self, tab: str) -> None:
        self._ask("POST", f"{self._session}/window", {"handle": tab})

    def run(self, tab: str, expression: str) -> Any:
        self._switch(tab)
        found = self._ask(
            "POST", f"{self._session}/execute/sync", {"script": f"return JSON.stringify({expression})", "args": []}
        )
        return None if found is None else json.loads(found)

    def close(self, tab: str) -> None:
        self._switch(tab)
        self._ask("DELETE", f"{self._session}/window")


class Chromium(WebDriver):
    engine = "chromium"

    def begin(self) -> None:
        said = self._start("chromedriver", "--port=0")
        self._address = "http://127.0.0.1:" + wait_for(r"started successfully on port (\d+)", said)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"]
        profile = f"--user-data-dir={self._directory / 'profile'}"
        self._begin({"goog:chromeOptions": {"binary": shutil.which("chromium"), "args": [*arguments, profile]}})

    def kill(self, tabs: list[str]) -> None:
        for tab in tabs:
            self._switch(tab)
            with pytest.raises(AssertionError, match="crashed"):
                self._ask("POST", f"{self._session}/goog/cdp/execute", {"cmd": "Page.crash", "params": {}})


class WebKit(WebDriver):
    engine = "webkit"

    def begin(self) -> None:
        screen = self._start("Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp")
        display = wait_for(r"^(\d+)$", screen)
        port = free_port()
        said = self._start(
            "WebKitWebDriver",
            "--host=127.0.0.1",
            f"--port={port}",
            DISPLAY=f":{display}",
            GDK_BACKEND="x11",
            LIBGL_ALWAYS_SOFTWARE="1",
            WEBKIT_DISABLE_COMPOSITING_MODE="1",
            WEBKIT_DISABLE_DMABUF_RENDERER="1",
            XDG_RUNTIME_DIR=str(self._directory),
        )
        self._address = f"http://127.0.0.1:{port}"
        eventually(self._is_up, or_show=said.read_text)
        self._begin({"webkitgtk:browserOptions": {"binary": str(MINI_BROWSER), "args": ["--automation"]}})

    def copy(self, tab: str) -> str:
        """Copy what the browser would: a tab that a script opens is no tab of the driver's."""
        url, members = self.run(tab, "[location.href, Object.entries(sessionStorage)]")
        other = self.open(urllib.parse.urljoin(url, "/blank"))
        self.run(other, f"{json.dumps(members)}.map(([name, value]) => sessionStorage.setItem(name, value))")
        self._ask("POST", f"{self._session}/url", {"url": url})
        return other

    def kill(self, tabs: list[str]) -> None:
        """Close the tabs: the driver ends the whole session, and all that it stored, when a process of a page dies."""
        for tab in tabs:
            self.close(tab)

    def _is_up(self) -> bool:
        try:
            self._ask("GET", "/status")
        except OSError:
            return False
        return True


class Firefox(Browser):
    engine = "firefox"

    def begin(self) -> None:
        profile = self._directory / "profile"
        profile.mkdir()
        said = self._start(
            "firefox-esr",
            "--headless",
            "--no-remote",
            "--profile",
            str(profile),
            "--remote-debugging-port=0",
            MOZ_CRASHREPORTER_DISABLE="1",
        )
        address = wait_for(r"WebDriver BiDi listening on (ws://\S+)", said)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._wait(self._connect(address + "/session"))
        self._ask("session.new", capabilities={})

    def open(self, url: str) -> str:
        tab: str = self._ask("browsingContext.create", type="tab")["context"]
        self._ask("browsingContext.navigate", context=tab, url=url, wait="complete")
        return tab

    def run(self, tab: str, expression: str) -> Any:
        answer = self._ask(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": tab},
            awaitPromise=False,
            userActivation=True,  # As WebDriver's scripts have it: without it no tab may be opened.
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"]) if "value" in answer["result"] else None

    def _tabs(self) -> set[str]:
        return {tab["context"] for tab in self._ask("browsingContext.getTree", maxDepth=0)["contexts"]}

    def close(self, tab: str) -> None:
        """Close it as a user does: the page is asked first."""
        self._ask("browsingContext.close", context=tab, promptUnload=True)

    def kill(self, tabs: list[str]) -> None:
        pages = self._pages()
        assert pages, f"no process of a page for {tabs}"
        for pid in pages:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: pages.isdisjoint(self._pages()))

    def _pages(self) -> set[int]:
        return {pid for pid, line in self._below() if re.search(PAGES, line)}

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)

    def _ask(self, method: str, **params: Any) -> Any:
        return self._wait(self._send(method, params))

    async def _connect(self, url: str) -> None:
        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(url, max_msg_size=0)
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            answer = json.loads(message.data)
            future = self._answers.pop(answer.get("id"), None)
            if future is not None:
                future.set_result(answer)

    async def _send(self, method: str, params: dict[str, Any]) -> Any:
        number = len(self._answers) + 1 + getattr(self, "_last", 0)
        self._last = number
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(future, ANSWER_S)
        assert answer["type"] == "success", answer
        return answer["result"]

    async def _disconnect(self) -> None:
        self._reading.cancel()
        await self._socket.close()
        await self._client.close()

    def _end(self) -> None:
        if hasattr(self, "_socket"):
            self._wait(self._disconnect())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        super()._end()


ENGINES = {browser.engine: browser for browser in (Chromium, Firefox, WebKit)}
