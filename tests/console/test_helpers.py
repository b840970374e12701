"""The helpers for tests of other programs: a fixture of pytest, and sessions and matchers for JavaScript."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.js.conftest import missing
from tests.harness.consoled import CONSOLE
from tests.harness.running import PATIENCE_S, ROOT
from tests.harness.served import Served

TESTING = ROOT / "clients" / "testing"
PYTHON = """
import json, os, urllib.request
import pytest

def post(session, page):
    body = json.dumps({"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": page})
    headers = {"Content-Type": "application/json", **session.headers}
    return urllib.request.urlopen(urllib.request.Request(os.environ["INTAKE"] + "/v1/events", body.encode(), headers))

def test_it_is_sent(penstock_console):
    post(penstock_console, "/a")
    (event,) = penstock_console.expect("stream:web.page_view", example={"page": "/a"}, exactly=1)
    assert event["event"]["page"] == "/a"
    penstock_console.expect_none('page:"/b"', settle_ms=50)
    assert penstock_console.summary()["verdicts"] == {"accepted": 1}

def test_a_miss_names_the_closest(penstock_console):
    post(penstock_console, "/a")
    with pytest.raises(AssertionError, match='page = "/b": found "/a"'):
        penstock_console.expect(example={"page": "/b"}, within_ms=300)

class TestDry:
    @pytest.fixture
    def penstock_options(self):
        return {"dry": True}

    def test_a_session_may_be_dry(self, penstock_console):
        post(penstock_console, "/dry")
        penstock_console.expect("dry:true verdict:accepted", exactly=1)

def test_it_survives_an_outage(penstock_console):
    penstock_console.chaos({"kind": "status", "status": 503})
    with pytest.raises(urllib.error.HTTPError, match="503"):
        post(penstock_console, "/a")
    post(penstock_console, "/a")
    penstock_console.expect("verdict:accepted", exactly=1)
"""
JAVASCRIPT = """
import assert from "node:assert/strict";
import test from "node:test";
import { ConsoleSession, fixtures, matchers } from "./penstock-console.mjs";

const post = (query, headers, page) => fetch(`${process.env.INTAKE}/v1/events?${query}`, {
  method: "POST", headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify({ $schema: "/web/page_view/1.1.0", meta: { stream: "web.page_view" }, page }),
});

test("it is sent", async () => {
  const session = await ConsoleSession.begin();
  await post("", session.headers, "/a");
  await post(session.query, {}, "/b");
  const events = await session.expect({ where: "stream:web.page_view", exactly: 2 });
  assert.deepEqual(events.map((one) => one.event.page).sort(), ["/a", "/b"]);
  await session.expectNone({ where: 'page:"/c"', settle_ms: 50 });
  await assert.rejects(session.expect({ example: { page: "/c" }, within_ms: 100 }), /page = "\\/c": found "\\/[ab]"/);
  assert.equal((await matchers.toEmitEvent.call({ isNot: false }, session, { where: 'page:"/a"' })).pass, true);
  assert.equal((await matchers.toEmitEvent.call({ isNot: true }, session, { where: 'page:"/a"' })).pass, true);
  assert.equal((await matchers.toEmitEvent.call({ isNot: true }, session, { where: 'page:"/z"' })).pass, false);
  await session.close();
});

test("a session may be dry", async () => {
  const session = await ConsoleSession.begin({ dry: true });
  assert.equal((await post("", session.headers, "/dry")).status, 201);
  await session.expect({ where: "dry:true verdict:accepted", exactly: 1 });
  await session.close();
});

test("the fixture of a page marks its requests", async () => {
  let continued;
  const page = { route: async (_, handle) => {
    await handle({ request: () => ({ url: () => "http://a/v1/beacon" }), continue: ({ url }) => { continued = url; } });
  } };
  await fixtures.penstock({ page, intake: "**", session: {} }, async (session) => {
    assert.equal(continued, `http://a/v1/beacon?test=${session.id}`);
  });
});
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with Served(tmp_path_factory.mktemp("helped"), console=CONSOLE) as service:
        (host, port), (admin_host, admin_port) = service.address, service.admin_address
        yield {
            **os.environ,
            "INTAKE": f"http://{host}:{port}",
            "CONSOLE_URL": f"http://{admin_host}:{admin_port}",
            "PYTHONPATH": str(TESTING),
        }


def test_the_fixture_of_pytest(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["penstock_console"]\n')
    (tmp_path / "test_events.py").write_text(PYTHON)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE_S
    )

    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_session_and_matchers_of_javascript(environment: dict[str, str], tmp_path: Path) -> None:
    if not shutil.which("node"):
        missing("Node.js")
    shutil.copy(TESTING / "penstock-console.mjs", tmp_path)
    (tmp_path / "events.test.mjs").write_text(JAVASCRIPT)
    done = subprocess.run(
        ["node", "--test", str(tmp_path / "events.test.mjs")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 3" in done.stdout
