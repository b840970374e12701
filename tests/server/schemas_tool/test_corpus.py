"""Real schemas: materialized to the byte, and each change between two versions judged."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from server.schemas_tool.check import check
from server.schemas_tool.making.materialize import MaterializeError, Resolver, files_of
from server.schemas_tool.versions import currents_below

# Why these differ from what the tool of today writes.
EXCEPTIONS = {
    "analytics/session_tick": "written by an earlier jsonschema-tools, which did not sort keys at every depth",
    "analytics/test": "the same",
    "swift/upload/complete": "the same",
    "w3c/reportingapi/network_error": "an example repeats a map, which js-yaml writes as an alias",
    "analytics/mediawiki/product_metrics/web_ui_actions": "the corpus lacks a fragment that it refers to",
}


@pytest.mark.slow(reason="82 schemas of YAML")
def test_materialized_files_are_those_of_jsonschema_tools(corpus: Path) -> None:
    root = corpus / "jsonschema"
    resolver = Resolver([root])
    differing = set()
    for current in currents_below(root):
        title = current.parent.relative_to(root).as_posix()
        try:
            differing |= {title for file, text in files_of(current, resolver, ["yaml"]) if file.read_text() != text}
        except MaterializeError:
            differing.add(title)

    assert differing == set(EXCEPTIONS)


@pytest.mark.slow(reason="47 changes of real schemas")
def test_every_change_of_real_schemas_has_a_verdict_with_an_event(corpus: Path) -> None:
    outcome = check(corpus / "jsonschema", "backward", [], None, None, datetime.date(2026, 1, 1))

    assert outcome.pairs == 47
    assert [found for found in outcome.findings if found.verdict == "unknown"] == []
    assert all("witness" in found.as_json() for found in outcome.findings if found.verdict == "incompatible")
