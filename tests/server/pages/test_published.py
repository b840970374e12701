"""What everybody may read: settings of streams and schemas, as JSON and as pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.catalog.sources import sections
from server.catalog.views import Views
from server.config.catalog_settings import SchemaSettings
from server.config.framework import document
from server.pages.document import PageDocument, Wrong
from server.pages.published import Published
from server.schemas.repository import open_schemas

STREAMS = """
default_settings: {topic_prefixes: [a., b.]}
streams:
  mine: {schema_title: web/page_view, destination_event_service: ours}
  theirs: {schema_title: web/page_view, destination_event_service: theirs, big: 18446744073709551616}
  everybodys: {schema_title: web/<b>, sample: {rate: 0.5}}
  '/^jobs\\./': {schema_title: web/page_view, destination_event_service: ours}
"""


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    directory = tmp_path / "web" / "page_view"
    directory.mkdir(parents=True)
    for version in ("1.0.0", "1.9.0", "1.10.0"):
        text = f"title: web/page_view\n$id: /web/page_view/{version}\ntype: object\n"
        (directory / f"{version}.yaml").write_text(text)
    (directory / "latest").symlink_to("1.0.0.yaml")
    (directory / "2.0.0.yaml").write_text("allOf: [{$ref: /web/page_view/1.0.0}]\n$id: /web/page_view/2.0.0\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.0.0.yaml").write_text("a: b: c\n")
    (tmp_path / "insecure").mkdir()
    (tmp_path / "insecure" / "1.0.0.yaml").write_text("properties: {a: {type: string, pattern: a}}\n")
    (tmp_path / ".git").mkdir()
    return tmp_path


class Reader:
    def __init__(self, schemas: Path, service: str | None = None) -> None:
        merged = sections([document.parse(STREAMS, "streams.yaml")])
        repositories = open_schemas(SchemaSettings(base_uris=[str(schemas)], prepared_path=""), schemas)
        self.published = Published(Views(merged, None), service, repositories)

    def ask(self, path: str, query: str = "", is_page: bool = False) -> PageDocument | Wrong:
        return self.published.ask(path.encode(), query.encode(), is_page)

    def text(self, path: str, query: str = "", is_page: bool = False) -> bytes:
        found = self.ask(path, query, is_page)
        assert isinstance(found, PageDocument), found
        return b"".join(found.parts)

    def json(self, path: str, query: str = "") -> Any:
        return json.loads(self.text(path, query))

    def wrong(self, path: str, query: str = "") -> Wrong:
        found = self.ask(path, query)
        assert isinstance(found, Wrong)
        return found


@pytest.fixture
def reader(schemas: Path) -> Reader:
    return Reader(schemas, "ours")


NUMBERS = """
a: 18446744073709551617
b: -99999999999999999999999
c: 1e300
d: 0.12345678901234567891
e: 1.10
f: 1E+400
g: -0
"""


@pytest.mark.parametrize("syntax", ["yaml", "json"])
@pytest.mark.parametrize("is_page", [False, True])
def test_numbers_of_a_schema_are_served_as_its_file_has_them(
    reader: Reader, schemas: Path, syntax: str, is_page: bool
) -> None:
    """RFC 8259 section 6 sets no limit to numbers; those beyond 64 bits, or a double, are as much the schema's word."""
    numbers = dict(line.split(": ") for line in NUMBERS.split("\n") if line)
    inside = ",".join(f'"{name}":{{"maximum":{number}}}' for name, number in numbers.items())
    (schemas / "numbers").mkdir()
    text = f'{{"title":"numbers","properties":{{{inside}}}}}'
    (schemas / "numbers" / f"1.0.0.{syntax}").write_text(text if syntax == "json" else f"# YAML\n{text}")
    found = reader.text("/v1/schemas/numbers/1.0.0", is_page=is_page).decode()

    if is_page:
        assert [f"&quot;maximum&quot;: {number}\n" in found for number in numbers.values()] == [True] * len(numbers)
    else:
        assert found == text + "\n"


def test_numbers_that_only_yaml_writes_so_are_served_as_json(reader: Reader, schemas: Path) -> None:
    (schemas / "yaml").mkdir()
    (schemas / "yaml" / "1.0.0.yaml").write_text("enum: [0x10, 0o17, +5, .5, +7, 1., 0xFFFFFFFFFFFFFFFFF]\n")

    assert reader.text("/v1/schemas/yaml/1.0.0") == b'{"enum":[16,15,5,0.5,7,1.0,295147905179352825855]}\n'


@pytest.mark.parametrize("is_page", [False, True])
@pytest.mark.parametrize("number", ["18446744073709551617", "1e+300", "0.1"])
def test_numbers_of_a_schema_with_references_are_served_too(
    reader: Reader, schemas: Path, number: str, is_page: bool
) -> None:
    (schemas / "refers").mkdir()
    inside = f"properties: {{a: {{$ref: '#/definitions/a'}}}}, definitions: {{a: {{maximum: {number}}}}}"
    (schemas / "refers" / "1.0.0.yaml").write_text(f"{{title: refers, {inside}}}")

    assert number.replace("+", "") in reader.text("/v1/schemas/refers/1.0.0", is_page=is_page).decode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1.0.0.yaml", "properties: {a: {maximum: .inf}}"),
        ("1.0.0.yaml", "properties: {a: {enum: [.nan]}}"),
        ("1.0.0.json", '{"properties": {"a": {"const": NaN}}}'),
        ("1.0.0.json", '{"properties": {"a": {"const": "\\ud800"}}}'),
        ("1.0.0.yaml", 'properties: {a: {const: "\\ud800"}}'),
        ("1.0.0.yaml", "properties: {a: {maximum: 0x" + "f" * 5_000 + "}}"),
    ],
)
@pytest.mark.parametrize("is_page", [False, True])
def test_a_schema_that_json_cannot_say_is_broken(
    reader: Reader, schemas: Path, name: str, text: str, is_page: bool
) -> None:
    (schemas / "odd").mkdir()
    (schemas / "odd" / name).write_text(text)
    found = reader.ask("/v1/schemas/odd/1.0.0", is_page=is_page)

    assert isinstance(found, Wrong)
    assert found.status == 500


def test_both_addresses_of_the_api_answer_alike(reader: Reader) -> None:
    whole = reader.json("/v1/streamconfigs")

    assert list(whole["streams"]) == ["mine", "theirs", "everybodys", "/^jobs\\./"]
    assert whole == reader.json("/w/api.php", "action=streamconfigs&format=json")
    assert whole["streams"]["theirs"]["big"] == 2**64
    assert reader.json("/v1/streamconfigs", "streams=nope") == {"streams": {}}
    assert list(reader.json("/v1/streamconfigs", "streams=mine|jobs.a")["streams"]) == ["mine", "jobs.a"]


def test_a_deprecated_parameter_is_answered_with_a_warning(reader: Reader) -> None:
    answer = reader.json("/v1/streamconfigs", "streams=mine&all_settings")

    assert list(answer["streams"]) == ["mine"]
    assert "deprecated" in answer["warnings"]["streamconfigs"]["warnings"]
    assert list(reader.json("/v1/streamconfigs", "streams=none&all_settings=1")) == ["streams", "warnings"]


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/w/api.php", "", "action"),
        ("/w/api.php", "action=query", "action"),
        ("/v1/streamconfigs", "constraint=a=b", "constraint"),
        ("/v1/streamconfigs", "constraints=ab", "constraints"),
        ("/v1/stream-configs", "streams=a", "streams"),
        ("/v1/schemas", "a=b", "a"),
    ],
)
def test_a_mistake_in_the_query_is_400_and_names_the_parameter(
    reader: Reader, path: str, query: str, parameter: str
) -> None:
    wrong = reader.wrong(path, query)

    assert (wrong.status, wrong.parameter) == (400, parameter)
    assert f"`{parameter}`" in wrong.detail


def test_parameters_that_change_nothing_do_not_make_another_document(reader: Reader) -> None:
    def key(query: str) -> Any:
        found = reader.ask("/v1/streamconfigs", query)
        assert isinstance(found, PageDocument)
        return found.key

    same = [key(query) for query in ("", "requestid=1", "origin=*&maxage=2", "wiki=invented", "formatversion=2")]

    assert len(set(same)) == 1 and same[0]
    assert key("all_settings=1") == key("all_settings=2") != key("")
    assert key("streams=a|b|a") == key("streams=a|b") != key("streams=b")
    assert key("constraints=a=1") != key("constraints=a=2")


def test_the_services_own_streams_are_a_plain_map(reader: Reader, schemas: Path) -> None:
    assert list(reader.json("/v1/stream-configs")) == ["mine", "everybodys", "/^jobs\\./"]
    assert list(reader.json("/v1/stream-configs/")) == ["mine", "everybodys", "/^jobs\\./"]
    assert list(Reader(schemas).json("/v1/stream-configs")) == ["mine", "theirs", "everybodys", "/^jobs\\./"]
    assert reader.json("/v1/stream-configs/theirs,none") == {}
    for names in ("mine,jobs.a", "mine|jobs.a", "mine%2Cjobs.a"):
        found = reader.json(f"/v1/stream-configs/{names}")
        assert {name: settings["topics"] for name, settings in found.items()} == {
            "mine": ["a.mine", "b.mine"],
            "jobs.a": ["a.jobs.a", "b.jobs.a"],
        }


@pytest.mark.parametrize("address", ["1.9.0", "1.9.0.yaml", "1.9.0.json"])
def test_a_version_of_a_schema_is_there_with_any_ending(reader: Reader, address: str) -> None:
    found = reader.ask(f"/v1/schemas/web/page_view/{address}")

    assert isinstance(found, PageDocument)
    assert (found.max_age_s, found.keep_s) == (86_400, None)
    assert json.loads(b"".join(found.parts)) == {
        "title": "web/page_view",
        "$id": "/web/page_view/1.9.0",
        "type": "object",
    }


def test_the_latest_version_is_the_highest_and_says_which_it_is(reader: Reader, schemas: Path) -> None:
    (schemas / "web" / "page_view" / "2.0.0.yaml").unlink()
    found = reader.ask("/v1/schemas/web/page_view/latest")

    assert isinstance(found, PageDocument)
    assert json.loads(b"".join(found.parts))["$id"] == "/web/page_view/1.10.0"
    assert found.lines == b"Content-Location: /v1/schemas/web/page_view/1.10.0\r\n"
    assert found.keep_s == 60


def test_a_schema_with_references_comes_whole(reader: Reader) -> None:
    found = reader.json("/v1/schemas/web/page_view/2.0.0")

    assert found["allOf"][0]["$ref"].startswith("#/definitions/")
    assert [each["type"] for each in found["definitions"].values()] == ["object"]


def test_a_schema_that_no_event_may_use_can_still_be_read(reader: Reader) -> None:
    assert reader.json("/v1/schemas/insecure/1.0.0")["properties"]["a"]["pattern"] == "a"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("web/page_view/9.9.9", 404),
        ("web/page_view/current", 404),
        ("web/nothing/latest", 404),
        ("nothing", 404),
        ("../web/page_view/1.0.0", 404),
        ("web/%2e%2e/web/page_view/1.0.0", 404),
        ("broken/1.0.0", 500),
        (".git", 404),
    ],
)
def test_what_is_not_there_is_said(reader: Reader, address: str, status: int) -> None:
    assert reader.wrong(f"/v1/schemas/{address}").status == status


def test_directories_are_listed(reader: Reader) -> None:
    assert reader.json("/v1/schemas") == {
        "path": "/",
        "directories": ["/v1/schemas/broken", "/v1/schemas/insecure", "/v1/schemas/web"],
        "versions": [],
    }
    title = reader.json("/v1/schemas/web/page_view/")
    assert title["versions"] == [f"/v1/schemas/web/page_view/{v}" for v in ("1.0.0", "1.9.0", "1.10.0", "2.0.0")]
    assert title["latest"] == "/v1/schemas/web/page_view/2.0.0"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/streamconfigs",
        "/v1/stream-configs",
        "/v1/schemas",
        "/v1/schemas/web/page_view",
        "/v1/schemas/web/page_view/1.0.0",
    ],
)
def test_a_browser_gets_a_page_in_which_every_text_is_escaped(reader: Reader, path: str) -> None:
    page = reader.text(path, is_page=True).decode()

    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "<b>" not in page
    assert "<script" not in page


def test_old_clients_get_json_whatever_they_accept(reader: Reader) -> None:
    assert json.loads(reader.text("/w/api.php", "action=streamconfigs", is_page=True))
    assert json.loads(reader.text("/v1/streamconfigs", "format=json", is_page=True))


def test_other_streams_are_told_from_then_on(reader: Reader) -> None:
    reader.published.use(Views(sections([document.parse("streams: {new: {schema_title: one}}", "s.yaml")]), None))

    assert list(reader.json("/v1/streamconfigs")["streams"]) == ["new"]
