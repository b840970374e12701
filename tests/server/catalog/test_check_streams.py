"""What is said about declarations of streams: every problem, with its line, stream and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.catalog.check_streams import check
from server.catalog.sources import read_files
from server.config.framework.document import parse
from server.config.framework.finding import Finding
from server.errors import SettingsError


class Repository:
    """Schema titles and the fields that each declares; every field is required but those that end in ``?``."""

    def __init__(self, **titles: list[str]) -> None:
        self.titles = titles

    def versions(self, title: str) -> list[str]:
        return [f"/{title}/1.0.0"] if title in self.titles else []

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        return not {".".join(path), ".".join(path) + "?"}.isdisjoint(self.titles[title])

    def requires(self, title: str, path: tuple[str, ...]) -> bool:
        return ".".join(path) in self.titles[title]


def findings(*texts: str, **options: Any) -> list[Finding]:
    given = {"topic_prefix": "", "wiki": None} | options
    return check([parse(text, f"{n}.yaml") for n, text in enumerate(texts)], **given)


def only(*texts: str, **options: Any) -> Finding:
    found = findings(*texts, **options)
    assert len(found) == 1, list(map(str, found))
    return found[0]


@pytest.mark.parametrize(
    ("setting", "key", "reason"),
    [
        ("schema_title: 5", "schema_title", "found whole number 5"),
        ("schema_title: /one", "schema_title", "begins with a slash"),
        ("schema_title: one/1.0.0", "schema_title", "ends in a version"),
        ("schema_title: one/latest", "schema_title", "ends in a version"),
        ("schema_title: one two", "schema_title", "is not a schema title"),
        ("topics: a", "topics", "found text 'a'; allowed is a list"),
        ("topics: [a, 'b c']", "topics[1]", "found text 'b c'"),
        ("topic_prefixes: eqiad.", "topic_prefixes", "allowed is a list"),
        ("topic_prefixes: {a: b}", "topic_prefixes", "allowed is a list"),
        ("topic_prefixes: ['a b']", "topic_prefixes[0]", "found text 'a b'"),
        ("message_key_fields: [a]", "message_key_fields", "allowed is a map"),
        ("message_key_fields: {a: 1}", "message_key_fields.a", "allowed is a path"),
        ("message_key_fields: {a: b..c}", "message_key_fields.a", "allowed is a path"),
        (
            "producers: {eventgate: {shadow_schema: a/b/1.0.0}}",
            "producers.eventgate.shadow_schema",
            "found text 'a/b/1.0.0'",
        ),
        ("producers: {eventgate: {shadow_schema: 1.0}}", "producers.eventgate.shadow_schema", "a version or `latest`"),
        ("producers: {eventgate: {shadow_rate: 2}}", "producers.eventgate.shadow_rate", "a number from 0 to 1"),
        ("producers: {eventgate: {shadow_rate: true}}", "producers.eventgate.shadow_rate", "a number from 0 to 1"),
        ("destination_event_service: 1", "destination_event_service", "allowed is text"),
        ("canary_events_enabled: yes", "canary_events_enabled", "found text 'yes'; allowed is true or false"),
        ("producers: [eventgate]", "producers", "allowed is a map"),
        ("producers: {eventgate: 1}", "producers.eventgate", "allowed is a map"),
        ("producers: {eventgate: {enabled: 1}}", "producers.eventgate.enabled", "allowed is true or false"),
        ("producers: {eventgate: {validation: on}}", "producers.eventgate.validation", "one of enforce, observe, off"),
        ("producers: {eventgate: {on_broker_down: x}}", "producers.eventgate.on_broker_down", "one of refuse, spool"),
        ("producers: {eventgate: {max_event_bytes: 0}}", "producers.eventgate.max_event_bytes", "from 1"),
        ("producers: {eventgate: {max_event_bytes: true}}", "producers.eventgate.max_event_bytes", "from 1"),
        (
            "producers: {eventgate: {enrich_fields_from_http_headers: [a]}}",
            "producers.eventgate.enrich_fields_from_http_headers",
            "allowed is a map of header names or false",
        ),
        (
            "producers: {eventgate: {enrich_fields_from_http_headers: {a.b: true}}}",
            "producers.eventgate.enrich_fields_from_http_headers.a.b",
            "the name of a header, or false",
        ),
        (
            "producers: {eventgate: {enrich_fields_from_http_headers: {a.b: null}}}",
            "producers.eventgate.enrich_fields_from_http_headers.a.b",
            "found null; allowed is the name of a header, or false",
        ),
        (
            "producers: {eventgate: {enrich_fields_from_http_headers: {a..b: x}}}",
            "producers.eventgate.enrich_fields_from_http_headers.a..b",
            "is not a path",
        ),
        ("sample: 1", "sample", "a map of unit and rate"),
        ("sample: {rate: 2}", "sample.rate", "a number from 0 to 1"),
        ("of_others: .inf", "of_others", "is an infinite number or NaN, which JSON cannot express"),
        ("of_others: {a: [1, -.inf]}", "of_others.a[1]", "is an infinite number or NaN, which JSON cannot express"),
        ("of_others: {a: .nan}", "of_others.a", "is an infinite number or NaN, which JSON cannot express"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_an_error_wherever_it_is_written(setting: str, key: str, reason: str) -> None:
    title = "" if setting.startswith("schema_title") else "schema_title: one, "
    for text, above, stream in (
        (f"streams:\n  s: {{{title}{setting}}}", "streams.s", "s"),
        (f"streams: {{s: {{schema_title: one}}}}\ndefault_settings: {{{setting}}}", "default_settings", None),
        (
            f"streams: {{s: {{schema_title: one}}}}\ndefault_settings_overrides: {{w: {{{setting}}}}}",
            "default_settings_overrides.w",
            None,
        ),
        (
            f"streams: {{s: {{schema_title: one}}}}\nstream_overrides: {{w: {{s: {{{setting}}}}}}}",
            "stream_overrides.w.s",
            "s",
        ),
    ):
        finding = only(text)

        assert (finding.level, finding.file, finding.line) == ("error", "0.yaml", 2)
        assert finding.key == f"{above}.{key}"
        assert finding.stream == stream
        assert reason in finding.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a b", "is not a legal stream name"),
        ("..", "is not a legal stream name"),
        ("x" * 250, "is not a legal stream name"),
        ("/(/", "is not a usable regular expression"),
        ("/(a+)+/", "it is insecure"),
        ("/^a/BAD", "nothing may follow the last slash"),
    ],
)
def test_a_name_that_cannot_be_used_is_an_error(name: str, reason: str) -> None:
    finding = only(f"streams:\n  ok: {{schema_title: one}}\n  '{name}': {{schema_title: one}}")

    assert (finding.level, finding.line, finding.stream) == ("error", 3, name)
    assert reason in finding.reason


def test_a_stream_without_a_title_is_an_error() -> None:
    finding = only("streams:\n  s: {}\n  t: {schema_title: one}")

    assert (finding.line, finding.stream, finding.key) == (2, "s", "schema_title")


def test_a_topic_that_the_prefix_makes_too_long_is_an_error() -> None:
    name = "x" * 245
    text = f"streams:\n  {name}: {{schema_title: one}}"

    assert findings(text) == []
    assert "Kafka would refuse the topic" in only(text, topic_prefix="eqiad.").reason


def test_sections_must_be_maps() -> None:
    assert "allowed is a map" in only("streams: [a]").reason
    assert "allowed is a map of settings" in only("streams: {s: 1}").reason
    assert "allowed is a map of settings" in only("streams: {s: {schema_title: t}}\ndefault_settings: 1").reason
    assert "allowed is a map" in only("streams: {s: {schema_title: t}}\nstream_overrides: {w: 1}").reason


def test_a_mistyped_section_is_an_error_and_a_foreign_one_a_warning() -> None:
    text = "streams: {s: {schema_title: one}}\n"

    mistyped = only(text + "stream_override: {}")
    assert (mistyped.level, mistyped.line, mistyped.hint) == ("error", 2, "did you mean stream_overrides?")
    assert only(text + "stream_for_schema_title: {}").level == "warning"


def test_no_stream_at_all_is_an_error_but_no_source_is_not() -> None:
    assert "declares no stream" in only("default_settings: {}").reason
    assert findings() == []


def test_a_setting_that_is_nearly_one_of_ours_is_a_warning() -> None:
    finding = only("streams:\n  s: {schema_title: one, message_key_field: {a: a}}")

    assert (finding.level, finding.hint) == ("warning", "did you mean message_key_fields?")


def test_every_problem_is_found() -> None:
    found = findings("streams:\n  a: {topics: 1, sample: 2}\n  b: {topics: 3}\ndefault_settings: {producers: 4}")

    assert [finding.line for finding in found] == [2, 2, 3, 4]


def test_an_unknown_title_is_a_warning_unless_it_shall_be_refused() -> None:
    text = "streams:\n  a: {schema_title: web/page_view}\n  b:\n    schema_title: web/page_veiw"
    repository = Repository(**{"web/page_view": []})

    finding = only(text, schemas=repository)
    assert (finding.level, finding.line, finding.stream) == ("warning", 4, "b")
    assert finding.hint.endswith("did you mean web/page_view?")
    assert only(text, schemas=repository, refuse_unknown=True).level == "error"


def test_when_no_title_is_found_the_repositories_are_wrong() -> None:
    finding = only("streams: {a: {schema_title: x}, b: {schema_title: y}}", schemas=Repository())

    assert finding.level == "error"
    assert "base_uris" in finding.hint


def test_a_key_field_that_no_version_declares_is_an_error_where_it_is_written() -> None:
    text = "default_settings:\n  message_key_fields:\n    id: page.id\nstreams:\n  a: {schema_title: one}"

    assert findings(text, schemas=Repository(one=["page.id"])) == []
    finding = only(text, schemas=Repository(one=["page"]))
    assert (finding.level, finding.line, finding.stream, finding.key) == ("error", 3, "a", "message_key_fields.id")


def test_a_finding_names_the_file_whose_value_won() -> None:
    earlier = "streams:\n  a:\n    schema_title: one\n  b: {schema_title: one}"
    later = "\n\nstreams:\n  a:\n    schema_title: gone"

    finding = only(earlier, later, schemas=Repository(one=[]))

    assert (finding.file, finding.line) == ("1.yaml", 5)


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        (r"/^a\..+/", r"/^a\.b/", True),
        (r"/^a\.b/", r"/^a\..+/", True),
        (r"/^a\./", r"/^b\./", False),
    ],
)
def test_two_regexes_for_one_name_are_a_warning(first: str, second: str, is_told: bool) -> None:
    found = findings(f"streams:\n  '{first}': {{schema_title: one}}\n  '{second}': {{schema_title: one}}")

    assert [(finding.level, finding.stream) for finding in found] == [("warning", second)] * is_told


def test_a_foreign_name_in_the_settings_is_a_warning() -> None:
    finding = only("streams: {a: {schema_title: one, stream: b}}")

    assert (finding.level, finding.key) == ("warning", "stream")


def test_an_override_that_adds_a_stream_needs_its_title_too() -> None:
    text = "streams: {a: {schema_title: one}}\nstream_overrides: {w: {\n b: {}}}"

    assert findings(text) == []
    assert only(text, wiki="w").line == 3


def test_a_file_that_cannot_be_read_or_parsed_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_files([tmp_path / "none.yaml"])
    bad = tmp_path / "bad.yaml"
    bad.write_text("streams:\n  a: {}\n  a: {}\n")
    with pytest.raises(SettingsError, match=r"bad\.yaml:3: .*twice"):
        read_files([bad])
    bad.write_text("- a\n")
    with pytest.raises(SettingsError, match="must be a map"):
        read_files([bad])


def test_a_key_field_that_an_event_may_lack_is_a_warning() -> None:
    finding = only(
        "streams:\n  a:\n    schema_title: one\n    message_key_fields: {id: page.id}",
        schemas=Repository(one=["page.id?"]),
    )

    assert (finding.level, finding.line, finding.key) == ("warning", 4, "message_key_fields.id")
    assert "missing_key_field" in finding.hint


def test_a_header_of_a_streams_own_that_no_schema_takes_is_a_warning() -> None:
    text = "schema_title: one, producers: {eventgate: {enrich_fields_from_http_headers: {http.ua: x-ua, off: false}}}"

    finding = only(f"streams:\n  a: {{{text}}}", schemas=Repository(one=["other"]))
    assert (finding.level, finding.line, finding.stream) == ("warning", 2, "a")
    assert "http.ua" in finding.reason
    assert findings(f"streams:\n  a: {{{text}}}", schemas=Repository(one=["http.ua"])) == []
    defaults = "default_settings: {producers: {eventgate: {enrich_fields_from_http_headers: {http.ua: x-ua}}}}\n"
    assert findings(f"{defaults}streams: {{a: {{schema_title: one}}}}", schemas=Repository(one=["other"])) == []


def test_fields_are_not_looked_for_when_the_time_is_over() -> None:
    text = "streams: {a: {schema_title: one, message_key_fields: {id: nothing}}, b: {schema_title: none}}"

    assert [finding.stream for finding in findings(text, schemas=Repository(one=[]))] == ["a", "b"]
    assert [finding.stream for finding in findings(text, schemas=Repository(one=[]), until=0.0)] == ["b"]


def test_a_service_that_is_nearly_another_is_a_warning() -> None:
    text = (
        "default_settings: {destination_event_service: eventgate-main}\n"
        "streams:\n  a: {schema_title: one}\n  b: {schema_title: one}\n"
        "  c: {schema_title: one, destination_event_service: eventgate-mian}\n"
        "  d: {schema_title: one, destination_event_service: another}"
    )

    finding = only(text)
    assert (finding.level, finding.line, finding.stream) == ("warning", 5, "c")
    assert "eventgate-main" in finding.hint


def test_a_bad_name_in_an_override_for_another_wiki_is_a_warning_with_its_line() -> None:
    text = "streams: {a: {schema_title: one}}\nstream_overrides:\n  w:\n    '/(/': {schema_title: one}"

    finding = only(text)
    assert (finding.level, finding.line, finding.stream) == ("warning", 4, "/(/")
    assert only(text, wiki="w").level == "error"


def test_a_shadow_schema_that_no_repository_has_is_a_warning() -> None:
    text = "schema_title: one, producers: {{eventgate: {{shadow_schema: {}}}}}"

    finding = only(f"streams:\n  a: {{{text.format('1.1.0')}}}", schemas=Repository(one=[]))
    assert (finding.level, finding.line, finding.key) == ("warning", 2, "producers.eventgate.shadow_schema")
    assert (finding.reason, finding.hint) == (
        "schema one has no version '1.1.0', so no event is judged by it",
        "the versions are 1.0.0",
    )
    for version in ("1.0.0", "latest", "null"):
        found = findings(f"streams:\n  a: {{{text.format(version)}}}", schemas=Repository(one=[]))
        assert [one for one in found if "is empty" not in one.reason] == []
