"""``penstock check`` finds what is wrong with the settings by which streams are public."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from server.commands.check import run

SETTINGS = "sink: {kind: sqlite}\nschemas: {base_uris: [schemas]}\nstreams: {sources: [streams.yaml]}\n"
SCHEMA = """\
title: one
$id: /one/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
additionalProperties: false
properties:
  $schema: {type: string}
  http: {type: object, additionalProperties: false, properties: {client_ip: {type: string}}}
"""


def check(directory: Path, consumers: str, *options: str, name: str = "a") -> tuple[int, list[str]]:
    (directory / "settings.yaml").write_text(SETTINGS)
    path = directory / "schemas" / "one" / "1.0.0.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCHEMA)
    (directory / "streams.yaml").write_text(
        f"streams:\n  {name}:\n    schema_title: one\n    consumers:\n      eventstreams: {consumers}\n"
    )
    out = io.StringIO()
    code = run(directory / "settings.yaml", options, environ={}, out=out)
    lines = out.getvalue().replace(f"{directory}/", "").splitlines()
    return code, [line for line in lines if "consumers" in line]


@pytest.mark.parametrize(
    ("consumers", "level", "says"),
    [
        ("{enabled: true, redakt: [http]}", "error", "unknown field `redakt`"),
        ("{enabled: 7}", "error", "Expected `bool`, got `int`"),
        ("{auth: sesame}", "error", "sesame is not one of: api_keys, jwt, networks, none"),
        ("{auth: none, api_keys: [bot]}", "error", "has no effect without auth: api_keys"),
        ("{redact_when: [{filter: 'page:(', paths: [http]}]}", "error", "redact_when"),
        ("{enabled: true, auth: api_keys}", "error", "asks for api_keys, but none are configured"),
        ("{enabled: true, auth: [none, networks], networks: [10.0.0.0/8]}", "warning", "lets everyone read"),
        ("{redact: [http.client_ipp]}", "warning", "nothing is removed. Did you mean http.client_ip?"),
        ("{redact_when: [{filter: 'http:x', paths: [htp]}]}", "warning", "htp is in no event of the schema one"),
    ],
)
def test_a_mistake_is_found_at_its_place(tmp_path: Path, consumers: str, level: str, says: str) -> None:
    code, (line,) = check(tmp_path, consumers)

    assert line.startswith(f"{level}: streams.yaml:5: stream a, consumers.eventstreams")
    assert says in line
    assert code == (3 if level == "error" else 0)


def test_a_stream_that_can_never_be_public_is_said(tmp_path: Path) -> None:
    _, (of_regex,) = check(tmp_path, "{enabled: true}", name="/^a\\./")
    _, (of_memory,) = check(tmp_path, "{enabled: true}", "sink.kind=memory")

    assert "is never public" in of_regex
    assert "sink.kind memory, which stores no events" in of_memory


def test_settings_that_are_right_have_no_finding(tmp_path: Path) -> None:
    right = "{enabled: true, auth: networks, networks: [10.0.0.0/8], redact: [http.client_ip]}"

    assert check(tmp_path, right) == (0, [])
