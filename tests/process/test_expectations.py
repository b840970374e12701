"""Events of a real service fail expectations of their schema: they are accepted, counted, shown, and told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness.served import Served
from tests.process.fetched import post
from tests.process.scraped import Scrape, ask_admin

RULE = "an order in yen costs more than 200"

OUTCOMES = ("met", "failed", "skipped")


def order(number: int, **more: Any) -> dict[str, Any]:
    meta = {"stream": "shop.order"}
    return {"$schema": "/shop/order/1.0.0", "meta": meta, "order_id": f"<A-{number}>", "total": 100, **more}


def shown(service: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask_admin(service, "/expectations")[2])
    return found


def test_odd_events_are_accepted_counted_and_shown(tmp_path: Path) -> None:
    with Served(tmp_path, console={"enabled": True}) as service:
        answers = [post(service, order(number, currency="JPY")) for number in range(3)]
        answers += [post(service, order(3)), post(service, order(4, currency="JPY", total=201))]
        answers.append(post(service, order(5, currency="JPY", total=-1), order(6, currency="JPY")))
        service.until(lambda: sum(check["judged"] for check in shown(service)) == 6)

        assert [status for status, _ in answers] == [201] * 5 + [207]
        (check,) = shown(service)
        (rule,) = check["rules"]
        assert (check["stream"], check["judged"], check["failed"], check["skipped"]) == ("shop.order", 6, 4, 0)
        assert (rule["rule"], rule["events"], rule["judged"]) == (RULE, 4, 6)
        assert json.loads(rule["example"])["currency"] == "JPY"
        kind, page = ask_admin(service, "/expectations", accept="text/html")[1:]
        assert kind.startswith("text/html")
        assert RULE in page
        assert "&lt;A-" in page
        assert "<A-" not in page
        scrape = Scrape.of(service)
        events = {
            o: scrape.value("penstock_expectation_events_total", stream="shop.order", outcome=o) for o in OUTCOMES
        }
        assert events == {"met": 2, "failed": 4, "skipped": 0}
        assert scrape.value("penstock_expectation_failures_total", stream="shop.order", rule=RULE) == 4
        assert "expectations" in ask_admin(service, "/")[2]
        assert json.loads(ask_admin(service, "/shadow")[2]) == []
