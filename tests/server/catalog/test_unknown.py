"""Keys of stream settings that are not obeyed are said, and those of other programs are left alone."""

from __future__ import annotations

import pytest

from server.catalog.check_streams import check
from server.config.framework.document import parse
from server.config.framework.finding import Finding


def findings(text: str) -> list[Finding]:
    return check([parse(text, "s.yaml")], topic_prefix="", wiki=None)


@pytest.mark.parametrize(
    ("settings", "key", "level", "words"),
    [
        ("producer: {eventgate: {auth: networks}}", "producer", "error", "Did you mean producers?"),
        ("Producers: {eventgate: {auth: networks}}", "Producers", "error", "Did you mean producers?"),
        ("producers: {event-gate: {auth: networks}}", "producers.event-gate", "error", "Did you mean eventgate?"),
        ("producers: {EventGate: {auth: networks}}", "producers.EventGate", "error", "Did you mean eventgate?"),
        ("producers: {eventgate: {auht: networks}}", "producers.eventgate.auht", "error", "Did you mean auth?"),
        ("producers: {eventgate: {apikeys: [a]}}", "producers.eventgate.apikeys", "error", "Did you mean api_keys?"),
        (
            "producers: {eventgate: {network: [10.0.0.1]}}",
            "producers.eventgate.network",
            "error",
            "Did you mean networks?",
        ),
        (
            "producers: {eventgate: {validate: off}}",
            "producers.eventgate.validate",
            "error",
            "Did you mean validation?",
        ),
        ("producers: {eventgate: {colour: red}}", "producers.eventgate.colour", "warning", "Known here: enabled"),
        ("producers: {auth: networks}", "producers.auth", "error", "Put it below producers.eventgate"),
        ("auth: networks", "auth", "error", "Put it below producers.eventgate"),
        ("on_broker_down: spool", "on_broker_down", "warning", "Put it below producers.eventgate"),
        ("eventgate: {auth: networks}", "eventgate", "error", "Put it below producers"),
        ("producers.eventgate: {auth: networks}", "producers.eventgate", "error", "nested maps"),
        ("message_key_field: {a: a}", "message_key_field", "warning", "Did you mean message_key_fields?"),
        ("sample: {rates: 0.1}", "sample.rates", "error", "Did you mean rate?"),
        (
            "producers: {eventgate: {sample: {unti: a}}}",
            "producers.eventgate.sample.unti",
            "error",
            "Did you mean unit?",
        ),
    ],
)
@pytest.mark.parametrize("place", ["default_settings", "streams"])
def test_a_key_that_is_not_obeyed_is_said(place: str, settings: str, key: str, level: str, words: str) -> None:
    own, general = (settings, "{}") if place == "streams" else ("schema_title: one", f"{{{settings}}}")
    text = f"streams:\n  s: {{schema_title: one, {own}}}\n" if own is settings else f"streams:\n  s: {{{own}}}\n"
    [finding] = findings(f"{text}default_settings:\n  {general}\n")

    assert finding.key.endswith(key)
    assert finding.level == level
    assert words in str(finding)
    assert finding.line == (2 if place == "streams" else 4)


def test_what_other_programs_read_is_left_alone() -> None:
    text = """\
streams:
  s:
    schema_title: one
    consumers: {analytics_hadoop_ingestion: {enabled: true}}
    owner: somebody
    sample: {unit: session, rate: 1, identifier: x}
    producers: {metrics_platform_client: {provide_values: [a]}, mediawiki_eventbus: {enabled: false}}
"""

    assert findings(text) == []


def test_a_section_of_anchors_is_not_a_misspelt_one() -> None:
    text = """\
x-closed: &closed
  producers:
    eventgate:
      auth: netwroks
streams:
  s: {schema_title: one}
  closed:
    <<: *closed
    schema_title: one
"""
    [finding] = findings(text)

    assert (finding.level, finding.stream, finding.line) == ("error", "closed", 4), "where it was written"


@pytest.mark.parametrize(
    "text",
    [
        "streams: {s: {schema_title: a, producers: {eventgate: {'<<': {auth: jwt}}}}}",
        "streams: {s: {schema_title: a, producers: {'<<': {eventgate: {auth: jwt}}}}}",
        "streams: {s: {schema_title: a, '<<': {producers: {eventgate: {auth: jwt}}}}}",
        "default_settings: {'<<': {producers: {eventgate: {auth: jwt}}}}\nstreams: {s: {schema_title: a}}",
        "default_settings_overrides: {'<<': {a: {producers: {}}}}\nstreams: {s: {schema_title: a}}",
        "stream_overrides: {'<<': {s: {producers: {}}}}\nstreams: {s: {schema_title: a}}",
        "'<<': {default_settings: {producers: {eventgate: {auth: jwt}}}}\nstreams: {s: {schema_title: a}}",
    ],
)
def test_a_merge_key_in_quotes_is_an_error(text: str) -> None:
    [finding] = [one for one in findings(text) if "in quotes" in one.reason]

    assert (finding.level, finding.line) == ("error", 1) and "write << without quotes" in finding.hint.lower()
