"""Real declarations load as they are, and answer as the existing system does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.catalog.check_streams import check
from server.catalog.snapshot import Snapshot, build
from server.catalog.sources import read_files
from server.config.catalog_settings import SchemaSettings
from server.schemas.repository import open_schemas

CORPUS = Path(__file__).parents[3].parent / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")


def snapshot(name: str, wiki: str | None = None) -> Snapshot:
    return build(read_files([CORPUS / name]), topic_prefix="eqiad.", wiki=wiki)


@pytest.mark.parametrize(("name", "count"), [("streams.yaml", 66), ("streams-production.yaml", 50)])
def test_every_real_declaration_loads_without_an_error(name: str, count: int) -> None:
    sources = read_files([CORPUS / name])
    schemas = open_schemas(SchemaSettings(base_uris=[str(CORPUS / "jsonschema")], prepared_path=""), CORPUS)

    found = check(sources, topic_prefix="eqiad.", wiki=None, schemas=schemas)

    assert [str(finding) for finding in found if finding.level == "error"] == []
    assert len(snapshot(name).names()) == count


def plain_vectors() -> list[Any]:
    if not CORPUS.is_dir():
        return []
    vectors = json.loads((CORPUS / "streamconfigs-vectors.json").read_text())["vectors"]
    return [vector for vector in vectors if list(vector["request"]["params"]) == ["streams"]]


@pytest.mark.parametrize("vector", plain_vectors())
def test_settings_equal_those_of_the_existing_system(vector: Any) -> None:
    request = vector["request"]
    streams = snapshot("streams-production.yaml", request["wiki"])
    names = request["params"]["streams"].split("|")

    answer = {name: settings for name in names if (settings := streams.settings(name)) is not None}

    assert answer == vector["response"]["streams"]


def test_overrides_of_real_wikis_apply() -> None:
    def rate(wiki: str | None) -> object:
        settings = snapshot("streams-production.yaml", wiki).settings("mediawiki.web_ui_actions")
        assert settings is not None
        return settings["sample"]["rate"]

    assert [rate(wiki) for wiki in (None, "officewiki", "testwiki", "enwiki")] == [0.2, 0, 1, 0.01]


def test_the_more_specific_value_wins_when_it_is_true_over_false() -> None:
    private = snapshot("streams-production.yaml", "private").settings("mediawiki.page_change.private.v1")

    assert private is not None
    assert private["producers"]["mediawiki_eventbus"] == {"enabled": True}


def test_every_event_of_the_corpus_finds_its_stream() -> None:
    streams = snapshot("streams.yaml")
    events = [json.loads(line) for line in (CORPUS / "events-routed.ndjson").read_text().splitlines()]

    for event in events:
        stream = streams.find(event["meta"]["stream"])

        assert stream is not None
        assert event["$schema"].rsplit("/", 1)[0].lstrip("/") == stream.schema_title
