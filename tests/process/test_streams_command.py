"""``penstock streams`` and ``penstock check --diff`` as an operator meets them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.process.test_commands import penstock, settings

STREAMS = """\
default_settings: {topic_prefixes: [east.]}
streams:
  one:
    schema_title: app/tick
    message_key_fields: {id: meta.id}
  '/^jobs\\./': {schema_title: shop/order, topics: [jobs]}
"""


def written(directory: Path) -> str:
    (directory / "streams.yaml").write_text(STREAMS)
    return str(settings(directory, streams={"sources": ["streams.yaml"]}))


def test_streams_are_listed_and_filtered(tmp_path: Path) -> None:
    path = written(tmp_path)

    assert penstock(tmp_path, "streams", "-c", path) == (
        0,
        "one\tapp/tick\teast.one\t-\n/^jobs\\./\tshop/order\tjobs\t-\n",
    )
    assert penstock(tmp_path, "streams", "-c", path, "jobs.a") == (0, "jobs.a\tshop/order\tjobs\t-\n")
    assert penstock(tmp_path, "streams", "-c", path, "--constraints", "message_key_fields[id]=meta.id") == (
        0,
        "one\tapp/tick\teast.one\t-\n",
    )
    found = json.loads(penstock(tmp_path, "streams", "-c", path, "--json", "one")[1])
    assert found["streams"]["one"]["topics"] == ["east.one"]


def test_each_setting_is_explained_by_its_place(tmp_path: Path) -> None:
    code, said = penstock(tmp_path, "streams", "-c", written(tmp_path), "explain", "one", "jobs.a", "nope")
    file = tmp_path / "streams.yaml"

    assert code == 1
    assert f"one: declared as one at {file}:3" in said
    assert f'topic_prefixes: ["east."]  ({file}:1)' in said
    assert f'message_key_fields.id: "meta.id"  ({file}:5)' in said
    assert 'topics: ["east.one"]  (made of topic_prefixes and the name)' in said
    assert f'topics: ["jobs"]  ({file}:6)' in said
    assert "no stream 'nope' is declared" in said


def test_bad_questions_end_with_2(tmp_path: Path) -> None:
    path = written(tmp_path)

    assert penstock(tmp_path, "streams", "-c", path, "explain")[0] == 2
    code, said = penstock(tmp_path, "streams", "-c", path, "--constraints", "nothing")
    assert code == 2
    assert "has no `=`" in said


def test_a_change_is_told_before_it_is_made(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "new.yaml").write_text(STREAMS.replace("{id: meta.id}", "{id: meta.stream}"))
    (tmp_path / "same.yaml").write_text(STREAMS)
    (tmp_path / "bad.yaml").write_text(STREAMS.replace("app/tick", "/app/tick"))

    code, said = penstock(tmp_path, "check", "-c", path, "--diff", "streams.yaml", "new.yaml")
    assert code == 1
    assert "breaks: stream one: key: id: meta.id → id: meta.stream: a key change breaks partitioning" in said
    assert penstock(tmp_path, "check", "-c", path, "--diff", "streams.yaml", "same.yaml")[0] == 0
    code, said = penstock(tmp_path, "check", "-c", path, "--diff", "streams.yaml", "bad.yaml")
    assert code == 3
    assert "bad.yaml:4: stream one" in said
