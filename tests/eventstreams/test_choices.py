"""Filters, fields, samples, canaries and redaction: a client gets what it asks for, and never what a stream hides."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from server.errors import SettingsError
from tests.eventstreams.harness import Log, Message, public, running


def read(log: Log, target: str, declared: str | None = None) -> list[Message]:
    """Return all events that are there for a target."""

    async def scene() -> list[Message]:
        arguments = () if declared is None else (declared,)
        async with (
            running(log, *arguments) as streams,
            await streams.get(target + "&poll=1&since=earliest") as answer,
        ):
            assert answer.status == 200, await answer.body()
            return await answer.rest()

    return asyncio.run(scene())


def pages() -> Log:
    log = Log({"a": 1})
    for number, page in enumerate(("/home", "/shop", "/shop/cart", "/help")):
        log.append(name=str(number), page=page, load_ms=100 * number)
    return log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("page:/home", ["0"]),
        ("page:/shop*", ["1", "2"]),
        ("load_ms>100", ["2", "3"]),
        ("page:/home OR page:/help", ["0", "3"]),
        ("NOT page:/home AND load_ms<300", ["1", "2"]),
        ("meta.offset>=2", ["2", "3"]),
    ],
)
def test_only_events_that_match_the_filter_come(text: str, expected: list[str]) -> None:
    found = read(pages(), f"/v2/stream/a?filter={text.replace(' ', '+')}")

    assert [message.id for message in found] == expected


def test_fields_choose_members_without_changing_them() -> None:
    log = Log({"a": 1})
    value = b'{"meta":{"stream":"a","id":"1"},"page":"/x","load_ms":1.000000000000000000001,"http":{"client_ip":"::1"}}'
    log.append(value=value)
    (message,) = read(log, "/v2/stream/a?fields=load_ms,meta.id,visit")

    assert message.text == '{"load_ms":1.000000000000000000001,"meta":{"id":"1"}}'


def test_members_keep_their_bytes_and_line_breaks_end_no_event() -> None:
    log = Log({"a": 1})
    log.append(value=b'{"meta":\n{"stream":"a",\r\n"id":"1"},"n":123456789012345678901234567890,"e":1e5}')
    (message,) = read(log, "/v2/stream/a?")

    assert '"n":123456789012345678901234567890,"e":1e5' in message.text


def test_a_sample_is_the_same_each_time_and_part_of_a_larger_one() -> None:
    log = Log({"a": 3})
    for number in range(600):
        log.append("a", number % 3)
    small, again, large = (
        {message.id for message in read(log, f"/v2/stream/a?sample={share}")} for share in (0.1, 0.1, 0.5)
    )

    assert small == again < large
    assert 30 < len(small) < 100 and 250 < len(large) < 350


def test_canaries_come_on_wish_alone() -> None:
    log = Log({"a": 1})
    log.append(name="real", meta={"domain": "a.example"})
    log.append(name="canary", meta={"domain": "canary"})

    assert [one.id for one in read(log, "/v2/stream/a?")] == ["real"]
    assert [one.id for one in read(log, "/v2/stream/a?canary=true")] == ["real", "canary"]


def test_canaries_are_in_every_sample() -> None:
    log = Log({"a": 1})
    for number in range(50):
        log.append(name=f"canary-{number}", meta={"domain": "canary"})

    assert len(read(log, "/v2/stream/a?sample=0.01&canary=true")) == 50


REDACTING = """
streams:
  a:
    schema_title: web/page_view
    consumers:
      eventstreams:
        enabled: true
        redact: [http.client_ip, nothing.here]
        redact_when: [{filter: "page:/secret*", paths: [visit, meta.dt]}]
"""


def test_what_a_stream_redacts_is_neither_shown_nor_found_by_a_filter() -> None:
    log = Log({"a": 1})
    members: dict[str, Any] = {"http": {"client_ip": "192.0.2.1", "method": "GET"}, "visit": "v1"}
    log.append(name="0", page="/open", **members)
    log.append(name="1", page="/secret/1", **members, meta={"dt": "2026-11-28T10:00:00Z"})
    first, second = (message.value for message in read(log, "/v2/stream/a?", REDACTING))

    assert first["http"] == second["http"] == {"method": "GET"}
    assert (first["visit"], "visit" in second, "dt" in second["meta"]) == ("v1", False, False)
    assert read(log, "/v2/stream/a?filter=http.client_ip:192.0.2.1", REDACTING) == []
    assert [one.id for one in read(log, "/v2/stream/a?filter=visit:v1", REDACTING)] == ["0"]
    assert read(log, "/v2/stream/a?fields=http.client_ip", REDACTING)[0].text == '{"http":{}}'


ANY_MEMBERS = """
streams:
  a: {schema_title: not/known, consumers: {eventstreams: {enabled: true}}}
"""
LISTS = """
streams:
  a:
    schema_title: not/known
    consumers:
      eventstreams:
        enabled: true
        redact: [http.client_ip, "tags[*].name"]
        redact_when: [{filter: "tags.kind:person", paths: [tags.born]}]
"""


def test_a_list_hides_nothing_from_redaction() -> None:
    log = Log({"a": 1})
    tags = [{"name": "X", "kind": "person", "born": 1900}, [{"name": "X", "kind": "dog", "born": 2020}], "plain"]
    log.append(name="0", http=[{"client_ip": "X", "method": "GET"}, {"client_ip": "X"}], tags=tags)
    (message,) = read(log, "/v2/stream/a?", LISTS)

    assert "X" not in message.text
    assert message.value["http"] == [{"method": "GET"}, {}]
    assert message.value["tags"] == [{"kind": "person"}, [{"kind": "dog"}], "plain"]
    assert read(log, "/v2/stream/a?filter=tags.name:X", LISTS) == []


def test_fields_lead_into_lists() -> None:
    log = Log({"a": 1})
    log.append(tags=[{"name": "x", "kind": "person"}, {"kind": "dog"}, [{"name": "y"}], 7])
    (message,) = read(log, "/v2/stream/a?fields=tags.name", ANY_MEMBERS)

    assert message.value == {"tags": [{"name": "x"}, {}, [{"name": "y"}]]}


NUMBERS = [b"1e400", b"-1e400", b"9" * 5_000, b"18446744073709551616"]


@pytest.mark.parametrize("number", NUMBERS, ids=["large", "small", "long", "beyond 64 bits"])
@pytest.mark.parametrize("choice", ["", "filter=load_ms>7", "sample=0.999999", "filter=9999", "filter=NOT+load_ms<0"])
def test_a_number_that_no_double_holds_stops_nothing(number: bytes, choice: str) -> None:
    """The intake accepts such numbers, so that one event could else end the stream for all."""
    log = Log({"a": 1})
    log.append(name="0", load_ms=8)
    log.append(value=b'{"meta":{"stream":"a","id":"1"},"load_ms":%b}' % number)
    log.append(value=b'{"meta":{"stream":"a","id":%b,"domain":%b},"load_ms":9}' % (number, number))
    log.append(name="3", load_ms=9999)
    found = [message.text.partition('"offset":')[2][:1] for message in read(log, f"/v2/stream/a?{choice}", REDACTING)]

    assert found[-1] == "3"
    assert choice or found == ["0", "1", "2", "3"]


def test_numbers_keep_their_bytes_and_new_events_go_on_after_them() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, REDACTING) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            log.append(value=b'{"meta":{"stream":"a","id":"0"},"n":1e400}')
            log.append(name="1")
            first, second = await answer.messages(2)

            assert first.text.endswith(',"n":1e400}')
            assert second.id == "1"
            async with await streams.get("/v2/stream/a/latest") as latest:
                assert len((await latest.body())["events"]) == 2

    asyncio.run(scene())


@pytest.mark.parametrize("depth", [200, 900, 990, 1_000, 3_000])
def test_an_event_of_any_depth_is_shown_without_what_is_redacted_or_passed_over(depth: int) -> None:
    log = Log({"a": 1})
    nested = b"[" * depth + b'{"client_ip":"X"}' + b"]" * depth
    log.append(value=b'{"meta":{"stream":"a","id":"0"},"page":"/secret","visit":"X","http":%b}' % nested)
    log.append(name="1", load_ms=8)
    for choice in ("", "filter=load_ms:8", "filter=abc+or+load_ms:8", "fields=meta,http.request_headers"):
        messages = read(log, f"/v2/stream/a?{choice}", REDACTING)

        assert messages[-1].value["meta"]["id"] == "1"
        assert not any("X" in message.text for message in messages)


def test_an_undecodable_record_is_passed_over_with_a_comment_and_counted() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        log.append(name="0")
        for value in (b"", b"not json", b"[1]", b'{"meta":{"stream":"a"},"x":"\xff"}', b"[" * 100_000):
            log.append(value=value)
        log.append(name="1")
        async with running(log) as streams, await streams.get("/v2/stream/a?since=earliest&poll=1") as answer:
            assert [one.id for one in await answer.rest()] == ["0", "1"]
            assert [text for text in answer.comments if text.startswith("skipped")] == [
                f"skipped a/0/{offset}" for offset in range(1, 6)
            ]
            assert streams.counts.skipped == 5

    asyncio.run(scene())


def test_a_filter_is_evaluated_once_for_all_that_share_it() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams:
            answers = [await streams.get("/v2/stream/a?filter=page:/x") for _ in range(20)]
            for answer in answers:
                await answer.opened()
            await streams.until(lambda: streams.counts.live == 20)
            for number in range(5):
                log.append(page="/x", name=str(number))
            for answer in answers:
                assert await answer.ids(5) == ["0", "1", "2", "3", "4"]
            (projection,) = {client.projection for client in streams.hub.clients}

            assert projection.evaluated == 5
            for answer in answers:
                answer.close()

    asyncio.run(scene())


def test_too_many_different_choices_are_refused() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1}), limits={"max_filters": 2}) as streams:
            answers = [await streams.get(f"/v2/stream/a?filter=page:/{number}") for number in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 503]
            async with await streams.get("/v2/stream/a?filter=page:/1") as answer:
                assert answer.status == 200
            for answer in answers:
                answer.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "settings",
    [
        "{enabled: yes please}",
        "{enabled: true, redacted: [a]}",
        "{enabled: true, auth: keys}",
        "{enabled: true, auth: []}",
        "{enabled: true, api_keys: [one]}",
        "{enabled: true, networks: [10.0.0.0/8]}",
        "{enabled: true, redact: ['tags[0].name']}",
        "{enabled: true, redact_when: [{filter: 'a:b', paths: [tags..name]}]}",
    ],
)
def test_settings_that_would_not_hide_what_they_seem_to_hide_are_refused(settings: str) -> None:
    with pytest.raises(SettingsError, match=r"stream a: consumers\.eventstreams"):
        public(f"streams: {{a: {{schema_title: web/page_view, consumers: {{eventstreams: {settings}}}}}}}")


def test_every_choice_is_part_of_the_description() -> None:
    from eventstreams.web.ask import PARAMETERS
    from eventstreams.web.openapi import description

    async def scene() -> dict[str, Any]:
        async with running(Log({"a": 1})) as streams:
            described = description(streams.hub.streams, streams.filters, "penstock")
            assert json.loads(json.dumps(described)) == described
            return described

    described = asyncio.run(scene())
    parameters = {one["name"] for one in described["paths"]["/v2/stream/a"]["get"]["parameters"]}
    assert parameters - {"Last-Event-ID"} == {*PARAMETERS} - {"lastEventId", "request_id", "spec", "doc"}
    assert described["paths"]["/v2/stream/{streams}"]["get"]["parameters"][0]["schema"]["items"]["enum"] == [
        "a",
        "b",
        "bee",
        "two.dcs",
    ]
    assert "secret" not in json.dumps(described)
