"""The page of the console in a real Chromium, and what tests do with it.

Rules: a test asks the page by expressions whose value is JSON. Pages may not be styled or scripted from outside by
their policy, so everything goes through the browser's protocol.
Not here: what is true of the page (test_page).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.harness.browsers import Chromium
from tests.harness.running import eventually

KEYS = {"Enter": "\ue007", "Escape": "\ue00c"}
RUN_AXE = """axe.run({resultTypes: ["violations"]}).then((found) => JSON.stringify(found.violations.map(
  (one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ").slice(0, 600)}`)))"""


class Page:
    """One tab with the console."""

    def __init__(self, browser: Chromium, url: str) -> None:
        self._browser = browser
        self.url = url
        self._tab = browser.open(url)
        self.until("document.getElementById('link').textContent.startsWith('Connected')")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression."""
        return self._browser.run(self._tab, expression)

    def until(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        return eventually(lambda: self.ask(expression), or_show=lambda: str(self.ask("document.body.innerText")))

    def text(self, selector: str = "body") -> str:
        return str(self.ask(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        self.until(f"document.querySelector({selector!r}) !== null")
        self.ask(f"(document.querySelector({selector!r}).click(), 1)")

    def press(self, *keys: str) -> None:
        """Press keys as a person does."""
        self.ask("1")  # It switches to the tab.
        for key in keys:
            value = KEYS.get(key, key)
            actions = [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
            self._order("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def filter_by(self, text: str) -> None:
        """Write a filter and apply it."""
        self.ask(f"(document.getElementById('where').value = {text!r}, 1)")
        self.click("#filter-form button[type=submit]")

    def protocol(self, command: str, **params: Any) -> Any:
        """Call a command of Chromium's own protocol."""
        self.ask("1")
        return self._order("/goog/cdp/execute", {"cmd": command, "params": params})

    def show_at(self, width: int, height: int, scheme: str = "light") -> None:
        """Give the page this size and colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.protocol("Emulation.setEmulatedMedia", features=features)
        self.protocol(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.until(f"innerWidth === {width}")

    def violations(self, axe: Path) -> list[str]:
        """Return what axe-core finds on the page as it is now."""
        source = f"{axe.read_text('utf-8')};{RUN_AXE}"
        found = self.protocol("Runtime.evaluate", expression=source, awaitPromise=True, returnByValue=True)
        value = found["result"].get("value")
        assert isinstance(value, str), found
        violations: list[str] = json.loads(value)
        return violations

    def picture(self, file: Path) -> None:
        """Save the page as it looks."""
        found = self.protocol("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(found["data"]))

    def heap_bytes(self) -> int:
        """Return what the page's values take after a collection."""
        self.protocol("HeapProfiler.collectGarbage")
        self.protocol("Performance.enable")
        metrics = self.protocol("Performance.getMetrics")["metrics"]
        return int(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize"))

    def faults(self) -> list[str]:
        """Return what the browser's console complains of, apart from answers that are errors."""
        said = self._order("/se/log", {"type": "browser"})
        return [one["message"] for one in said if one["source"] != "network"]

    def close(self) -> None:
        self._browser.close(self._tab)

    def _order(self, path: str, body: Any) -> Any:
        return self._browser._ask("POST", f"{self._browser._session}{path}", body)
