"""A stream of a real service tries a version of its schema: counts, examples and page, over a reload too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness.served import EXAMPLES, Served
from tests.process.fetched import post
from tests.process.scraped import Scrape, ask_admin

LABELS = {"stream": "web.page_view", "version": "1.0.0"}


def streams(directory: Path, **intake: Any) -> dict[str, Any]:
    declared = {"web.page_view": {"producers": {"eventgate": intake}}}
    (directory / "shadow.yaml").write_text(json.dumps({"streams": declared}))
    return {"streams": {"sources": [str(EXAMPLES / "streams.yaml"), "shadow.yaml"]}}


def page_view(number: int) -> dict[str, Any]:
    meta = {"stream": "web.page_view", "id": f"view-{number}"}
    return {"$schema": "/web/page_view/1.1.0", "meta": meta, "page": "/<home>", "visit": "abcdefgh"}


def shown(service: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask_admin(service, "/shadow")[2])
    return found


def test_a_stream_tries_a_version_and_no_answer_changes(tmp_path: Path) -> None:
    tried = {"shadow_schema": "1.0.0", "shadow_rate": 1}
    with Served(tmp_path, console={"enabled": True}, **streams(tmp_path, **tried)) as service:
        answers = [post(service, page_view(number)) for number in range(5)]
        answers.append(post(service, {**page_view(5), "page": 1}, page_view(6)))
        service.until(lambda: sum(check["judged"] for check in shown(service)) == 7)

        assert [status for status, _ in answers] == [201] * 5 + [207]
        (check,) = shown(service)
        assert (check["stream"], check["version"]) == ("web.page_view", "1.0.0")
        assert (check["would_be_refused"], check["would_be_accepted"], check["skipped"]) == (6, 0, 0)
        assert [(rule["rule"], rule["events"]) for rule in check["rules"]] == [("#/additionalProperties", 6)]
        example = json.loads(check["rules"][0]["example"])
        assert example["page"] == "/<home>"
        assert example.get("http", {}).get("client_ip", "(masked)") == "(masked)"
        kind, page = ask_admin(service, "/shadow", accept="text/html")[1:]
        assert kind.startswith("text/html") and "#/additionalProperties" in page
        assert "/&lt;home&gt;" in page and "<home>" not in page
        scrape = Scrape.of(service)
        assert scrape.value("penstock_shadow_events_total", **LABELS, outcome="would_be_refused") == 6
        assert scrape.value("penstock_shadow_events_total", **LABELS, outcome="unchanged") == 1
        assert scrape.value("penstock_shadow_violations_total", **LABELS, rule="#/additionalProperties") == 6
        assert scrape.value("penstock_background_checks_seconds_total") > 0
        assert "shadow" in ask_admin(service, "/")[2]

        service.write(console={"enabled": True}, **streams(tmp_path), intake={"error_stream": ""})
        service.reload()
        assert post(service, page_view(7))[0] == 201
        (check,) = shown(service)
        assert (check["judged"], "example" in check["rules"][0]) == (7, True)


def test_without_console_and_client_text_no_event_is_shown(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, **streams(tmp_path, shadow_schema="1.0.0", shadow_rate=1)) as service:
        post(service, page_view(1))
        service.until(lambda: sum(check["judged"] for check in shown(service)) == 1)

        ((rule,),) = [check["rules"] for check in shown(service)]
        assert rule == {"rule": "#/additionalProperties", "events": 1}
        assert ask_admin(service, "/shadow", accept="text/html")[0] == 200
