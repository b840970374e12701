"""The helpers in Playwright Test with a real Chromium: requests of pages are marked, also beacons, in parallel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.js.conftest import missing
from tests.console.conftest import HERE
from tests.harness.browsers import lacks
from tests.harness.consoled import CONSOLE
from tests.harness.running import PATIENCE_S, ROOT
from tests.harness.served import Served

PARALLEL = 4  # Tests of one run, in two processes.
CONFIG = """
export default {
  testDir: ".",
  fullyParallel: true,
  workers: 2,
  retries: 0,
  reporter: "json",
  timeout: 120000,
  use: {
    baseURL: process.env.INTAKE,
    launchOptions: { executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] },
  },
};
"""
SPEC = """
import { test as base, expect } from "@playwright/test";
import { fixtures, matchers } from "./penstock-console.mjs";

expect.extend(matchers);
const test = base.extend(fixtures);
const event = (page) => ({ $schema: "/web/page_view/1.1.0", meta: { stream: "web.page_view" }, page });

async function send(page, path, how) {
  await page.evaluate(async ([sent, how]) => {
    const body = JSON.stringify(sent);
    const headers = { "content-type": "application/json" };
    if (how === "fetch") await fetch("/v1/events", { method: "POST", headers, body });
    if (how === "beacon") navigator.sendBeacon("/v1/beacon", body);
    if (how === "pixel") await new Promise((done) => {
      const image = new Image();
      image.onload = image.onerror = done;
      image.src = `/v1/pixel.gif?${encodeURIComponent(body)}`;
    });
  }, [event(path), how]);
}

test.beforeEach(async ({ page }) => { await page.goto("/robots.txt"); });

for (let number = 0; number < PARALLEL; number += 1) {
  test(`events of page ${number} are its own`, async ({ page, penstock }) => {
    const ways = ["fetch", "beacon", "pixel"];
    for (const how of ways) await send(page, `/${number}/${how}`, how);
    for (const how of ways) await expect(page).toEmitEvent({ where: `page:"/${number}/${how}"`, within_ms: 60000 });
    await expect(penstock).toEmitEvent({ schema: "web/page_view", exactly: 3, none_invalid: true, within_ms: 60000 });
    await expect(page).not.toEmitEvent({ where: `-page:/${number}/* has:page` });
  });
}

test("a miss names the closest event", async ({ page, penstock }) => {
  await send(page, "/here", "fetch");
  const failed = expect(page).toEmitEvent({ example: { page: "/there" }, within_ms: 200 });
  await expect(failed).rejects.toThrow(/page = "\\/there": found "\\/here"/);
});

test.describe("dry", () => {
  test.use({ session: { dry: true } });
  test("nothing is stored", async ({ page, penstock }) => {
    await send(page, "/dry", "fetch");
    await expect(page).toEmitEvent({ within_ms: 60000, where: 'page:"/dry" dry:true verdict:accepted' });
  });
});
"""


def outcomes(suite: dict[str, Any]) -> list[tuple[str, str]]:
    """Return title and outcome of each test below a suite of the report."""
    found = [(spec["title"], "passed" if spec["ok"] else json.dumps(spec["tests"])) for spec in suite.get("specs", [])]
    return found + [one for inner in suite.get("suites", []) for one in outcomes(inner)]


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("axe")
def test_the_fixture_and_the_matcher_of_playwright(tmp_path: Path) -> None:
    """``axe`` installs the packages of this folder."""
    lacking = lacks("chromium")
    if lacking:
        missing(f"{lacking} for chromium")
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    shutil.copy(ROOT / "clients" / "testing" / "penstock-console.mjs", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "playwright.config.mjs").write_text(CONFIG)
    (tmp_path / "events.spec.mjs").write_text(SPEC.replace("PARALLEL", str(PARALLEL)))
    served = tmp_path / "served"
    served.mkdir()
    with Served(served, console=CONSOLE) as service:
        (host, port), (admin_host, admin_port) = service.address, service.admin_address
        environment = {
            **os.environ,
            "INTAKE": f"http://{host}:{port}",
            "CONSOLE_URL": f"http://{admin_host}:{admin_port}",
            "CHROMIUM": shutil.which("chromium") or "",
        }
        command = ["node", str(HERE / "node_modules" / "@playwright" / "test" / "cli.js"), "test"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=12 * PATIENCE_S
        )
        stored = {event["value"]["page"] for event in service.events("web.page_view")}

    assert done.stdout.startswith("{"), done.stdout + done.stderr
    found = [one for suite in json.loads(done.stdout)["suites"] for one in outcomes(suite)]
    assert len(found) == PARALLEL + 2, done.stdout
    assert {outcome for _, outcome in found} == {"passed"}, done.stdout
    assert "/here" in stored and "/dry" not in stored
