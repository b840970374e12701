"""An empty value does not open a closed stream: it is an error where it decides who may write, else a warning."""

from __future__ import annotations

import pytest

from server.catalog.check_streams import check
from server.catalog.snapshot import build
from server.config.framework.document import parse
from server.config.framework.finding import Finding

CLOSED = "{producers: {eventgate: {auth: networks, networks: [10.0.0.0/8]}}}"
CHECKED = "{producers: {eventgate: {validation: observe}}}"


def findings(*texts: str, wiki: str | None = None) -> list[Finding]:
    return check([parse(text, f"{n}.yaml") for n, text in enumerate(texts)], topic_prefix="", wiki=wiki)


@pytest.mark.parametrize("empty", ["", "null", "~"])
@pytest.mark.parametrize("name", ["auth", "api_keys", "networks", "identities", "origins", "enabled"])
def test_an_empty_value_that_decides_who_may_write_is_an_error(name: str, empty: str) -> None:
    text = f"default_settings: {CLOSED}\nstreams:\n  s:\n    schema_title: a\n"
    [finding] = findings(f"{text}    producers:\n      eventgate:\n        {name}: {empty}")

    assert (finding.level, finding.file, finding.line, finding.stream) == ("error", "0.yaml", 7, "s")
    assert finding.key == f"streams.s.producers.eventgate.{name}"
    assert "write" in finding.hint or "list" in finding.hint


@pytest.mark.parametrize(
    "name", ["validation", "max_event_bytes", "on_broker_down", "enrich_fields_from_http_headers", "sample"]
)
def test_another_empty_value_is_a_warning(name: str) -> None:
    [finding] = findings(f"streams: {{s: {{schema_title: a, producers: {{eventgate: {{{name}: }}}}}}}}")

    assert (finding.level, finding.line) == ("warning", 1) and "leave the line out" in finding.hint


@pytest.mark.parametrize("place", ["default_settings", "default_settings_overrides: {w", "stream_overrides: {w: {s"])
def test_it_is_one_wherever_it_is_written(place: str) -> None:
    closing = "}" * place.count("{")
    text = f"streams: {{s: {{schema_title: a}}}}\n{place}: {{producers: {{eventgate: {{auth: }}}}}}{closing}"

    assert [finding.level for finding in findings(text)] == ["error"]


EMPTY = ["{producers: }", "{producers: {eventgate: }}"]


def over(general: str, own: str) -> dict[str, list[str]]:
    """The same two texts, one over the other, in every way that settings are laid over one another."""
    stream = general.replace("{", "{schema_title: a, ", 1)
    titled_alone = "{schema_title: a}"
    titled = own.replace("{", "{schema_title: a, ", 1)
    return {
        "stream over defaults": [f"default_settings: {general}\nstreams: {{s: {titled}}}"],
        "defaults over a file": [
            f"default_settings: {general}\nstreams: {{s: {{schema_title: a}}}}",
            f"default_settings: {own}",
        ],
        "stream over a file": [f"streams: {{s: {stream}}}", f"streams: {{s: {own}}}"],
        "wiki over defaults": [
            f"default_settings: {general}\nstreams: {{s: {titled_alone}}}\ndefault_settings_overrides: {{w: {own}}}"
        ],
        "wiki over a stream": [f"streams: {{s: {stream}}}\nstream_overrides: {{w: {{s: {own}}}}}"],
        "wiki over a file": [
            f"streams: {{s: {{schema_title: a}}}}\nstream_overrides: {{w: {{s: {general}}}}}",
            f"stream_overrides: {{w: {{s: {own}}}}}",
        ],
    }


@pytest.mark.parametrize("own", EMPTY)
@pytest.mark.parametrize("way", list(over(CLOSED, EMPTY[0])))
def test_an_empty_section_over_one_that_closes_is_an_error(way: str, own: str) -> None:
    texts = over(CLOSED, own)[way]
    found = [finding for finding in findings(*texts, wiki="w") if "is empty" in finding.reason]

    assert {finding.level for finding in found} == {"error"}, found
    assert found[0].file == f"{len(texts) - 1}.yaml" and found[0].line >= 1
    assert "auth, networks too, which decide who may write" in found[0].reason
    assert "auth: name the ways, or write none" in found[0].hint


@pytest.mark.parametrize("own", EMPTY)
@pytest.mark.parametrize("way", list(over(CHECKED, EMPTY[0])))
def test_over_another_it_is_a_warning(way: str, own: str) -> None:
    found = [finding for finding in findings(*over(CHECKED, own)[way], wiki="w") if "is empty" in finding.reason]

    assert {finding.level for finding in found} == {"warning"}, found


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"streams: {{s: {CLOSED}}}", "streams: {s: }"),
        (f"streams: {{s: {{}}}}\nstream_overrides: {{w: {{s: {CLOSED}}}}}", "stream_overrides: {w: {s: }}"),
        (f"streams: {{s: {{}}}}\nstream_overrides: {{w: {{s: {CLOSED}}}}}", "stream_overrides: {w: }"),
        (f"streams: {{s: {{}}}}\ndefault_settings_overrides: {{w: {CLOSED}}}", "default_settings_overrides: {w: }"),
    ],
)
def test_an_empty_stream_or_wiki_over_an_earlier_file_is_one_too(first: str, second: str) -> None:
    found = findings(f"default_settings: {{schema_title: a}}\n{first}", second, wiki="w")

    [finding] = [one for one in found if "is empty" in one.reason]
    assert (finding.level, finding.file, finding.line) == ("error", "1.yaml", 1)


def test_an_empty_section_over_nothing_is_none() -> None:
    assert findings("default_settings: {producers: }\nstreams: {s: {schema_title: a, producers: {eventgate: }}}") == []


def test_what_the_message_says_unsets_it() -> None:
    closed = "{auth: api_keys, api_keys: [a], origins: ['https://a.example'], enabled: false}"
    own = "{auth: none, api_keys: ['*'], origins: ['*'], enabled: true}"
    text = (
        f"default_settings: {{producers: {{eventgate: {closed}}}}}\n"
        f"streams: {{s: {{schema_title: a, producers: {{eventgate: {own}}}}}}}"
    )
    stream = build([parse(text, "s.yaml")], topic_prefix="", wiki=None).find("s")

    assert findings(text) == [] and stream is not None
    assert (stream.auth, stream.api_keys, stream.origins, stream.enabled) == (("none",), (), (), True)


def test_every_key_still_asks_for_one() -> None:
    text = "streams: {s: {schema_title: a, producers: {eventgate: {api_keys: ['*']}}}}"
    stream = build([parse(text, "s.yaml")], topic_prefix="", wiki=None).find("s")

    assert stream is not None and stream.auth == ("api_keys",) and stream.api_keys == ()
