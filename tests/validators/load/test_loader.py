"""Schemas are found by URI below their base, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from validators import SchemaError
from validators.load.loader import MAX_BYTES, Loader, parse

URI = "/a/b/1.0.0"


def write(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def kind(loader: Loader, uri: str) -> str:
    with pytest.raises(SchemaError) as caught:
        loader.read(uri)
    return caught.value.error_type


@pytest.mark.parametrize("name", ["1.0.0.yaml", "1.0.0", "1.0.0.json"])
def test_the_extension_is_optional(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"a/b/{name}", '{"title": "a/b"}')

    assert Loader([str(tmp_path)]).read(URI) == {"title": "a/b"}


def test_the_file_with_the_extension_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "a/b/1.0.0", "title: other")
    write(tmp_path, "a/b/1.0.0.json", '{"title": "other"}')
    write(tmp_path, "a/b/1.0.0.yaml", "title: right")

    assert Loader([str(tmp_path)]).read(URI) == {"title": "right"}


def test_the_first_base_that_has_it_wins(tmp_path: Path) -> None:
    write(tmp_path, "one/a/b/1.0.0", "title: one")
    write(tmp_path, "two/a/b/1.0.0.yaml", "title: two")
    write(tmp_path, "two/a/b/2.0.0.yaml", "title: two")
    loader = Loader([str(tmp_path / "one"), f"file://{tmp_path}/two"])

    assert loader.read(URI) == {"title": "one"}
    assert loader.read("/a/b/2.0.0") == {"title": "two"}


def test_a_file_uri_is_percent_decoded(tmp_path: Path) -> None:
    write(tmp_path, "a b/a/b/1.0.0.yaml", "title: x")

    assert Loader([f"file://localhost{tmp_path}/a%20b/"]).read(URI) == {"title": "x"}


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "/",
            "a/b/1.0.0",
            "/1.0.0",
            "/a/b",
            "/a/b/latest",
            "/a/b/1.0",
            "/a/b/1.0.0.yaml",
            "/a/b/1.0.0/",
            "//a/b/1.0.0",
        ),
        *("/../a/1.0.0", "/a/../b/1.0.0", "/a/./b/1.0.0", "/a/.../1.0.0", "/a/b/1.0.0\n", "/a/b/1.0.0#", "/a b/1.0.0"),
        *("/a/%2e%2e/1.0.0", "/a\\b/1.0.0", "/a/b/\u0661.0.0", "/é/1.0.0", "/a\x00/1.0.0", "/" + "a" * 600 + "/1.0.0"),
        *("http://a/b/1.0.0", "file:///etc/1.0.0", "ftp://a/b/1.0.0"),
    ],
)
def test_only_the_grammar_is_a_uri(tmp_path: Path, uri: str) -> None:
    assert kind(Loader([str(tmp_path)]), uri) == "bad_schema_uri"


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "1.0.0").mkdir(parents=True)
    loader = Loader([str(tmp_path)])

    assert kind(loader, URI) == "unknown_schema"
    assert kind(loader, "/other/1.0.0") == "unknown_schema"


def test_a_link_inside_the_base_is_followed_and_one_that_leaves_it_is_not(tmp_path: Path) -> None:
    write(tmp_path, "secret/1.0.0.yaml", "title: secret")
    write(tmp_path, "base/a/b/1.1.0.yaml", "title: inside")
    os.symlink("1.1.0.yaml", tmp_path / "base/a/b/1.0.0")
    os.symlink(tmp_path / "secret/1.0.0.yaml", tmp_path / "base/a/b/2.0.0.yaml")
    os.symlink("../../secret", tmp_path / "base/c")
    os.symlink("3.0.0.yaml", tmp_path / "base/a/b/3.0.0.yaml")
    loader = Loader([str(tmp_path / "base")])

    assert loader.read(URI) == {"title": "inside"}
    assert kind(loader, "/a/b/2.0.0") == "unknown_schema"
    assert kind(loader, "/c/1.0.0") == "unknown_schema"
    assert kind(loader, "/a/b/3.0.0") == "unknown_schema"


def test_a_base_may_itself_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/a/b/1.0.0.yaml", "title: x")
    os.symlink("real", tmp_path / "base")

    assert Loader([str(tmp_path / "base")]).read(URI) == {"title": "x"}


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    os.mkfifo(tmp_path / "a/b/1.0.0.yaml")

    assert kind(Loader([str(tmp_path)]), URI) == "unknown_schema"


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_BYTES + 1),
        "a: 1\na: 2\n",
        '{"a": 1, "a": 2}',
        "a: .inf",
        "a: 1e999",
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "{" + '"a": {' * 150 + "}" * 151,
        "[" * 5000,
        "a: [",
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("name", ["1.0.0.yaml", "1.0.0.json"])
def test_what_is_too_large_or_no_json_is_unavailable(tmp_path: Path, text: str, name: str) -> None:
    write(tmp_path, f"a/b/{name}", text)

    assert kind(Loader([str(tmp_path)]), URI) == "schema_unavailable"


@pytest.mark.parametrize("text", [b'{"a": NaN}', b"\xff", b"{'a': 1}"])
def test_a_json_file_is_json(text: bytes) -> None:
    with pytest.raises(SchemaError):
        parse(text, "x.json")


def test_integers_are_exact_in_both_syntaxes() -> None:
    assert parse(b'{"a": 123456789012345678901234567890}', "x.json") == {"a": 123456789012345678901234567890}
    assert parse(b"a: 123456789012345678901234567890", "x.yaml") == {"a": 123456789012345678901234567890}


@pytest.mark.parametrize("text", ["010", "08", "-07", "08.5"])
@pytest.mark.parametrize("name", ["1.0.0.yaml", "1.0.0"])
def test_a_number_that_js_yaml_reads_otherwise_makes_a_schema_unusable(text: str, name: str) -> None:
    with pytest.raises(SchemaError) as caught:
        parse(f"title: a\nmaximum: {text}".encode(), name)

    assert str(caught.value).startswith(f"{name}:2: has a number that begins with 0")
    assert parse(b"a: 0\nb: 0.5\nc: 0o17\nd: '010'\ne: -0", name) == {"a": 0, "b": 0.5, "c": 15, "d": "010", "e": 0}


def test_what_a_merge_key_adds_is_part_of_the_schema() -> None:
    """A plain key would leave the property without its constraints."""
    text = b"definitions: {short: &short {type: string, maxLength: 5}}\nproperties: {a: {<<: *short, pattern: '^a'}}"

    assert parse(text, "1.0.0.yaml")["properties"]["a"] == {"type": "string", "maxLength": 5, "pattern": "^a"}


def test_a_byte_order_mark_is_skipped_in_json_too() -> None:
    for name in ("1.0.0.json", "1.0.0.yaml", "1.0.0"):
        assert parse(b'\xef\xbb\xbf{"title": "a"}', name) == {"title": "a"}


def test_json_with_tabs_is_read_under_any_name() -> None:
    assert parse(b'{\n\t"a": "\\/"\n}', "1.0.0") == {"a": "/"}


def test_versions_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("1.10.0.yaml", "1.9.0.yaml", "1.9.0", "latest", "current.yaml", "0.0.2.json", "1.0.0.txt", "2.0.0~"):
        write(tmp_path, f"one/a/b/{name}", "x")
    write(tmp_path, "two/a/b/1.0.0.yaml", "x")
    loader = Loader([str(tmp_path / "one"), str(tmp_path / "two")])

    assert loader.versions("a/b") == ["0.0.2", "1.0.0", "1.9.0", "1.10.0"]
    assert loader.versions("a") == []
    assert loader.versions("../one/a/b") == []
    assert loader.versions("") == []


class Web:
    """Schemas behind URLs."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise FileNotFoundError(url)
        return self.pages[url]


def test_http_is_read_through_the_fetcher_alone(tmp_path: Path) -> None:
    web = Web({"https://schemas.example/repo/a/b/1.0.0": b'{"title": "web"}'})
    loader = Loader([str(tmp_path), "https://schemas.example/repo/"], fetch=web.fetch)

    assert loader.read(URI) == {"title": "web"}
    assert web.asked == ["https://schemas.example/repo/a/b/1.0.0.yaml", "https://schemas.example/repo/a/b/1.0.0"]
    assert kind(loader, "/c/1.0.0") == "unknown_schema"


def test_a_source_that_cannot_tell_makes_a_schema_unavailable_not_unknown() -> None:
    def fetch(url: str) -> bytes:
        raise ConnectionError(url)

    assert kind(Loader(["http://schemas.example"], fetch=fetch), URI) == "schema_unavailable"


def test_absolute_uris_are_read_when_allowed(tmp_path: Path) -> None:
    write(tmp_path, "base/a/b/1.0.0.yaml", "title: file")
    write(tmp_path, "secret/a/b/1.0.0.yaml", "title: secret")
    web = Web({"http://elsewhere.example:8080/a/b/1.0.0.yaml": b"title: web"})
    loader = Loader([str(tmp_path / "base")], allow_absolute_uris=True, fetch=web.fetch)

    assert loader.read("http://elsewhere.example:8080/a/b/1.0.0") == {"title": "web"}
    assert loader.read(f"file://{tmp_path}/base/a/b/1.0.0") == {"title": "file"}
    assert kind(loader, f"file://{tmp_path}/secret/a/b/1.0.0") == "unknown_schema"
    assert kind(loader, f"file://{tmp_path}/base/../secret/a/b/1.0.0") == "bad_schema_uri"
    assert kind(loader, "http://user@elsewhere.example/a/1.0.0") == "bad_schema_uri"
    assert kind(loader, "http://elsewhere.example/a/1.0.0?x=1.0.0") == "bad_schema_uri"


@pytest.mark.parametrize("base", ["http://schemas.example", "file://other.example/x", "/no/such/directory"])
def test_a_base_that_cannot_be_one_is_refused_at_once(base: str) -> None:
    with pytest.raises(SchemaError):
        Loader([base])
