"""``penstock check``: every finding, a summary, an exit code."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from server.boot.examine import examine, usable
from server.commands.check import run
from server.config.load import load
from server.errors import EXIT_DONE, EXIT_SETTINGS, SettingsError

CORPUS = Path(__file__).parents[3].parent / "shared" / "corpus"
SCHEMA = """\
title: {title}
$id: /{title}/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
properties:
  $schema: {{type: string}}
  name: {{type: string{more}}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "settings.yaml").write_text(
        "sink: {kind: memory}\nschemas: {base_uris: [schemas]}\nstreams: {sources: [streams.yaml]}\n"
    )
    (tmp_path / "streams.yaml").write_text("streams:\n  a: {schema_title: one}\n  b: {schema_title: two/three}\n")
    for title in ("one", "two/three"):
        write_schema(tmp_path, title)
    return tmp_path


def write_schema(directory: Path, title: str, version: str = "1.0.0", more: str = "") -> None:
    path = directory / "schemas" / title / f"{version}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCHEMA.format(title=title, more=more))


def check(directory: Path, *options: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = run(directory / "settings.yaml", options, environ={}, out=out)
    return code, out.getvalue().replace(f"{directory}/", "").splitlines()


def test_what_is_right_is_summed_up_in_one_line(directory: Path) -> None:
    code, lines = check(directory)

    assert code == EXIT_DONE
    assert lines == [
        "schema versions by how events are validated: 2 one-pass",
        "settings.yaml: 2 streams, 2 schema titles, 2 versions: 0 error(s), 0 warning(s).",
    ]


def test_what_the_reference_alone_can_judge_is_said_with_the_reason(directory: Path) -> None:
    write_schema(directory, "one", "1.1.0")
    with (directory / "schemas/one/1.1.0.yaml").open("a") as file:
        file.write("  tree: {$ref: '#'}\n")

    code, lines = check(directory)

    assert code == EXIT_DONE
    assert lines[0].startswith("info: /one/1.1.0 is validated by the reference alone, not in one pass: ")
    assert lines[0].endswith(" at /properties/tree")
    assert lines[1] == "schema versions by how events are validated: 2 one-pass, 1 reference"


def test_a_broken_schema_of_an_open_service_is_a_warning(directory: Path) -> None:
    """No stream names it, and its first event would be the first to learn of it."""
    write_schema(directory, "two/broken", more=", maxLength: many")

    code, lines = check(directory, "streams.sources=[]")

    assert code == EXIT_DONE
    assert "settings.yaml:2: schemas.base_uris: schema /two/broken/1.0.0 cannot be used: " in lines[0]
    assert lines[-1] == "settings.yaml: any stream: 0 error(s), 1 warning(s)."


@pytest.mark.parametrize("address", ["0.0.0.0:8192", ":8192", "[::]:8192", "192.0.2.1:8192", "intake.example:8192"])
def test_an_address_for_other_hosts_without_auth_is_a_warning(directory: Path, address: str) -> None:
    code, lines = check(directory, f"http.listen=['127.0.0.1:8191', '{address}']")

    assert code == EXIT_DONE
    assert f"http.listen[1]: every host that reaches {address} may send events, because no key" in lines[0]


@pytest.mark.parametrize(
    "overrides",
    [
        ("http.listen=['127.0.0.1:8192', '[::1]:8192', 'localhost:8191', 'unix:@name']",),
        ("http.listen=[':8192']", "auth.default=[none]"),
        ("http.listen=[':8192']", "auth.default=[networks]", "auth.networks=[10.0.0.0/8]"),
    ],
)
def test_an_address_that_is_closed_or_meant_to_be_open_is_none(directory: Path, overrides: tuple[str, ...]) -> None:
    assert check(directory, *overrides)[1][-1].endswith("0 error(s), 0 warning(s).")


def test_streams_that_all_ask_for_a_key_need_no_default(directory: Path) -> None:
    (directory / "streams.yaml").write_text(
        "streams:\n  a: {schema_title: one, producers: {eventgate: {auth: networks, networks: [10.0.0.0/8]}}}\n"
    )

    assert check(directory, "http.listen=[':8192']")[1][-1].endswith("0 error(s), 0 warning(s).")


def test_the_embedded_default_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()

    assert run(None, [], environ={}, out=out) == EXIT_DONE
    assert "0 error(s), 0 warning(s)." in out.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_end_with_every_finding(directory: Path) -> None:
    code, lines = check(directory, "drain_s=x", "nope=1")

    assert code == EXIT_SETTINGS
    assert len(lines) == 3
    assert lines[-1] == "2 error(s): these settings cannot be used."


def test_bad_streams_are_found_with_file_line_and_stream(directory: Path) -> None:
    (directory / "streams.yaml").write_text("streams:\n  a: {schema_title: /one}\n  b: {topics: x}\n")

    code, lines = check(directory)

    assert code == EXIT_SETTINGS
    assert lines[0].startswith("error: streams.yaml:2: stream a, streams.a.schema_title: '/one' begins with a slash")
    assert lines[1].startswith("error: streams.yaml:3: stream b, streams.b.topics: found text 'x'")
    assert lines[-1] == "settings.yaml: 2 error(s), 0 warning(s)."


def test_a_source_that_is_not_there_is_named(directory: Path) -> None:
    code, lines = check(directory, "streams.sources=[none.yaml]")

    assert code == EXIT_SETTINGS
    assert lines[0] == "none.yaml: cannot be read: No such file or directory. Check streams.sources"


def test_a_schema_that_cannot_be_used_is_an_error_whichever_version_it_is(directory: Path) -> None:
    write_schema(directory, "one", "0.9.0", more=", pattern: '^a'")
    write_schema(directory, "two/three", "1.1.0", more=", minLength: x")

    code, lines = check(directory)

    assert code == EXIT_SETTINGS
    assert lines[0].startswith("error: streams.yaml:2: stream a: schema /one/0.9.0 cannot be used: ")
    assert "allow_insecure" in lines[0]
    assert lines[1].startswith("error: streams.yaml:3: stream b: schema /two/three/1.1.0 cannot be used: ")
    assert check(directory, "schemas.allow_insecure=true")[1][0].startswith("error: streams.yaml:3")


FIELDS = """\
streams:
  a:
    schema_title: one
    message_key_fields: {k: id}
    producers: {eventgate: {enrich_fields_from_http_headers: {agent: user-agent}}}
  b: {schema_title: two/three, message_key_fields: {k: gone}}
"""


@pytest.mark.parametrize("more", [", type: x", ", $ref: /none/1.0.0", ", x-privacy: dorp", ": ["])
def test_of_a_schema_that_cannot_be_used_nothing_else_is_told(directory: Path, more: str) -> None:
    """Whether it has the fields that its stream names is unknown, and another stream's fault does not hide it."""
    write_schema(directory, "one", "1.1.0", more)
    (directory / "streams.yaml").write_text(FIELDS)

    code, lines = check(directory)

    assert code == EXIT_SETTINGS
    assert lines[0].startswith("error: streams.yaml:6: stream b, message_key_fields.k: no version of schema two/three")
    assert lines[1].startswith("error: streams.yaml:2: stream a: schema /one/1.1.0 cannot be used: ")
    assert [line for line in lines[2:] if line.startswith(("error", "warning"))] == []


@pytest.mark.parametrize("wrong", ["c d: {schema_title: one}", "c: {}"])
def test_a_fault_of_one_stream_hides_no_schema_of_another(directory: Path, wrong: str) -> None:
    write_schema(directory, "one", more=", minLength: x")
    (directory / "streams.yaml").write_text(f"streams:\n  a: {{schema_title: one}}\n  {wrong}\n")
    told = "\n".join(check(directory)[1])

    assert "error: streams.yaml:3" in told
    assert "error: streams.yaml:2: stream a: schema /one/1.0.0 cannot be used" in told


def test_a_title_without_a_schema_is_a_warning_or_an_error_as_set(directory: Path) -> None:
    (directory / "streams.yaml").write_text("streams:\n  a: {schema_title: one}\n  b: {schema_title: gone}\n")

    assert check(directory)[0] == EXIT_DONE
    assert check(directory)[1][0].startswith("warning: streams.yaml:3: stream b, schema_title: no schema repository")
    assert check(directory, "streams.unknown_titles=refuse")[0] == EXIT_SETTINGS


def test_a_directory_of_schemas_that_is_not_there_is_an_error_beside_the_others(directory: Path) -> None:
    (directory / "streams.yaml").write_text("streams: {a: {schema_title: one, topics: x}}\n")

    code, lines = check(directory, "schemas.base_uris=[none]")

    assert code == EXIT_SETTINGS
    assert lines[0].startswith("error: --set schemas.base_uris: schemas.base_uris: ")
    assert "none" in lines[0]
    assert "allowed is a list" in lines[1]


def test_a_section_that_nothing_uses_is_a_warning(directory: Path) -> None:
    code, lines = check(directory, "admin.listen=127.0.0.1:1", "spool.path=x")

    assert code == EXIT_DONE
    assert [line.split(":")[0] for line in lines].count("warning") == 1
    assert "has no effect with sink.kind: memory" in lines[0]


def test_kafka_properties_that_break_a_promise_are_errors(directory: Path) -> None:
    code, lines = check(directory, "sink.kind=kafka", "sink.kafka.acks=0", "sink.kafka.bootstrap.servers=a:1")

    assert code == EXIT_SETTINGS
    assert lines[0].startswith("error: --set sink.kafka.acks: sink.kafka.acks: ")


def test_a_service_that_could_accept_no_event_is_an_error(directory: Path) -> None:
    (directory / "streams.yaml").write_text("streams: {a: {schema_title: one, destination_event_service: other}}\n")

    no_errors = "intake.error_stream=''"

    code, lines = check(directory, "service_name=mine", no_errors)

    assert code == EXIT_SETTINGS
    assert "no declared stream has 'mine'" in lines[0]
    assert check(directory, "service_name=other", no_errors)[1][-1].startswith("settings.yaml: 1 streams")

    off = "producers: {eventgate: {enabled: false}}"
    (directory / "streams.yaml").write_text(f"streams: {{a: {{schema_title: one, {off}}}}}\n")
    code, lines = check(directory, no_errors)

    assert code == EXIT_SETTINGS
    assert "every declared stream has `producers.eventgate.enabled: false`" in lines[0]


def test_events_that_go_to_none_of_their_topics_are_a_warning(directory: Path) -> None:
    """Readers of the stream's topics would never see them."""
    text = "streams: {a: {schema_title: one, topic_prefixes: [east., west.]}, b: {schema_title: one, topics: [x, y]}}\n"
    (directory / "streams.yaml").write_text(text)
    code, lines = check(directory, "intake.error_stream=''")

    assert code == EXIT_DONE
    assert "its events go to 'a', which is none of its topics (east.a, west.a), and so do those of 1 other" in lines[0]
    assert "set sink.topic_prefix: 'east.' or 'west.'" in lines[0].replace("Set", "set")

    (directory / "streams.yaml").write_text(text.split(", b:")[0] + "}\n")

    assert "0 warning(s)" in check(directory, "intake.error_stream=''", "sink.topic_prefix=east.")[1][-1]


def test_error_events_without_a_stream_or_a_schema_are_a_warning(directory: Path) -> None:
    assert "no stream 'e' is declared" in check(directory, "intake.error_stream=e")[1][0]
    assert "schema /error/2.1.0 cannot be used" in check(directory, "intake.error_stream=a")[1][0]


def test_alarm_events_without_a_stream_or_a_schema_are_a_warning(directory: Path) -> None:
    assert "no stream 'e' is declared: there will be no alarm" in check(directory, "intake.alarm_stream=e")[1][0]
    assert "schema /penstock/expectation_alarm/1.0.0 cannot be used" in check(directory, "intake.alarm_stream=a")[1][0]
    assert check(directory, "intake.alarm_stream=a b")[0] == EXIT_SETTINGS


@pytest.mark.parametrize("declared", ["streams:\n  a: {schema_title: one}\n", ""], ids=["declared", "open"])
def test_an_expectation_that_cannot_be_used_is_a_warning_with_file_and_line(directory: Path, declared: str) -> None:
    write_schema(directory, "one", "1.1.0", ", x-expect: [{minLength: 1},\n    {minLength: -1}]")
    (directory / "streams.yaml").write_text(declared or "streams: {}\n")
    sources = [] if declared else ["streams.sources=[]"]
    code, lines = check(directory, *sources)

    assert code == EXIT_DONE
    (line,) = [line for line in lines if line.startswith("warning")]
    assert line.startswith("warning: schemas/one/1.1.0.yaml:8: the expectation #/properties/name/x-expect/1 of schema ")
    assert "/one/1.1.0 cannot be used: is not a schema of its draft: '.minLength' should be >= 0" in line


@pytest.mark.parametrize("declared", ["streams:\n  a: {schema_title: one}\n", ""], ids=["declared", "open"])
def test_a_schema_whose_large_events_are_refused_is_a_warning_with_file_and_line(
    directory: Path, declared: str
) -> None:
    choices = ", ".join(f"{{multipleOf: {n}}}" for n in range(101, 181))
    write_schema(directory, "one", "1.1.0", f"}}\n  all: {{items: {{\n    not: {{anyOf: [{choices}]}}}}")
    (directory / "streams.yaml").write_text(declared or "streams: {}\n")
    code, lines = check(directory, *([] if declared else ["streams.sources=[]"]))

    assert code == EXIT_DONE
    (line,) = [line for line in lines if line.startswith("warning")]
    assert line.startswith(
        "warning: schemas/one/1.1.0.yaml:9: judging an event by #/properties/all/items/not of schema "
    )
    assert "of schema /one/1.1.0 may take up to 4,8" in line and "500,000 steps are allowed" in line


def test_without_sources_every_stream_is_taken(directory: Path) -> None:
    assert check(directory, "streams.sources=[]") == (
        EXIT_DONE,
        ["settings.yaml: any stream: 0 error(s), 0 warning(s)."],
    )


def test_what_passes_can_be_served_and_what_does_not_is_refused(directory: Path) -> None:
    path = directory / "settings.yaml"

    snapshot, schemas = usable(examine(load(path, [], {})))
    assert snapshot.find("a") is not None
    assert not isinstance(schemas.find("/one/1.0.0"), tuple)
    with pytest.raises(SettingsError, match="there is no directory"):
        usable(examine(load(path, ["schemas.base_uris=[none]"], {})))


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")
@pytest.mark.parametrize("streams", ["streams.yaml", "streams-production.yaml"])
def test_the_real_schemas_and_declarations_pass(streams: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(
        f"service_name: eventgate-main\nschemas: {{base_uris: [{CORPUS}/jsonschema]}}\n"
        f"streams: {{sources: [{CORPUS}/{streams}]}}\n"
    )

    code, lines = check(tmp_path)

    assert code == EXIT_DONE
    assert [line for line in lines if line.startswith("error")] == []


def test_the_command_ends_without_a_traceback(directory: Path) -> None:
    command = [sys.executable, "-m", "server", "check", "-c", str(directory / "settings.yaml"), "--set", "a=1"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == EXIT_SETTINGS
    assert "there is no setting a" in done.stdout
    assert done.stderr == ""
