"""From file, environment and command line to one frozen Config, or to every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config.load import EXAMPLE, Loaded, load
from server.errors import EXIT_SETTINGS, SettingsError


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(directory: Path, text: str, *options: str, **environ: str) -> Loaded:
    path = directory / "settings.yaml"
    path.write_text(text)
    return load(path, options, environ)


def refused(directory: Path, text: str, *options: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(directory, text, *options, **environ)
    assert caught.value.exit_code == EXIT_SETTINGS
    return str(caught.value).replace(f"{directory}/", "").splitlines()


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "http:\n", "http:\n  limits:\n", '{"http": {}}'])
def test_every_key_has_a_default_and_an_empty_section_has_its_own(directory: Path, text: str) -> None:
    config = read(directory, text).config

    assert config.http.listen == ["127.0.0.1:8192"]
    assert config.http.limits.max_body_bytes == 4_194_304
    assert (config.sink.kind, config.workers, config.streams.sources) == ("kafka", "auto", [])


def test_values_are_read_and_the_config_cannot_be_changed(directory: Path) -> None:
    config = read(directory, "drain_s: 5\nhttp: {limits: {max_events: 7}}\nsink: {kafka: {acks: all}}").config

    assert (config.drain_s, config.http.limits.max_events, config.sink.kafka) == (5.0, 7, {"acks": "all"})
    with pytest.raises(AttributeError):
        config.drain_s = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service_nam: x", "settings.yaml:1: service_nam: unknown setting. Did you mean service_name?"),
        (
            "http:\n  limits:\n    idel_s: 3",
            "settings.yaml:3: http.limits.idel_s: unknown setting. Did you mean http.limits.idle_s?",
        ),
        ("topic_prefix: x.", "settings.yaml:1: topic_prefix: unknown setting. Did you mean sink.topic_prefix?"),
        (
            "http: {backlog: 0}",
            "settings.yaml:1: http.backlog: found whole number 0; allowed is a whole number from 1 to 10,000,000.",
        ),
        (
            "http: {backlog: '5'}",
            (
                "settings.yaml:1: http.backlog: found text '5'; allowed is a whole number from 1 to 10,000,000. "
                "Write the number without quotes"
            ),
        ),
        (
            "service_name: 5",
            (
                "settings.yaml:1: service_name: found whole number 5; allowed is text that is not empty, or null. "
                "Put it in quotes"
            ),
        ),
        (
            "http: {listen: 'a:1'}",
            (
                "settings.yaml:1: http.listen: found text 'a:1'; allowed is a list of one or more, each text that is "
                "not empty. Write it as a list: [value]"
            ),
        ),
        (
            "http:\n  listen:\n  - a:1\n  - 5",
            (
                "settings.yaml:4: http.listen[1]: found whole number 5; allowed is text that is not empty. "
                "Put it in quotes"
            ),
        ),
        (
            "http: {limits: {max_body_bytes: 4MB}}",
            (
                "settings.yaml:1: http.limits.max_body_bytes: found text '4MB'; allowed is a whole number from 1,024 "
                "to 17,179,869,184. Write bytes as a plain number: 1 MiB is 1048576"
            ),
        ),
        (
            "drain_s: .inf",
            (
                "settings.yaml:1: drain_s: found number inf; allowed is a number above 0 to 86,400. "
                "Write seconds as a plain number"
            ),
        ),
        (
            "profile: public",
            "settings.yaml:1: profile: found text 'public'; allowed is one of external, internal.",
        ),
        (
            "workers: 0",
            "settings.yaml:1: workers: found whole number 0; allowed is a whole number from 1 to 256, or auto.",
        ),
        (
            "log: json",
            (
                "settings.yaml:1: log: found text 'json'; allowed is a map of settings. "
                "Known in it: level, style, client_text"
            ),
        ),
        (
            "workers: null",
            (
                "settings.yaml:1: workers: found null; allowed is a whole number from 1 to 256, or auto. "
                "Leave the line out to use the default"
            ),
        ),
        (
            "log: {level: yes}",
            "settings.yaml:1: log.level: found text 'yes'; allowed is one of debug, error, info, warning.",
        ),
        ("- a", "settings.yaml:1: the top must be a map of settings, not a list. Write `name: value` lines"),
    ],
)
def test_a_message_has_file_line_key_what_was_found_what_is_allowed_and_a_hint(
    directory: Path, text: str, expected: str
) -> None:
    assert refused(directory, text) == [expected]


def test_every_problem_of_every_source_is_reported(directory: Path) -> None:
    lines = refused(directory, "nope: 1\ndrain_s: -1\nlog:\n  level: x", "http.nope=1", PENSTOCK_NOPE="1")

    assert [line.split(": ")[0] for line in lines] == [
        "PENSTOCK_NOPE",
        "--set http.nope",
        "settings.yaml:1",
        "settings.yaml:2",
        "settings.yaml:4",
    ]


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "a: 1\n b: 2", "\ta: 1"])
def test_what_is_not_yaml_is_refused_with_its_line(directory: Path, text: str) -> None:
    (line,) = refused(directory, text)

    assert line.startswith("settings.yaml:")


def test_a_file_that_cannot_be_read_is_named(directory: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file"):
        load(directory / "none.yaml", [], {})
    (directory / "binary.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(directory / "binary.yaml", [], {})


def test_the_environment_overrides_the_file_and_the_command_line_both(directory: Path) -> None:
    text = "drain_s: 1\nhttp: {backlog: 1}\nworkers: 1"

    config = read(directory, text, "workers=3", PENSTOCK_WORKERS="2", PENSTOCK_HTTP__BACKLOG="2").config

    assert (config.drain_s, config.http.backlog, config.workers) == (1, 2, 3)


def test_a_value_that_an_override_replaced_is_not_blamed_on_its_line(directory: Path) -> None:
    assert refused(directory, "workers: 2", "workers=0") == [
        "--set workers: workers: found whole number 0; allowed is a whole number from 1 to 256, or auto."
    ]
    assert read(directory, "workers: 0", "workers=2").config.workers == 2
    assert refused(directory, "http: {listen: [a]}", "http.listen=[b]")[0].startswith(
        "--set http.listen: http.listen[0]"
    )


def test_paths_are_relative_to_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    below = directory / "etc"
    below.mkdir()

    loaded = read(below, "")

    assert loaded.path("schemas/") == below / "schemas"
    assert loaded.path("/absolute") == Path("/absolute")


def test_a_relative_file_gives_an_absolute_base(directory: Path) -> None:
    (directory / "settings.yaml").write_text("")

    assert load(Path("settings.yaml"), [], {}).base_dir == directory


def test_the_embedded_default_keeps_data_in_the_working_directory_and_finds_its_examples(directory: Path) -> None:
    loaded = load(None, [], {})

    assert loaded.path(loaded.config.sink.sqlite.path) == directory / "var/events"
    assert loaded.path(loaded.config.spool.path) == directory / "var/spool"
    assert loaded.path(loaded.config.streams.sources[0]) == EXAMPLE.parent / "streams.yaml"
    assert loaded.path(loaded.config.schemas.base_uris[0]) == EXAMPLE.parent / "schemas"
    assert loaded.config.http.listen == ["127.0.0.1:8192"]


def test_paths_given_beside_the_embedded_default_are_relative_to_the_working_directory(directory: Path) -> None:
    loaded = load(None, ["streams.sources=[mine.yaml]"], {})

    assert loaded.path(loaded.config.streams.sources[0]) == directory / "mine.yaml"


def test_lines_of_the_file_are_kept(directory: Path) -> None:
    loaded = read(directory, "drain_s: 1\nhttp:\n  backlog: 5", "drain_s=2")

    assert loaded.lines[("http", "backlog")] == 3
    assert loaded.origin("http", "backlog") == (str(directory / "settings.yaml"), 3)
    assert loaded.origin("drain_s") == ("--set drain_s", 0)


SECRET = "s3cr3t-value"


def test_a_secret_is_read_from_a_file_without_its_line_end(directory: Path) -> None:
    (directory / "password").write_text(SECRET + "\n")

    config = read(directory, "sink: {kafka_files: {sasl.password: password}}").config

    assert config.sink.kafka["sasl.password"] == SECRET
    assert config.sink.kafka["bootstrap.servers"] == "127.0.0.1:9092"


def test_a_secret_file_that_is_absent_or_doubled_is_refused(directory: Path) -> None:
    text = "sink:\n  kafka_files:\n    sasl.password: none"

    (line,) = refused(directory, text)
    assert line == "settings.yaml:3: sink.kafka_files.sasl.password: none cannot be read: No such file or directory."
    (line,) = refused(directory, text + "\n  kafka: {sasl.password: x}")
    assert "is set in sink.kafka as well" in line


def test_a_secret_is_in_no_repr(directory: Path) -> None:
    (directory / "pem").write_text(SECRET)
    text = f"sink: {{kafka: {{sasl.password: {SECRET}, client.id: shown}}, kafka_files: {{ssl.key.pem: pem}}}}"

    loaded = read(directory, text)

    for shown in (repr(loaded), repr(loaded.config), str(loaded.config.sink), repr(loaded._document)):
        assert SECRET not in shown
    assert "shown" in repr(loaded.config)


@pytest.mark.parametrize(
    ("text", "option"),
    [
        (f"sink: {{kafka: {{sasl.password: [{SECRET}]}}}}", ""),
        (f"sink: {{kafka: [{SECRET}]}}", ""),
        (f"sink: {{kafka: {SECRET}}}", ""),
        ("", f"sink.kafka={SECRET}"),
        ("", f"sink.kafka={{sasl.password: [{SECRET}"),
        ("", f"sink.kafka={{sasl.password: [{SECRET}]}}"),
        ("", f"sink={{kafka: {{sasl.password: [{SECRET}]}}}}"),
        ("", f"sink={SECRET}"),
        (f"sink: {SECRET}", ""),
    ],
)
def test_a_secret_is_in_no_message(directory: Path, text: str, option: str) -> None:
    lines = refused(directory, text, *([option] if option else []))

    assert SECRET not in "".join(lines)


def test_the_defaults_that_depend_on_others(directory: Path) -> None:
    assert not read(directory, "").config.rejects_duplicates
    assert read(directory, "profile: external").config.rejects_duplicates
    assert not read(directory, "profile: external\nintake: {duplicate_keys: accept}").config.rejects_duplicates
    assert read(directory, "").config.error_stream is None
    assert read(directory, "service_name: main").config.error_stream == "main.error.validation"
    assert read(directory, "service_name: main\nintake: {error_stream: ''}").config.error_stream is None
    assert read(directory, "intake: {error_stream: e}").config.error_stream == "e"


@pytest.mark.parametrize("value", ["123", "0x1F", "1e3", "true", "-5"])
@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.password"])
def test_a_secret_that_yaml_takes_for_something_else_is_refused_and_not_shown(
    directory: Path, name: str, value: str
) -> None:
    (line,) = refused(directory, f"sink:\n  kafka:\n    {name}: {value}")

    assert line.startswith(f"settings.yaml:3: sink.kafka.{name}: found ")
    assert line.endswith("(not shown); a secret is text. Put it in quotes")


@pytest.mark.parametrize("text", ["workers: 010", "drain_s: 007", "sink: {kafka: {sasl.password: 0123}}", "x: [-08]"])
def test_a_number_that_others_take_for_octal_is_refused_and_not_shown(directory: Path, text: str) -> None:
    """010 is 8 to YAML 1.1 and 10 to YAML 1.2 (section 10.3.2)."""
    (line,) = refused(directory, text)

    assert line.startswith("settings.yaml:1: has a number that begins with 0")
    assert "0123" not in line
    assert read(directory, "workers: 0o17\nservice_name: '007'\ndrain_s: 0.5").config.workers == 15


@pytest.mark.parametrize("text", ["010", "08", "-010", "010.5", "!!int 010", "!!float 010"])
@pytest.mark.parametrize("setting", ["http.limits.max_event_bytes", "drain_s", "workers"])
def test_it_is_refused_in_variables_and_options_too(directory: Path, setting: str, text: str) -> None:
    variable = f"PENSTOCK_{setting.upper().replace('.', '__')}"
    words = f"the value for {setting} has a number that begins with 0"

    assert refused(directory, "", **{variable: text})[0].startswith(f"{variable}: {words}")
    assert refused(directory, "", f"{setting}={text}")[0].startswith(f"--set {setting}: {words}")


def test_it_is_refused_inside_a_map_and_is_text_where_text_is_allowed(directory: Path) -> None:
    (line,) = refused(directory, "", "http.limits={max_event_bytes: 010}")
    assert line.startswith("--set http.limits: the value for http.limits has a number that begins with 0")
    kafka = {"PENSTOCK_SINK__KAFKA__SASL_USERNAME": "007", "PENSTOCK_SINK__KAFKA__CLIENT_ID": "010"}
    assert read(directory, "", **kafka).config.sink.kafka == {"sasl.username": "007", "client.id": "010"}


def test_a_number_with_underscores_is_text_and_the_hint_says_so(directory: Path) -> None:
    (line,) = refused(directory, "http: {backlog: 1_024}")

    assert line.endswith("Write the number without underscores")


def test_paths_among_properties_are_relative_to_the_settings_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "elsewhere").mkdir()
    monkeypatch.chdir(directory / "elsewhere")
    text = "sink: {kafka: {ssl.ca.location: certs/ca.pem, ssl.key.location: /srv/key.pem, https.ca.location: probe}}"

    assert read(directory, text).config.sink.kafka == {
        "ssl.ca.location": str(directory / "certs/ca.pem"),
        "ssl.key.location": "/srv/key.pem",
        "https.ca.location": "probe",
    }


def test_a_byte_order_mark_is_no_part_of_a_secret(directory: Path) -> None:
    (directory / "password").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")

    assert (
        read(directory, "sink: {kafka_files: {sasl.password: password}}").config.sink.kafka["sasl.password"] == SECRET
    )


def test_what_is_merged_is_checked_as_if_it_stood_there_with_its_own_line(directory: Path) -> None:
    text = "http:\n  limits: &limits\n    max_events: many\nintake: {test_events: [{<<: *limits}]}\n"
    lines = refused(directory, text)

    assert [line.partition(": ")[0] for line in lines] == ["settings.yaml:3"]
    assert read(directory, "sink:\n  sqlite: &a {path: b}\nspool: {<<: *a, max_bytes: 4096}").config.spool.path == "b"
