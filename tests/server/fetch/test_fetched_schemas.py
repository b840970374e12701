"""Schemas of URLs, fetched once and for good; without processes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.config.catalog_settings import Fetch
from server.config.catalog_settings import SchemaSettings as SchemaSettings
from server.config.settings import Config
from server.config.urls import urls_of
from server.fetch.client import HttpClient
from server.fetch.fetched_schemas import UNDER_WAY_CLIENT_MAX, FetchedSchemas, Standing
from server.schemas.repository import open_schemas
from tests.harness import site as behaviours
from tests.harness.site import Behaviour, Site

FETCH = Fetch(connect_s=30.0, total_s=60.0, attempts=1, retry_s=0.001)
SCHEMA = {"title": "a", "type": "object", "properties": {"n": {"type": "integer", "maximum": 18446744073709551616}}}


def run(directory: Path, site: Site, what: Callable[[FetchedSchemas], Awaitable[Any]], **settings: Any) -> Any:
    """Let the schemas of a site be asked for."""
    fetch = settings.pop("fetch", FETCH)
    config = Config(fetch=fetch, schemas=SchemaSettings(**({"base_uris": [site.url("/s/")]} | settings)))

    async def work() -> Any:
        async with HttpClient(config.fetch, urls_of(config.schemas.base_uris)) as client:
            schemas = FetchedSchemas(config, directory, directory / "fetched", client)
            try:
                return await what(schemas)
            finally:
                await schemas.close()

    return asyncio.run(work())


def outcome(directory: Path, site: Site, uri: str = "/a/1.0.0", **settings: Any) -> str:
    standing: Standing = run(directory, site, lambda schemas: schemas.ask(uri, "client"), **settings)
    return standing.outcome


def test_a_schema_is_fetched_once_however_many_ask(tmp_path: Path) -> None:
    async def ask(schemas: FetchedSchemas) -> list[Standing]:
        together = await asyncio.gather(*(schemas.ask("/a/1.0.0", f"client {number}") for number in range(20)))
        return [*together, await schemas.ask("/a/1.0.0", "one more")]

    with Site() as site:
        site.says("/s/a/1.0.0", behaviours.body(json.dumps(SCHEMA)))
        standings = run(tmp_path, site, ask)

        assert {standing.outcome for standing in standings} == {"here"}
        assert site.paths() == ["/s/a/1.0.0.yaml", "/s/a/1.0.0"]
        site.asked.clear()
        assert outcome(tmp_path, site) == "here"
        assert not site.asked


def test_a_burst_of_one_client_leaves_the_queue_to_others(tmp_path: Path) -> None:
    async def ask(schemas: FetchedSchemas) -> list[str]:
        burst = asyncio.gather(*(schemas.ask(f"/none{number}/1.0.0", "rude") for number in range(150)))
        await asyncio.sleep(0)
        other = await schemas.ask("/a/1.0.0", "polite")
        return [*(standing.outcome for standing in await burst), other.outcome]

    with Site() as site:
        site.says("/s/a/1.0.0", behaviours.body(json.dumps(SCHEMA)))
        *burst, other = run(tmp_path, site, ask)

    assert Counter(burst) == {"unknown_schema": UNDER_WAY_CLIENT_MAX, "refused": 150 - UNDER_WAY_CLIENT_MAX}
    assert other == "here"


def test_what_was_fetched_is_read_as_if_it_had_been_there(tmp_path: Path) -> None:
    """References made local, numbers exact."""
    with Site() as site:
        site.says("/s/b/1.0.0.yaml", behaviours.body('{"title": "b", "$ref": "/a/1.0.0#/properties/n"}'))
        site.says("/s/a/1.0.0.yaml", behaviours.body("{title: a, properties: {n: {maximum: 18446744073709551616}}}"))
        assert outcome(tmp_path, site, "/b/1.0.0") == "here"

    schemas = open_schemas(SchemaSettings(base_uris=["fetched"]), tmp_path)
    validator = schemas.find_here("/b/1.0.0")
    assert not isinstance(validator, tuple)
    assert validator.check(b"18446744073709551616") is None
    assert validator.check(b"18446744073709551617") is not None


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (behaviours.status(404), "unknown_schema"),
        (behaviours.html(404), "unknown_schema"),
        (behaviours.status(500), "schema_unavailable"),
        (behaviours.status(429, Retry_After="60"), "schema_unavailable"),
        (behaviours.html(), "schema_unavailable"),
        (behaviours.endless, "schema_unavailable"),
        (behaviours.hang_up, "schema_unavailable"),
        (behaviours.cut_short(json.dumps(SCHEMA)), "schema_unavailable"),
        (behaviours.redirect("http://127.0.0.2:9/"), "schema_unavailable"),
        (behaviours.body("a: [1"), "schema_unavailable"),
        (behaviours.body("[" * 100_000), "schema_unavailable"),
        (behaviours.body("just text"), "schema_unavailable"),
        (behaviours.body('{"type": "nonsense"}'), "schema_unavailable"),
        (behaviours.body('{"$ref": "http://127.0.0.2:9/x/1.0.0"}'), "schema_unavailable"),
        (behaviours.body('{"$ref": "/no/such/1.0.0"}'), "schema_unavailable"),
    ],
)
def test_what_cannot_be_had_is_told_and_remembered(tmp_path: Path, behaviour: Behaviour, expected: str) -> None:
    async def ask(schemas: FetchedSchemas) -> tuple[Standing, Standing, int]:
        first = await schemas.ask("/a/1.0.0", "client")
        asked = len(site.asked)
        return first, await schemas.ask("/a/1.0.0", "client"), len(site.asked) - asked

    with Site() as site:
        for name in ("1.0.0.yaml", "1.0.0", "1.0.0.json"):
            site.says(f"/s/a/{name}", behaviour)
        first, second, asked = run(tmp_path, site, ask)

    assert (first.outcome, second.outcome, asked) == (expected, expected, 0)
    assert 0 < second.for_s <= (60 if expected == "unknown_schema" else 5)
    assert not list(tmp_path.rglob("*.json"))


def test_what_a_fetched_schema_refers_to_is_looked_for_in_directories_first(tmp_path: Path) -> None:
    (tmp_path / "own" / "b").mkdir(parents=True)
    (tmp_path / "own" / "b" / "1.0.0.yaml").write_text("{title: b, type: object}")
    with Site() as site:
        site.says("/s/a/1.0.0.yaml", behaviours.body('{"title": "a", "$ref": "/b/1.0.0"}'))

        assert outcome(tmp_path, site, base_uris=[site.url("/s/"), "own"]) == "here"
        assert site.paths() == ["/s/a/1.0.0.yaml"]


def test_the_first_url_that_has_a_schema_wins_and_one_that_is_down_is_not_passed_over(tmp_path: Path) -> None:
    """What the second says might not be what the first would have said, and is kept for good."""
    with Site() as first, Site() as second:
        second.says("/s/a/1.0.0.yaml", behaviours.body(json.dumps(SCHEMA)))
        bases = [first.url("/s/"), second.url("/s/")]
        for trouble in (behaviours.status(500), behaviours.hang_up):
            first.otherwise = trouble
            assert outcome(tmp_path, first, base_uris=bases) == "schema_unavailable"
            assert not second.asked
        first.otherwise = behaviours.status(404)
        assert outcome(tmp_path, first, base_uris=bases) == "here"


def test_a_server_that_stalls_costs_one_fetch_and_its_time(tmp_path: Path) -> None:
    with Site() as site:
        site.otherwise = site.stalls()
        assert outcome(tmp_path, site, fetch=Fetch(total_s=0.2, connect_s=0.2, attempts=1)) == "schema_unavailable"


@pytest.mark.parametrize("uri", ["/../../etc/passwd/1.0.0", "/a/latest", "/a", "/a/1.0.0?x=y", "//b/1.0.0"])
def test_only_what_an_event_may_name_is_asked_for(tmp_path: Path, uri: str) -> None:
    with Site() as site:
        assert outcome(tmp_path, site, uri) == "unknown_schema"
        assert not site.asked


def test_references_lead_below_the_base_uris_or_to_allowed_origins_only(tmp_path: Path) -> None:
    with Site() as site, Site() as other:
        site.says("/s/a/1.0.0.yaml", behaviours.body(json.dumps({"$ref": other.url("/b/1.0.0")})))
        site.says("/s/c/1.0.0.yaml", behaviours.body(json.dumps({"$ref": site.url("/elsewhere/1.0.0")})))
        other.says("/b/1.0.0.yaml", behaviours.body('{"type": "integer"}'))

        assert outcome(tmp_path, site) == "schema_unavailable"
        assert outcome(tmp_path, site, "/c/1.0.0") == "schema_unavailable"
        assert "/elsewhere/1.0.0.yaml" not in site.paths()
        assert not other.asked
        allowed = Fetch(connect_s=30.0, total_s=60.0, attempts=1, allowed_origins=[other.url()])
        assert outcome(tmp_path, site, fetch=allowed) == "here"


def test_asking_in_vain_is_bounded_for_a_client_and_for_all(tmp_path: Path) -> None:
    async def ask(schemas: FetchedSchemas) -> list[str]:
        asks = [("greedy", f"/x{number}/1.0.0") for number in range(4)] + [("other", "/y/1.0.0"), ("third", "/z/1.0.0")]
        return [(await schemas.ask(uri, client)).outcome for client, uri in asks]

    with Site() as site:
        unknown = "unknown_schema"
        found = run(tmp_path, site, ask, unknown_per_min_client=2, unknown_per_min=3)
        assert found == [unknown, unknown, "refused", "refused", unknown, "refused"]
        found = run(tmp_path, site, ask, unknown_per_min_client=2, unknown_per_min=100)
        assert found == [unknown, unknown, "refused", "refused", unknown, unknown]


def test_a_client_that_begins_with_many_good_schemas_is_served(tmp_path: Path) -> None:
    async def ask(schemas: FetchedSchemas) -> set[str]:
        standings = await asyncio.gather(*(schemas.ask(f"/a/{number}.0.0", "client") for number in range(30)))
        return {standing.outcome for standing in standings}

    with Site() as site:
        site.otherwise = behaviours.body(json.dumps(SCHEMA))
        assert run(tmp_path, site, ask, unknown_per_min_client=2) == {"here"}


def test_schemas_go_with_their_headers(tmp_path: Path) -> None:
    with Site() as site:
        outcome(tmp_path, site, headers={"X-Api-Key": "k"})
        assert site.asked[0][1]["X-Api-Key"] == "k"


def test_a_disk_that_takes_nothing_is_schema_unavailable(tmp_path: Path) -> None:
    (tmp_path / "fetched").write_text("in the way")
    with Site() as site:
        site.otherwise = behaviours.body(json.dumps(SCHEMA))
        assert outcome(tmp_path, site) == "schema_unavailable"
