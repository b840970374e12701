"""Schemas at URLs: the whole service, a real web site that fails, real processes that die."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.harness import site as behaviours
from tests.harness.running import PATIENCE_S, Running
from tests.harness.served import EXAMPLES, Served
from tests.harness.site import Site
from tests.process.fetched import QUICK, TICK, error_type, fetcher_of, post, tick


def schema(title: str, **more: Any) -> behaviours.Behaviour:
    example = (EXAMPLES / "schemas/app/tick/1.0.0.yaml").read_text()
    return behaviours.body(example.replace("app/tick", title), "text/yaml", **more)


def remote(site: Site, *, streams: dict[str, Any], directory: Path, **more: Any) -> dict[str, Any]:
    """A service that has schemas in a directory and at the site."""
    file = directory / "streams.yaml"
    file.write_text(json.dumps({"streams": streams}))
    bases = {"base_uris": [str(EXAMPLES / "schemas"), site.url("/schemas")]}
    schemas = bases | {"wait_s": PATIENCE_S} | more.pop("schemas", {})  # The fetcher has only begun when we are ready.
    http = {"listen": ["127.0.0.1:0"], "limits": {"answer_s": 2 * PATIENCE_S}}
    return {"fetch": QUICK, "http": http, "schemas": schemas, "streams": {"sources": [str(file)]}, **more}


def test_a_schema_at_a_url_is_fetched_when_first_asked_for_once_for_all_workers_and_for_good(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        site.says("/schemas/far/tick/1.0.0.yaml", schema("far/tick"))
        with Served(tmp_path, **remote(site, streams=declared, directory=tmp_path)) as service:
            answers: list[int] = []
            clients = [
                threading.Thread(target=lambda: answers.append(post(service, tick("far.one", "/far/tick/1.0.0"))[0]))
                for _ in range(16)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join()

            assert answers == [201] * 16
            assert site.paths().count("/schemas/far/tick/1.0.0.yaml") == 1
            service.reload()
            assert post(service, tick("far.one", "/far/tick/1.0.0"))[0] == 201
        site.stop()
        (tmp_path / "log").unlink()
        with Served(tmp_path, **remote(site, streams=declared, directory=tmp_path)) as service:
            assert post(service, tick("far.one", "/far/tick/1.0.0"))[0] == 201
        site.start_again()
        assert site.paths().count("/schemas/far/tick/1.0.0.yaml") == 1


def test_what_a_schema_refers_to_is_fetched_with_it(tmp_path: Path) -> None:
    whole = {
        "title": "far/ref",
        "type": "object",
        "allOf": [{"$ref": "/fragment/far/1.0.0"}, {"$ref": "/fragment/event/1.0.0"}],
    }
    fragment = {"title": "fragment/far", "type": "object", "properties": {"count": {"type": "integer"}}}
    with Site() as site:
        site.says("/schemas/far/ref/1.0.0.yaml", behaviours.body(json.dumps(whole)))
        site.says("/schemas/fragment/far/1.0.0.yaml", behaviours.body(json.dumps(fragment)))
        declared = {"far.ref": {"schema_title": "far/ref"}}
        with Served(tmp_path, **remote(site, streams=declared, directory=tmp_path)) as service:
            event = tick("far.ref", "/far/ref/1.0.0")
            assert post(service, event)[0] == 201
            assert error_type(post(service, event | {"count": "one"})) == "schema_violation"
            assert "/schemas/fragment/event/1.0.0.yaml" not in site.paths()


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        (behaviours.html(404), "unknown_schema"),
        (behaviours.html(), "schema_unavailable"),
        (behaviours.endless, "schema_unavailable"),
    ],
)
def test_a_schema_that_cannot_be_had_has_a_verdict_and_holds_nobody_up(
    tmp_path: Path, behaviour: behaviours.Behaviour, verdict: str
) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}, "app.one": TICK}
    with Site() as site:
        site.otherwise = behaviour
        with Served(tmp_path, workers=1, **remote(site, streams=declared, directory=tmp_path)) as service:
            answer = post(service, tick("far.one", "/far/tick/1.0.0"), tick("app.one"))

            assert (answer[0], error_type(answer)) == (207, verdict)
            asked = len(site.asked)
            again = post(service, tick("far.one", "/far/tick/1.0.0"))
            assert (again[0], error_type(again)) == (400 if verdict == "unknown_schema" else 503, verdict)
            assert len(site.asked) == asked  # Remembered.


def test_a_registry_that_stalls_holds_up_nobody_else(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}, "app.one": TICK}
    with Site() as site:
        site.otherwise = site.stalls()
        wanted = remote(site, streams=declared, directory=tmp_path)
        wanted["fetch"] = QUICK | {"total_s": PATIENCE_S}
        with Served(tmp_path, workers=1, **wanted) as service:
            answers: list[tuple[int, Any]] = []
            waiting = threading.Thread(
                target=lambda: answers.append(post(service, tick("far.one", "/far/tick/1.0.0"))), daemon=True
            )
            waiting.start()
            service.until(lambda: "/schemas/far/tick/1.0.0.yaml" in site.paths())
            others = [post(service, tick("app.one"))[0] for _ in range(20)]

            assert others == [201] * 20
            assert not answers
            site.hang_up()
            waiting.join(PATIENCE_S)
            assert (answers[0][0], error_type(answers[0])) == (503, "schema_unavailable")


def test_nobody_waits_for_a_schema_longer_than_is_set(tmp_path: Path) -> None:
    with Site() as site:
        site.otherwise = site.stalls()
        wanted = remote(site, streams={"far.one": {"schema_title": "far/tick"}}, directory=tmp_path)
        wanted["fetch"], wanted["schemas"]["wait_s"] = QUICK | {"total_s": 600.0}, 0.2
        with Served(tmp_path, workers=1, **wanted) as service:
            answer = post(service, tick("far.one", "/far/tick/1.0.0"))

            assert (answer[0], error_type(answer)) == (503, "schema_unavailable")


def test_a_request_that_waits_for_a_schema_survives_the_death_of_the_fetcher(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        wanted = remote(site, streams=declared, directory=tmp_path, process={"beat_s": 0.1})
        wanted["fetch"] = QUICK | {"total_s": PATIENCE_S}
        site.says("/schemas/far/tick/1.0.0.yaml", behaviours.in_turn(site.stalls(), schema("far/tick")))
        with Served(tmp_path, workers=1, **wanted) as service:
            answers: list[int] = []
            waiting = threading.Thread(
                target=lambda: answers.append(post(service, tick("far.one", "/far/tick/1.0.0"))[0]), daemon=True
            )
            waiting.start()
            service.until(lambda: "/schemas/far/tick/1.0.0.yaml" in site.paths())
            os.kill(fetcher_of(service), signal.SIGKILL)
            waiting.join(PATIENCE_S)

            assert answers == [201]


def test_a_drain_answers_requests_that_wait_for_schemas(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        site.otherwise = site.stalls()
        wanted = remote(site, streams=declared, directory=tmp_path, drain_s=2.0)
        wanted["fetch"] = QUICK | {"total_s": PATIENCE_S}
        with Served(tmp_path, workers=1, **wanted) as service:
            answers: list[int] = []
            waiting = threading.Thread(
                target=lambda: answers.append(post(service, tick("far.one", "/far/tick/1.0.0"))[0]), daemon=True
            )
            waiting.start()
            service.until(lambda: "/schemas/far/tick/1.0.0.yaml" in site.paths())
            service.signal(signal.SIGTERM)
            waiting.join(PATIENCE_S)

            assert answers == [503]
            assert service.exit_code() == 0
            assert not service.workers()


def test_a_client_can_make_us_ask_for_so_many_unknown_schemas_and_no_more(tmp_path: Path) -> None:
    declared = {"app.one": TICK}
    limits = {"unknown_per_min_client": 2, "unknown_per_min": 1_000}
    with Site() as site:
        wanted = remote(site, streams=declared, directory=tmp_path, schemas=limits)
        with Served(tmp_path, workers=1, **wanted) as service:
            found = [error_type(post(service, tick("app.one", f"/no/such/{number}.0.0"))) for number in range(12)]

            assert found[:2] == ["unknown_schema"] * 2
            assert set(found[2:]) == {"schema_unavailable"}
            assert len({path.partition(".")[0] for path in site.paths() if "/no/such" in path}) == 2
            assert "the limit of this client is reached" in service.log()


def test_an_event_may_name_a_schema_by_its_url_if_so_set_and_only_below_ours(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        site.says("/schemas/far/tick/1.0.0.yaml", schema("far/tick"))
        wanted = remote(site, streams=declared, directory=tmp_path, schemas={"allow_absolute_uris": True})
        with Served(tmp_path, **wanted) as service:
            assert post(service, tick("far.one", site.url("/schemas/far/tick/1.0.0")))[0] == 201
            for url in (site.url("/elsewhere/far/tick/1.0.0"), "http://127.0.0.2:9/far/tick/1.0.0"):
                assert error_type(post(service, tick("far.one", url))) == "unknown_schema"
        assert {path.split("/")[1] for path in site.paths()} == {"schemas"}


def test_hasty_events_and_verdicts_wait_for_schemas_too(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        site.says("/schemas/far/tick/1.0.0.yaml", schema("far/tick"))
        site.says("/schemas/far/tick/1.1.0.yaml", schema("far/tick"))
        with Served(tmp_path, **remote(site, streams=declared, directory=tmp_path)) as service:
            _, verdicts = post(service, tick("far.one", "/far/tick/1.1.0"), path="/v1/validate")
            assert verdicts["events"][0]["status"] == "valid"
            assert post(service, tick("far.one", "/far/tick/1.0.0"), path="/v1/events?hasty=true")[0] == 202
            service.until(lambda: [event["topic"] for event in service.events()] == ["far.one"])


def test_the_command_validate_asks_for_schemas_too(tmp_path: Path) -> None:
    declared = {"far.one": {"schema_title": "far/tick"}}
    with Site() as site:
        site.says("/schemas/far/tick/1.0.0.yaml", schema("far/tick"))
        settings_file, events = tmp_path / "settings.yaml", tmp_path / "events"
        settings_file.write_text(json.dumps(remote(site, streams=declared, directory=tmp_path)))
        lines = [tick("far.one", "/far/tick/1.0.0"), tick("far.one", "/far/no/1.0.0"), tick("far.one", "/far/no/1.0.0")]
        events.write_text("\n".join(map(json.dumps, lines)))
        command = ["-m", "server", "validate", "-c", str(settings_file), str(events)]
        with Running(command, tmp_path / "log") as validate:
            assert validate.exit_code() == 1
            verdicts = [json.loads(line) for line in validate.log().splitlines() if line.startswith("{")]

        assert [verdict["status"] for verdict in verdicts] == ["valid", "invalid", "invalid"]
        assert verdicts[1]["context"]["error_type"] == "unknown_schema"
        assert site.paths().count("/schemas/far/no/1.0.0.yaml") == 1
