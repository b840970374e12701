"""Every reference becomes a local one, wherever it led."""

from __future__ import annotations

from typing import Any

import pytest

from validators import SchemaError
from validators.judge.reference import check_schema
from validators.load.bundle import MAX_REFERENCES, bundle
from validators.words.invalid import problems

D4 = "http://json-schema.org/draft-04/schema#"
D7 = "https://json-schema.org/draft-07/schema#"


def bundled(schema: dict[str, Any], files: dict[str, Any] | None = None, uri: str = "/a/b/1.0.0") -> dict[str, Any]:
    def retrieve(asked: str) -> Any:
        if files is None or asked not in files:
            raise SchemaError("unknown_schema", asked)
        return files[asked]

    return bundle(schema, uri, retrieve, check_schema)


def accepts(whole: dict[str, Any], value: Any) -> bool:
    return not problems(whole, value)


def test_a_reference_to_another_file_becomes_a_definition() -> None:
    whole = bundled(
        {"title": "a/b", "properties": {"meta": {"$ref": "/common/1.0.0#"}, "also": {"$ref": "/common/1.0.0"}}},
        {"/common/1.0.0": {"$schema": D7, "$id": "/common/1.0.0", "type": "object", "required": ["id"]}},
    )

    assert whole == {
        "title": "a/b",
        "properties": {
            "meta": {"$ref": "#/definitions/~1common~11.0.0"},
            "also": {"$ref": "#/definitions/~1common~11.0.0"},
        },
        "definitions": {"/common/1.0.0": {"type": "object", "required": ["id"]}},
    }


@pytest.mark.parametrize(
    ("ref", "file"),
    [
        ("/c/1.0.0#/properties/x", "/c/1.0.0"),
        ("../c/1.0.0#/properties/x", "/a/c/1.0.0"),
        ("2.0.0#/properties/x", "/a/b/2.0.0"),
        ("./2.0.0.yaml#/properties/x", "/a/b/2.0.0.yaml"),
        ("#/definitions/x", ""),
        ("./#/definitions/x", ""),
        ("#/properties/y", ""),
        ("#named", ""),
    ],
)
def test_every_shape_of_reference_is_followed(ref: str, file: str) -> None:
    schema = {
        "$schema": D7,
        "definitions": {"x": {"type": "string"}, "n": {"$id": "#named", "type": "string"}},
        "properties": {"here": {"$ref": ref}, "y": {"type": "string"}},
    }
    whole = bundled(schema, {file: {"properties": {"x": {"type": "string"}}}})

    assert accepts(whole, {"here": "text"})
    assert not accepts(whole, {"here": 1})


def test_references_are_relative_to_the_id_and_then_to_the_file() -> None:
    schema = {"$id": "/elsewhere/x/1.0.0", "properties": {"a": {"$ref": "2.0.0"}, "b": {"$ref": "3.0.0"}}}
    whole = bundled(schema, {"/elsewhere/x/2.0.0": {"type": "string"}, "/a/b/3.0.0": {"type": "integer"}})

    assert accepts(whole, {"a": "x", "b": 1})
    assert not accepts(whole, {"a": 1})
    assert not accepts(whole, {"b": "x"})


def test_an_absolute_id_names_the_site_of_the_base_uris() -> None:
    schema = {"$id": "https://schemas.example/a/b/1.0.0", "properties": {"a": {"$ref": "/c/1.0.0"}}}

    assert not accepts(bundled(schema, {"/c/1.0.0": {"type": "string"}}), {"a": 1})


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("draft", ["04", "06", "07"])
def test_a_meta_schema_needs_no_file(scheme: str, draft: str) -> None:
    whole = bundled({"properties": {"schema": {"$ref": f"{scheme}://json-schema.org/draft-{draft}/schema#"}}})

    assert accepts(whole, {"schema": {"items": {"minLength": 1}}})
    assert not accepts(whole, {"schema": {"items": {"minLength": -1}}})


def test_recursion_stays_recursion() -> None:
    tree = bundled({"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]})
    pair = bundled(
        {"$ref": "/x/1.0.0"},
        {
            "/x/1.0.0": {"properties": {"y": {"$ref": "/y/1.0.0"}}},
            "/y/1.0.0": {"properties": {"x": {"$ref": "/x/1.0.0"}}},
        }
        | {"/z/1.0.0": {}},
    )

    assert accepts(tree, {"name": 1, "children": [{"name": 2, "children": []}]})
    assert not accepts(tree, {"name": 1, "children": [{"name": 2, "children": [{}]}]})
    assert accepts(pair, {"y": {"x": {"y": {}}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {
            "$ref": "#/definitions/a",
            "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}},
        },
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"type": "string"}, {"not": {"$ref": "#"}}]},
        {"if": {"oneOf": [{"$ref": "#"}]}, "then": {}},
        {"dependencies": {"a": {"$ref": "#"}}},
        {"properties": {"x": {"$ref": "#/definitions/a"}}, "definitions": {"a": {"else": {"$ref": "#/definitions/a"}}}},
        {"$ref": "/a/b/1.0.0"},
    ],
)
def test_a_cycle_that_reads_no_value_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="leads back to itself"):
        bundled(schema, {"/a/b/1.0.0": schema})


@pytest.mark.parametrize(
    "ref",
    [
        *(
            "#/definitions/none",
            "#none",
            "/none/1.0.0",
            "none",
            "#/properties/x/enum/0",
            "#/properties/x/type/1",
            "http://[",
        ),
        *(
            "#/properties/x/enum/one",
            "#/properties/x/enum/9",
            "https://json-schema.org/draft/2020-12/schema",
            "#/title",
        ),
    ],
)
def test_a_reference_to_nowhere_is_an_error(ref: str) -> None:
    with pytest.raises(SchemaError) as caught:
        bundled({"title": "t", "properties": {"x": {"type": "string", "enum": ["a"]}, "y": {"items": {"$ref": ref}}}})

    assert caught.value.error_type == "schema_unavailable"


def test_why_a_file_could_not_be_read_is_told() -> None:
    def retrieve(uri: str) -> Any:
        raise SchemaError("schema_unavailable", f"{uri}: the disk is on fire")

    with pytest.raises(SchemaError, match="the disk is on fire"):
        bundle({"$ref": "/x/1.0.0"}, "/a/b/1.0.0", retrieve, check_schema)


def test_a_file_that_is_no_schema_is_told() -> None:
    with pytest.raises(SchemaError, match=r"/x/1\.0\.0: is not a schema of its draft"):
        bundled({"properties": {"a": {"$ref": "/x/1.0.0"}}}, {"/x/1.0.0": {"type": "text"}})
    with pytest.raises(SchemaError, match="is not a schema"):
        bundled({"properties": {"a": {"$ref": "/x/1.0.0"}}}, {"/x/1.0.0": "1.0.0.yaml"})


def test_leftover_ids_of_different_contents_break_nothing() -> None:
    user = {"$schema": D7, "$id": "/user/1.0.0", "type": "object", "properties": {"name": {"type": "string"}}}
    other = {"$schema": D4, "$id": "/user/1.0.0", "type": "object", "properties": {"name": {"type": "integer"}}}
    whole = bundled(
        {
            "$schema": D7,
            "$id": "/a/b/1.0.0",
            "properties": {"one": user, "two": other, "self": {"$id": "/a/b/1.0.0", "type": "null"}},
            "items": {"$ref": "/user/1.0.0"},
            "additionalItems": {"$ref": "#/properties/self"},
        },
        {"/user/1.0.0": {"type": "boolean"}},
    )

    assert accepts(whole, {"one": {"name": "x"}, "two": {"name": 1}, "self": None})
    assert not accepts(whole, {"two": {"name": "x"}})
    assert accepts(whole, [True])  # The file, since the leftovers do not agree.
    assert not accepts(whole, ["x"])
    assert "$id" not in str(whole["properties"])


def test_an_id_inside_that_is_the_only_one_of_its_name_is_a_base() -> None:
    whole = bundled(
        {
            "properties": {"a": {"$ref": "/inner/1.0.0"}},
            "definitions": {
                "i": {"$id": "/inner/1.0.0", "$ref-not": 1, "items": {"$ref": "#/definitions/j"}}
                | {"definitions": {"j": {"type": "string"}}}
            },
        }
    )

    assert accepts(whole, {"a": ["x"]})
    assert not accepts(whole, {"a": [1]})


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {
        "properties": {
            name: {"type": "string"} for name in ("$ref", "$id", "id", "$schema", "definitions", "properties")
        },
        "examples": [{"$ref": "nowhere"}],
        "enum": [{"$ref": "text"}],
        "default": {"$ref": "nowhere"},
    }
    whole = bundled(schema)

    assert whole == schema
    assert accepts(whole, {"$ref": "text"})


def test_the_title_beside_a_reference_is_kept_and_rules_beside_it_are_not() -> None:
    whole = bundled(
        {"title": "t", "$ref": "#/definitions/x", "required": ["a"], "definitions": {"x": {"type": "object"}}}
    )

    assert whole == {"title": "t", "$ref": "#/definitions/x", "definitions": {"x": {"type": "object"}}}
    assert accepts(whole, {})


def test_definitions_of_one_name_in_two_files_stay_apart() -> None:
    other = {"properties": {"p": {"$ref": "#/definitions/x"}}, "definitions": {"x": {"type": "integer"}}}
    whole = bundled(
        {
            "properties": {"a": {"$ref": "#/definitions/x"}, "b": {"$ref": "/o/1.0.0"}},
            "definitions": {"x": {"type": "string"}},
        },
        {"/o/1.0.0": other},
    )

    assert accepts(whole, {"a": "x", "b": {"p": 1}})
    assert not accepts(whole, {"b": {"p": "x"}})


@pytest.mark.slow(reason="it bundles schemas of more than 10,000 subschemas")
def test_references_and_schemas_are_bounded() -> None:
    many = {"items": [{"$ref": "#/definitions/x"}] * (MAX_REFERENCES + 1), "definitions": {"x": {}}}
    wide: dict[str, Any] = {f"d{i}": {"properties": {f"p{j}": {} for j in range(300)}} for i in range(300)}
    refs = {"items": [{"$ref": f"#/definitions/{name}"} for name in wide], "definitions": wide}

    with pytest.raises(SchemaError, match="more than 1000 references"):
        bundled(many)
    with pytest.raises(SchemaError, match="more than 10000 schemas"):
        bundled(refs)


@pytest.mark.parametrize(
    "uri", ["https://json-schema.org/draft/2020-12/schema", "http://example.org/mine#", "draft-07", 7, None]
)
def test_another_dialect_is_refused(uri: Any) -> None:
    with pytest.raises(SchemaError, match="names neither"):
        bundled({"$schema": uri})


@pytest.mark.parametrize("contents", [True, [], "1.0.0.yaml", None, 5])
def test_a_document_that_is_no_object_is_refused(contents: Any) -> None:
    with pytest.raises(SchemaError):
        bundled(contents)
