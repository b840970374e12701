"""``penstock schemas diff`` and ``explain``: changes and rules in plain words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from server.schemas.judges import Bundle
from server.schemas_tool.telling.changes import changes
from tests.server.schemas_tool.pairs import an_object
from tests.server.schemas_tool.repository import FIRST, HARMLESS, SECOND, put

TEXT = {"type": "string"}
CHANGES: list[tuple[Any, Any, list[str]]] = [
    (an_object(a=TEXT), an_object(a=TEXT, b={"type": "integer"}), [".b is new: optional, integer."]),
    (an_object(a=TEXT, b=TEXT), an_object(a=TEXT), [".b is no longer described."]),
    (an_object(a=TEXT), an_object(a=TEXT) | {"required": ["a"]}, [".a is now required."]),
    (an_object(a=TEXT) | {"required": ["a"]}, an_object(a=TEXT), [".a is no longer required."]),
    (an_object(a=TEXT), an_object(a=TEXT | {"maxLength": 3}), [".a: maxLength is now 3; there was none."]),
    (an_object(a=TEXT | {"maxLength": 4}), an_object(a=TEXT), [".a: maxLength was 4; there is none any more."]),
    (an_object(a=TEXT), an_object(a={"type": "integer"}), [".a: type is now integer; it was string."]),
    (an_object(a={"enum": ["x", "y"]}), an_object(a={"enum": ["y", "z"]}),
     [".a: its list of values has z too.", ".a: its list of values has x no more."]),
    (an_object(a=TEXT), an_object(a=TEXT | {"description": "A name."}), [".a: its description has changed."]),
    (an_object(a=an_object()), an_object(a=an_object(b=an_object(c=TEXT))), [".a.b is new: optional, object."]),
    (an_object(), {"type": "object"}, ["the event: additionalProperties was false; there is none any more."]),
    (an_object(a={"type": "array", "items": TEXT}), an_object(a={"type": "array", "items": TEXT | {"minLength": 1}}),
     [".a[]: minLength is now 1; there was none."]),
    (an_object(a=TEXT | {"maxLength": 3}), an_object(a={"allOf": [TEXT, {"maxLength": 3}]}), []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentences"), CHANGES)
def test_a_change_is_told_in_a_sentence(old: Any, new: Any, sentences: list[str]) -> None:
    assert changes(Bundle(old), Bundle(new)) == sentences


def test_a_schema_that_holds_itself_is_told() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "n": TEXT}}

    assert changes(Bundle(tree), Bundle(tree)) == []


def test_diff_tells_the_bump_that_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "1.0.0", FIRST)
    put(tmp_path, "1.1.0", HARMLESS)

    assert main(["schemas", "diff", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        "shop/order 1.0.0 → 1.1.0 (compatible: needs a minor version)\n  .size is new: optional, integer.\n"
    )

    put(tmp_path, "1.1.0", SECOND)
    main(["schemas", "diff", str(tmp_path), "--format", "json"])
    (told,) = json.loads(capsys.readouterr().out)["titles"]

    assert (told["verdict"], told["bump"]) == ("incompatible", "major")


def test_diff_compares_with_a_released_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "released", "1.0.0", FIRST)
    put(tmp_path / "mine", "1.0.0", FIRST)
    put(tmp_path / "mine", "1.0.1", FIRST)
    put(tmp_path / "mine", "1.1.0", HARMLESS)
    arguments = ["schemas", "diff", str(tmp_path / "mine"), "--against", str(tmp_path / "released")]

    assert main([*arguments, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## shop/order 1.0.0 → 1.1.0")
    assert main([*arguments, "--title", "shop/cart"]) == 3


def test_explain_says_why_a_rule_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schemas", "explain", "max-length-lowered"]) == 0
    assert capsys.readouterr().out == "max-length-lowered: Longer texts were allowed. A break needs a major version.\n"
    assert main(["schemas", "explain", "no-such-rule"]) == 3
    assert main(["schemas", "explain"]) == 0
    assert "keyword-misspelt: " in capsys.readouterr().out


def test_docs_writes_a_page_for_each_title_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "s", "1.0.0", FIRST)
    described = "size: {type: integer, description: 'How <b>large</b>?', maximum: 9}"
    put(tmp_path / "s", "1.1.0", HARMLESS.replace("size: {type: integer}", described))
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams: {orders.web: {schema_title: shop/order}}")
    arguments = ["schemas", "docs", str(tmp_path / "s"), "-o", str(tmp_path / "out"), "--streams", str(streams)]

    assert main([*arguments, "--check"]) == 1
    assert main(arguments) == 0

    page = (tmp_path / "out/shop/order/index.html").read_text()
    assert "<td><code>number</code></td><td>string</td><td></td><td>1.0.0</td>" in page
    assert "<td><code>size</code></td><td>integer</td><td></td><td>1.1.0</td>" in page
    assert "<td>How &lt;b&gt;large&lt;/b&gt;?</td><td>maximum: 9</td>" in page
    assert "Streams: orders.web." in page
    assert "&quot;number&quot;: &quot;A-17&quot;" in page
    assert '<a href="../../index.html">' in page
    assert '<a href="shop/order/index.html">' in (tmp_path / "out/index.html").read_text()

    capsys.readouterr()

    assert main([*arguments, "--check"]) == 0
    assert main(arguments) == 0
    assert capsys.readouterr().out == ""


def test_a_title_that_cannot_be_read_has_a_page_that_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "s", "1.0.0", "type: objekt\n")

    for more, done in (((), "index.html"), (("--check",), "")):
        assert main(["schemas", "docs", str(tmp_path / "s"), "-o", str(tmp_path / "out"), *more]) == 1
        told = capsys.readouterr()
        assert "/s/shop/order/1.0.0.yaml: " in told.err
        assert done in told.out
    assert "cannot be read" in (tmp_path / "out/shop/order/index.html").read_text()


def test_docs_lists_what_is_kept_of_a_person(tmp_path: Path) -> None:
    people = """
title: shop/order
type: object
properties:
  email: {type: string, x-privacy: drop}
  friends: {type: array, items: {type: object, properties: {name: {type: string, x-privacy: hash}}}}
  number: {type: string}
  http:
    type: object
    properties:
      client_ip: {type: string}
      request_headers: {type: object, properties: {user-agent: {type: string, x-privacy: keep}}}
"""
    put(tmp_path / "s", "1.0.0", people)
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams: {orders.web: {schema_title: shop/order}, orders.app: {schema_title: shop/order}}")
    arguments = ["schemas", "docs", str(tmp_path / "s"), "-o", str(tmp_path / "out"), "--streams", str(streams)]

    assert main(arguments) == 0

    page = (tmp_path / "out/persons.html").read_text()
    begin = "<tr><td>orders.web, orders.app</td><td>shop/order 1.0.0</td>"
    assert [line.removeprefix(begin) for line in page.splitlines() if line.startswith(begin)] == [
        "<td>email</td><td>drop</td><td>nothing</td><td>nothing</td></tr>",
        "<td>friends[].name</td><td>hash</td><td>a keyed hash</td><td>nothing</td></tr>",
        "<td>http.client_ip</td><td>none</td><td>the value</td><td>nothing</td></tr>",
        "<td>http.request_headers.user-agent</td><td>keep</td><td>the value</td><td>the value</td></tr>",
    ]
    assert '<a href="persons.html">' in (tmp_path / "out/index.html").read_text()


def test_the_report_on_persons_names_titles_without_any_such_value(tmp_path: Path) -> None:
    put(tmp_path / "s", "1.0.0", FIRST)

    assert main(["schemas", "docs", str(tmp_path / "s"), "-o", str(tmp_path / "out")]) == 0
    assert "no value that is known to be of a person" in (tmp_path / "out/persons.html").read_text()
