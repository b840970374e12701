"""An event that takes long to judge is refused by the served service, and holds up no other connection."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from tests.harness.served import EXAMPLES, Served
from tests.process.fetched import error_type, post
from tests.process.scraped import ask_admin

DEAR = {
    "type": "array",
    "items": {"type": "integer", "not": {"anyOf": [{"multipleOf": 10_007 + n} for n in range(80)]}},
}
META = {"type": "object", "properties": {name: {"type": "string"} for name in ("stream", "id", "dt")}}
NUMBERS = list(range(1, 9_001))


def settings(directory: Path) -> dict[str, Any]:
    folder = directory / "schemas" / "slow" / "list"
    folder.mkdir(parents=True)
    for version, items in (("1.0.0", {"type": "array"}), ("2.0.0", DEAR)):
        properties = {"$schema": {"type": "string"}, "meta": META, "items": items}
        schema = {"title": "slow/list", "$id": f"/slow/list/{version}", "type": "object", "properties": properties}
        (folder / f"{version}.yaml").write_text(json.dumps(schema))
    shadow = {"eventgate": {"shadow_schema": "2.0.0", "shadow_rate": 1}}
    streams = {"slow.list": {"schema_title": "slow/list"}, "tried": {"schema_title": "slow/list", "producers": shadow}}
    (directory / "slow.yaml").write_text(json.dumps({"streams": streams}))
    return {
        "workers": 1,
        "schemas": {"base_uris": [str(EXAMPLES / "schemas"), str(directory / "schemas")]},
        "streams": {"sources": [str(EXAMPLES / "streams.yaml"), "slow.yaml"]},
    }


def event(version: str, stream: str, items: list[int]) -> dict[str, Any]:
    return {"$schema": f"/slow/list/{version}", "meta": {"stream": stream}, "items": items}


def test_a_dear_event_gets_its_answer_and_so_do_the_others(tmp_path: Path) -> None:
    answers: list[tuple[int, Any]] = []
    with Served(tmp_path, **settings(tmp_path)) as service:
        dear = event("2.0.0", "slow.list", NUMBERS)
        clients = [threading.Thread(target=lambda: answers.append(post(service, dear))) for _ in range(3)]
        for client in clients:
            client.start()
        mixed = post(service, event("2.0.0", "slow.list", [1, 2]), dear)
        for client in clients:
            client.join()

        assert [error_type(answer) for answer in answers] == ["event_too_large"] * 3
        assert mixed[0] == 207
        (refused,) = mixed[1]["invalid"]
        assert (refused["index"], refused["context"]["error_type"]) == (1, "event_too_large")
        assert (
            refused["context"]["errorsText"]
            == "the event would take too long to be judged by its schema: send fewer values at once"
        )


def test_a_shadow_schema_that_is_dear_skips_the_event_and_counts_it(tmp_path: Path) -> None:
    with Served(tmp_path, **settings(tmp_path)) as service:
        assert post(service, event("1.0.0", "tried", NUMBERS), event("1.0.0", "tried", [1]))[0] == 201
        service.until(lambda: sum(check["judged"] + check["skipped"] for check in shown(service)) == 2)

        (check,) = shown(service)
        assert (check["judged"], check["skipped"], check["would_be_refused"]) == (1, 1, 0)
        assert post(service, event("1.0.0", "tried", [1]))[0] == 201


def shown(service: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask_admin(service, "/shadow")[2])
    return found
