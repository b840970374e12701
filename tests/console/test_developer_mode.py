"""The developer mode of the JavaScript client, end to end: events that are not in the sample are sent all the same,
each with a verdict, and the console shows them under their session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.harness.consoled import CONSOLE, client_of, expected
from tests.harness.running import PATIENCE_S
from tests.harness.served import Served

SCHEMA = {
    "title": "draft/click",
    "$id": "/draft/click/1.0.0",
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"button": {"type": "string", "maxLength": 64}, "sample": {"type": "object"}},
}
STREAMS = {"streams": {"draft.click": {"schema_title": "draft/click"}}}
PAGE = """
import { createIntake } from "./core.min.js";
import { debug } from "./debug.min.js";

const told = [];
const to = {
  log() {},
  table(rows) { told.push(...rows.map((row) => row.error)); },
  warn(...texts) { told.push(texts.join(" ")); },
};
const streams = { "draft.click": { sample: { unit: "session", rate: 0 } } };
for (const plugins of [[], [debug({ test: "cart", console: to })]]) {
  const intake = createIntake({ url: process.env.INTAKE, hasty: true, streams, plugins });
  for (const button of [`plugins: ${plugins.length}`, plugins.length]) {
    intake.submit("draft.click", { $schema: "/draft/click/1.0.0", button });
  }
  await intake.flush();
  await intake.close();
}
console.log(JSON.stringify(told));
"""


def test_events_are_sent_whatever_the_sample_and_are_found_under_their_session(built: Path, tmp_path: Path) -> None:
    for name in ("core.min.js", "debug.min.js"):
        shutil.copy(built / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "page.js").write_text(PAGE)
    schema = tmp_path / "schemas" / "draft" / "click" / "1.0.0.yaml"
    schema.parent.mkdir(parents=True)
    schema.write_text(json.dumps(SCHEMA))
    (tmp_path / "streams.yaml").write_text(json.dumps(STREAMS))
    places = {"schemas": {"base_uris": ["schemas"]}, "streams": {"sources": ["streams.yaml"]}}
    with Served(tmp_path, workers=1, console=CONSOLE, **places) as service:
        host, port = service.address
        done = subprocess.run(
            ["node", "page.js"],
            cwd=tmp_path,
            env={**os.environ, "INTAKE": f"http://{host}:{port}"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr

        answer = expected(service, session="cart", where="path:/v1/events", exactly=2)
        asked = {"where": "stream:draft.click path:/v1/events"}
        found = client_of(service).ask("GET", "/events", query=asked)["events"]

    shown = {one["event"]["button"]: (one["facts"]["verdict"], one["facts"]["hasty"]) for one in answer["events"]}
    assert shown == {"plugins: 1": ("accepted", False), 1: ("invalid", False)}
    assert {one["event"]["button"] for one in found} == {"plugins: 1", 1}
    assert "should be string" in done.stdout
