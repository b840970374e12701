"""The JavaScript client in real browsers, before a real intake: what was submitted is accepted, whatever happens."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest

from tests.clients.js.site import Answer, Site
from tests.harness.browsers import Browser
from tests.harness.running import eventually
from tests.harness.served import Served

pytestmark = pytest.mark.slow(reason="starts browsers")

LATER = {"batch": {"intervalMs": 60_000, "flushAt": 10_000}}  # Nothing is sent before the page ends.


def label() -> str:
    """Return a name for the events of one page."""
    return uuid.uuid4().hex[:8]


def open_page(browser: Browser, site: Site, **options: Any) -> str:
    """Open the page with these options of the client, and wait until its script has run."""
    tab = browser.open(site.page(**options))
    eventually(lambda: browser.run(tab, "window.isReady"))
    return tab


def ids(name: str, count: int) -> set[str]:
    """The identities that page.js gives events."""
    return {f"{name}-{index}" for index in range(count)}


def wait_for(site: Site, wanted: set[str]) -> None:
    """Wait until the intake accepted these events."""
    eventually(lambda: wanted <= site.accepted(), or_show=lambda: f"missing: {sorted(wanted - site.accepted())[:5]}")


def stored(service: Served, wanted: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what the sink holds of these events, by identity."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in service.events("app.tick.test"):
        if record["value"]["meta"]["id"] in wanted:
            found[record["value"]["meta"]["id"]].append(record["value"])
    return found


def account(site: Site, service: Served, submitted: set[str], dropped: Set[str] = frozenset()) -> None:
    """Check that the sink holds what was submitted but for what was dropped, and that each event was sent with the same
    bytes however often it was. Print the figures."""
    found = stored(service, submitted)
    repeated = sum(len(events) - 1 for events in found.values())
    print(f"submitted {len(submitted)}, accepted {len(found)}, dropped {len(dropped)}, accepted again {repeated}")
    assert found.keys() == submitted - dropped
    texts = defaultdict(set)
    for request in site.requests:
        for event in request.events:
            texts[event["meta"]["id"]].add(json.dumps(event))
    assert texts.keys() <= submitted
    assert all(len(sent) == 1 for sent in texts.values())


def drops(browser: Browser, tab: str) -> list[list[str]]:
    """Return what the page was told of events that it will not send."""
    return [notice for notice in browser.run(tab, "window.notices") if notice[0] in ("dropped", "rejected")]


def warnings(browser: Browser, tab: str) -> list[str]:
    """Return what the page was warned of."""
    return [message for kind, _id, message in browser.run(tab, "window.notices") if kind == "warning"]


def test_a_page_that_is_closed_right_after_submit_loses_nothing(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    tab = open_page(browser, site, **LATER)

    browser.run(tab, f"submit({name!r}, 7)")
    browser.close(tab)
    wait_for(site, ids(name, 7))

    account(site, intake, ids(name, 7))
    assert [request.params["hasty"] for request in site.requests] == ["true"]


def test_a_navigation_right_after_submit_loses_nothing(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    tab = open_page(browser, site, **LATER)

    browser.run(tab, f"(submit({name!r}, 40, 1000), location.assign('/blank'), 1)")
    wait_for(site, ids(name, 40))

    account(site, intake, ids(name, 40))
    browser.close(tab)


def test_a_killed_tab_loses_nothing_that_was_kept(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    site.fault = lambda _events: "drop"
    tab = open_page(browser, site, store=True, **LATER)
    browser.run(tab, f"submit({name!r}, 12)")
    eventually(lambda: browser.run(tab, "kept()") == 12)

    browser.kill([tab])
    site.fault = lambda _events: None
    tab = open_page(browser, site, store=True)
    wait_for(site, ids(name, 12))

    eventually(lambda: browser.run(tab, "kept()") == 0)
    # WebKit closes the tab: what it sends then may arrive after the receipt was asked for, and is sent once more.
    most = 2 if browser.engine == "webkit" else 1
    assert all(len(events) <= most for events in stored(intake, ids(name, 12)).values())
    account(site, intake, ids(name, 12))
    browser.close(tab)


def test_ten_tabs_that_are_closed_and_killed_lose_nothing_and_repeat_bytes(
    browser: Browser, site: Site, intake: Served
) -> None:
    names = [label() for _ in range(10)]
    wanted = {one for name in names for one in ids(name, 15)}
    turn = iter(range(10_000))

    def fault(_events: list[dict[str, Any]]) -> Answer | str | None:
        return (None, "lose", Answer(503, {"Retry-After": "1"}), "drop")[next(turn) % 4]

    site.fault = lambda _events: "drop"
    tabs = [open_page(browser, site, store=True) for _ in names]
    for tab, name in zip(tabs, names, strict=True):
        browser.run(tab, f"submit({name!r}, 15)")
    eventually(lambda: browser.run(tabs[0], "kept()") == len(wanted))
    site.fault = fault
    eventually(site.accepted)
    for tab in tabs[:3]:
        browser.close(tab)
    browser.kill(tabs[3:])
    site.fault = lambda _events: None
    last = open_page(browser, site, store=True)
    eventually(lambda: browser.run(last, "kept()") == 0)

    account(site, intake, wanted)
    browser.close(last)


def test_a_duplicated_tab_shares_the_session_and_neither_ids_nor_queue(
    browser: Browser, site: Site, intake: Served
) -> None:
    """The copy begins with the sessionStorage of the first, which holds the session. What waits is the first one's."""
    names = [label(), label()]
    wanted = ids(names[0], 9) | ids(names[1], 9)
    site.fault = lambda _events: "drop"
    first = open_page(browser, site, store=True)
    browser.run(first, f"submit({names[0]!r}, 9)")
    eventually(lambda: browser.run(first, "kept()") == 9)
    copy = browser.copy(first)
    eventually(lambda: browser.run(copy, "window.isReady"))
    browser.run(copy, f"submit({names[1]!r}, 9)")
    eventually(lambda: browser.run(copy, "kept()") == 18)
    made = [browser.run(tab, "identities()") for tab in (first, copy)]
    unnamed = "Array.from({length: 20}, () => intake.submit('app.tick.test', {$schema: '/app/tick/1.0.0', count: 1}))"
    own = [set(browser.run(tab, unnamed)) for tab in (first, copy)]

    site.fault = lambda _events: None
    everything = wanted | own[0] | own[1]
    wait_for(site, everything)
    eventually(lambda: browser.run(copy, "kept()") == 0)

    assert made[0]["session_id"] == made[1]["session_id"]
    assert made[0]["pageview_id"] != made[1]["pageview_id"]
    assert len(everything) == 18 + 40
    accepted = [event["meta"]["id"] for request in site.requests for event in request.accepted()]
    assert sorted(accepted) == sorted(everything), "each once"
    account(site, intake, everything)
    browser.close(copy)
    browser.close(first)


def test_offline_and_back_loses_nothing(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    tab = open_page(browser, site)
    site.fault = lambda _events: "drop"
    browser.run(
        tab,
        "(Object.defineProperty(navigator, 'onLine', {get: () => window.isOnline, configurable: true}),"
        "window.isOnline = false, dispatchEvent(new Event('offline')), 1)",
    )
    browser.run(tab, f"submit({name!r}, 130)")
    before = len(site.requests)

    site.fault = lambda _events: None
    browser.run(tab, "(window.isOnline = true, dispatchEvent(new Event('online')), 1)")
    wait_for(site, ids(name, 130))

    assert before == 0
    assert all(len(request.events) > 1 for request in site.requests)
    account(site, intake, ids(name, 130))
    browser.close(tab)


def test_without_room_in_the_store_events_are_sent_all_the_same(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    site.fault = lambda _events: "drop"  # An event that is sent before the store is open is not written at all.
    tab = open_page(browser, site, store=True, isFull=True)

    browser.run(tab, f"submit({name!r}, 5)")
    eventually(lambda: warnings(browser, tab))
    site.fault = lambda _events: None
    wait_for(site, ids(name, 5))

    assert warnings(browser, tab) == ["quota: memory only"]
    account(site, intake, ids(name, 5))
    browser.close(tab)


def test_retry_after_of_503_is_obeyed(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    answers = iter([Answer(503, {"Retry-After": "2"})])
    site.fault = lambda _events: next(answers, None)
    tab = open_page(browser, site)

    browser.run(tab, f"submit({name!r}, 5)")
    wait_for(site, ids(name, 5))

    first, second = site.requests
    assert first.events == second.events
    assert [first.params["attempt"], second.params["attempt"]] == ["1", "2"]
    waited = browser.run(tab, "window.notices.filter(([kind]) => kind == 'retry').length")
    assert waited == 1
    account(site, intake, ids(name, 5))
    browser.close(tab)


def test_large_events_follow_each_other_and_none_is_sent_twice(browser: Browser, site: Site) -> None:
    """A browser that still counts the bytes of a request that was answered would refuse every second one."""
    name = label()
    tab = open_page(browser, site)

    browser.run(tab, f"submit({name!r}, 12, 60000)")
    wait_for(site, ids(name, 12))

    assert [request.params["attempt"] for request in site.requests] == ["1"] * 12
    browser.close(tab)


def test_lost_answers_are_resolved_by_receipts(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    faults = iter(["lose"])
    site.fault = lambda _events: next(faults, None)
    tab = open_page(browser, site)

    browser.run(tab, f"submit({name!r}, 5)")
    eventually(lambda: browser.run(tab, "window.notices.filter(([kind]) => kind == 'sent').length") == 5)

    assert len(site.requests) == 1
    assert all(len(events) == 1 for events in stored(intake, ids(name, 5)).values())
    browser.close(tab)


def test_of_207_what_is_invalid_is_rejected_once(browser: Browser, site: Site, intake: Served) -> None:
    name = label()
    tab = open_page(browser, site)

    browser.run(
        tab,
        f"(submit({name!r}, 3), intake.submit('app.tick.test', "
        f"{{$schema: '/app/tick/1.0.0', meta: {{id: '{name}-bad'}}, count: 'many'}}), 1)",
    )
    wait_for(site, ids(name, 3))
    eventually(lambda: drops(browser, tab))

    assert drops(browser, tab) == [["rejected", f"{name}-bad", "schema_violation"]]
    account(site, intake, ids(name, 3) | {f"{name}-bad"}, dropped={f"{name}-bad"})
    assert len(site.requests) == 1
    browser.close(tab)


def test_413_halves_until_it_fits_and_a_killed_intake_comes_back(browser: Browser, built: Path, tmp_path: Path) -> None:
    name = label()
    limits = {"limits": {"max_body_bytes": 4096, "max_event_bytes": 4096}, "listen": ["127.0.0.1:0"]}
    with Site(built) as site:
        with Served(tmp_path, workers=1, http=limits) as service:
            site.upstream = service.address
            tab = open_page(browser, site)
            browser.run(tab, f"submit({name!r}, 30, 500)")
            wait_for(site, ids(name, 30))
            browser.run(tab, f"(submit('{name}large', 1, 5000), 1)")
            eventually(lambda: drops(browser, tab))
            assert drops(browser, tab) == [["dropped", f"{name}large-0", "too_large"]]
            service.end()
        browser.run(tab, f"submit('{name}away', 25)")
        eventually(lambda: browser.run(tab, "window.notices.some(([kind]) => kind == 'retry')"))
        (tmp_path / "log").unlink()  # It names the address of the first one.
        with Served(tmp_path, workers=1, http=limits) as service:
            site.upstream = service.address
            wait_for(site, ids(f"{name}away", 25))
            large = ids(f"{name}large", 1)

            account(site, service, ids(name, 30) | ids(f"{name}away", 25) | large, dropped=large)
        browser.close(tab)


def test_requests_have_no_cookies_and_none_is_set(browser: Browser, site: Site) -> None:
    name = label()
    tab = open_page(browser, site)
    browser.run(tab, "document.cookie = 'of=the site'")

    browser.run(tab, f"submit({name!r}, 3)")
    wait_for(site, ids(name, 3))

    assert browser.run(tab, "document.cookie") == "of=the site"
    assert all("cookie" not in request.headers for request in site.requests)
    browser.close(tab)


def test_a_page_of_another_site_sends_without_a_preflight(browser: Browser, built: Path, tmp_path: Path) -> None:
    name = label()
    http = {"listen": ["127.0.0.1:0"], "cors": {"origins": ["*"]}}
    with Served(tmp_path, workers=1, http=http) as service, Site(built) as site:
        host, port = service.address
        site.connect = f"http://{host}:{port}"
        tab = open_page(browser, site, url=site.connect)

        browser.run(tab, f"submit({name!r}, 5)")
        eventually(lambda: browser.run(tab, "window.notices.filter(([kind]) => kind == 'sent').length") == 5)
        browser.run(tab, f"submit('{name}last', 5)")
        browser.close(tab)
        wanted = ids(name, 5) | ids(f"{name}last", 5)
        eventually(lambda: stored(service, wanted).keys() == wanted)

        assert "OPTIONS" not in service.log()


@pytest.mark.parametrize("store", [False, True])
def test_a_page_comes_back_by_the_back_button_as_it_was_and_goes_on(browser: Browser, site: Site, store: bool) -> None:
    name = label()
    tab = open_page(browser, site, store=store)

    browser.run(tab, f"(submit({name!r}, 3), setTimeout(() => location.assign('/blank')), 1)")
    eventually(
        lambda: (
            browser.run(tab, "location.pathname") == "/blank" and browser.run(tab, "document.readyState") == "complete"
        )
    )
    browser.run(tab, "setTimeout(() => history.back())")
    eventually(lambda: browser.run(tab, "location.pathname == '/page' && 'isRestored' in window"))
    browser.run(tab, f"submit('{name}again', 3)")
    wait_for(site, ids(name, 3) | ids(f"{name}again", 3))

    # Firefox keeps no page that holds a Web Lock. Whether this one had it when it was left is a matter of time.
    assert browser.run(tab, "window.isRestored") or (store and browser.engine == "firefox")
    assert sum(len(request.events) for request in site.requests) == 6
    browser.close(tab)
