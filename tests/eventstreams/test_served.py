"""A stream begins where it is asked to, has every event once and in order, and ends cleanly."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.eventstreams.harness import Log, running


def test_a_stream_has_the_form_that_clients_of_eventstreams_know() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            opening = await answer.piece()
            log.append(name="1", ms=7, page="/home")
            event = await answer.piece()

            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-accel-buffering"] == "no"
            assert opening.startswith(b":ok\n\nretry: ")
            assert b'id: [{"topic":"a","partition":0,"offset":0,"timestamp":' in opening
            kind, position, text, *end = event.split(b"\n")
            assert kind == b"event: message"
            assert position.startswith(b'id: [{"topic":"a","partition":0,"offset":1,"timestamp":')
            assert json.loads(text.removeprefix(b"data: ")) == {
                "meta": {"stream": "a", "id": "1", "topic": "a", "partition": 0, "offset": 0},
                "page": "/home",
            }
            assert end == [b"", b""]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?since=earliest", ["0", "1", "2"]),
        ("?since=2000", ["1", "2"]),
        ("?since=1970-01-01T00:00:02Z", ["1", "2"]),
        ("?since=1970-01-01T00:00:03", ["2"]),
    ],
)
def test_a_stream_begins_where_since_says(query: str, expected: list[str]) -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        for at in range(3):
            log.append(name=str(at), ms=1000 * (at + 1))
        async with running(log) as streams, await streams.get(f"/v2/stream/a{query}") as answer:
            assert await answer.ids(len(expected)) == expected
            log.append(name="live", ms=5000)
            assert await answer.ids(1) == ["live"]

    asyncio.run(scene())


def test_without_since_only_new_events_come() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        log.append(name="old")
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            log.append(name="new")

            assert await answer.ids(1) == ["new"]

    asyncio.run(scene())


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_lines_of_json_come_when_they_are_accepted(accept: str) -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        log.append(name="0")
        log.append(name="1", text="a line\nand another")
        async with (
            running(log) as streams,
            await streams.get("/v2/stream/a?since=earliest&poll=1", Accept=accept) as answer,
        ):
            lines = await answer.lines()

        assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
        assert [one["meta"]["id"] for one in lines] == ["0", "1"]
        assert lines[1]["text"] == "a line\nand another"

    asyncio.run(scene())


def test_several_streams_come_as_one_and_each_topic_and_partition_keeps_its_order() -> None:
    async def scene() -> None:
        log = Log({"a": 2, "b": 1, "x.two.dcs": 1, "y.two.dcs": 1})
        sent: dict[str, list[str]] = {}
        for number in range(60):
            topic = ("a", "b", "x.two.dcs", "y.two.dcs")[number % 4]
            record = log.append(topic, number // 4 % 2 if topic == "a" else 0, name=str(number))
            sent.setdefault(f"{topic}/{record.partition}", []).append(str(number))
        async with running(log) as streams, await streams.get("/v2/stream/a,bee,two.dcs?since=earliest") as answer:
            got: dict[str, list[str]] = {}
            for message in await answer.messages(60):
                meta = message.value["meta"]
                got.setdefault(f"{meta['topic']}/{meta['partition']}", []).append(meta["id"])

            assert got == sent

    asyncio.run(scene())


def test_a_star_stands_for_the_public_names_that_it_matches() -> None:
    async def scene() -> None:
        log = Log({"a": 1, "b": 1, "secret": 1})
        for topic in ("a", "b", "secret"):
            log.append(topic)
        async with running(log) as streams, await streams.get("/v2/stream/*?since=earliest&poll=1") as answer:
            assert {message.value["meta"]["stream"] for message in await answer.rest()} == {"a", "b"}

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["secret", "nothing", "app.tick.x", "%2Fapp%2F", "zzz*", ""])
def test_a_stream_that_is_not_public_is_answered_like_one_that_is_not_there(name: str) -> None:
    async def scene() -> None:
        async with running(Log({"secret": 1})) as streams, await streams.get(f"/v2/stream/{name}") as answer:
            body = await answer.body()

            assert (answer.status, body["type"], body["title"]) == (400, "not_found", "Stream Not Found")
            assert body["detail"].startswith("Invalid streams: ")

    asyncio.run(scene())


def test_an_event_of_another_stream_on_a_shared_topic_is_not_shown() -> None:
    async def scene() -> None:
        declared = """
streams:
  open: {schema_title: web/page_view, topics: [shared], consumers: {eventstreams: {enabled: true}}}
  closed: {schema_title: web/page_view, topics: [shared]}
"""
        log = Log({"shared": 1})
        log.append("shared", name="1", stream="closed")
        log.append("shared", name="2", stream="open")
        log.append("shared", name="3", stream="undeclared")
        async with (
            running(log, declared) as streams,
            await streams.get("/v2/stream/open?since=earliest&poll=1") as answer,
        ):
            assert [message.id for message in await answer.rest()] == ["2"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("since=yesterday", "invalid_timestamp"),
        ("since=2100-01-01", "invalid_timestamp"),
        ("until=x", "invalid_timestamp"),
        ("limit=0", "bad_request"),
        ("limit=1e3", "bad_request"),
        ("sample=2", "bad_request"),
        ("poll=maybe", "bad_request"),
        ("on_gap=ignore", "bad_request"),
        ("fliter=a:b", "bad_request"),
        ("fields=meta..id", "bad_request"),
        ("poll=1&filter=meta.id:a&filter=meta.id:b", "bad_request"),
        ("since=-1h&%73ince=-2h", "bad_request"),
        ("format=xml", "bad_request"),
        ("filter=meta.id:", "invalid_filter"),
        ("filter=pagge:x", "invalid_filter"),
        ("fields=meta.idd", "bad_request"),
        ("last_event_id=x", "invalid_id"),
        ('last_event_id=[{"topic":"a"}]', "invalid_id"),
    ],
)
def test_a_wrong_request_is_refused_before_it_begins(query: str, kind: str) -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams:
            async with await streams.get(f"/v2/stream/a?{query.replace('[', '%5B').replace('{', '%7B')}") as answer:
                body = await answer.body()

            assert (answer.status, body["type"]) == (400, kind), body
            assert streams.admission.total() == 0

    asyncio.run(scene())


def test_a_misspelt_path_is_answered_with_the_nearest_one() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams, await streams.get("/v2/stream/a?filter=pagee:x") as answer:
            assert "did you mean page?" in (await answer.body())["detail"]

    asyncio.run(scene())


def test_other_parameters_pass() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams, await streams.get("/v2/stream/a?_=17&utm_source=x") as answer:
            assert answer.status == 200

    asyncio.run(scene())


def test_head_and_options_are_answered_without_a_stream() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams:
            reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
            writer.write(b"HEAD /v2/stream/a HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"OPTIONS /v2/stream/a HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\n"
                b"Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: last-event-id\r\n\r\n"
            )
            options = await reader.readuntil(b"\r\n\r\n")
            writer.close()

            assert head.startswith(b"HTTP/1.1 200") and b"text/event-stream" in head
            assert options.startswith(b"HTTP/1.1 204") and b"Access-Control-Allow-Origin: *" in options
            assert b"Last-Event-ID" in options

    asyncio.run(scene())


@pytest.mark.parametrize("target", ["/v2/stream/a", "/v2/stream/nothing"])
def test_every_answer_may_be_read_by_other_pages(target: str) -> None:
    async def scene() -> None:
        async with (
            running(Log({"a": 1})) as streams,
            await streams.get(target, Origin="https://page.example") as answer,
        ):
            assert answer.headers["access-control-allow-origin"] == "*"

    asyncio.run(scene())


def test_a_request_of_http_1_0_gets_a_stream_without_chunks() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        log.append(name="0")
        async with running(log) as streams:
            reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
            writer.write(b"GET /v2/stream/a?since=earliest&limit=1 HTTP/1.0\r\n\r\n")
            whole = await reader.read()
            writer.close()

            assert b"chunked" not in whole
            assert whole.partition(b"\r\n\r\n")[2].startswith(b":ok\n\n")
            assert b'"id":"0"' in whole

    asyncio.run(scene())
