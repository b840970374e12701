"""Lint a version as a whole: its names, its examples, and the current file next to it.

Place: lint.lint → HERE.
Rules: an example must be valid for both judges. Nothing else is said of a schema that cannot be judged by.
An expectation that cannot be used is remarked on, and so is an example that fails one.
Not here: the schemas inside (lint.schema).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.schemas.judges import UnusableError, bundle_of
from server.schemas_tool.lint import rules
from server.schemas_tool.lint.schema import Remark
from server.schemas_tool.making.materialize import read, version_of
from server.schemas_tool.versions import Version


def remarks_on(version: Version, bases: Sequence[Path]) -> Iterator[Remark]:
    """Yield the remarks on the newest version of a title. Raises MaterializeError for a file that is no schema."""
    contents = version.contents
    if contents.get("title") != version.title:
        yield Remark(rules.TITLE, ("title",), f"The title is not {version.title!r}, the path of the file.")
    if contents.get("$id") != version.uri:
        yield Remark(rules.TITLE, ("$id",), f"The $id is not {version.uri!r}, the path of the file.")
    yield from _current(version)
    yield from _examples(version, contents.get("examples"), bases)


def _current(version: Version) -> Iterator[Remark]:
    path = version.path.with_name("current.yaml")
    if path.is_file() and version_of(read(path), path) != version.version:
        yield Remark(rules.STALE, (), f"{path.name} does not describe {version.version}, the newest version.")


def _examples(version: Version, examples: Any, bases: Sequence[Path]) -> Iterator[Remark]:
    try:
        bundle = bundle_of(version.contents, version.uri, bases)
        bundle.verdicts({})
    except UnusableError as error:
        yield Remark(rules.BROKEN, (), f"{rules.BROKEN.why} {error}")
        return
    dear = bundle.dear()
    if dear is not None:
        message = f"{rules.DEAR.why} {dear.pointer} takes most of {dear.in_words} steps."
        yield Remark(rules.DEAR, version.path_of(dear.pointer), message)
    expectations = bundle.expectations()
    for fault in expectations.faults:
        message = f"The expectation {fault.pointer} judges no events: {fault.reason}."
        yield Remark(rules.EXPECTATION, version.path_of(fault.pointer), message)
    for odd in bundle.odd_expectations():
        message = f"The expectation {odd.pointer} {odd.reason}."
        yield Remark(rules.EXPECTS_WITHHELD, version.path_of(odd.pointer), message)
    if not isinstance(examples, list) or not examples:
        if not version.title.startswith("fragment/"):  # No event is made by a fragment alone.
            yield Remark(rules.NO_EXAMPLE, ())
        return
    for at, event in enumerate(examples):
        if not all(bundle.verdicts(event)):
            yield Remark(rules.EXAMPLE, ("examples", at))
        elif isinstance(event, dict) and event.get("$schema", version.uri) != version.uri:
            yield Remark(rules.EXAMPLE_SCHEMA, ("examples", at, "$schema"))
        for each in expectations.usable:
            if each.check(msgspec.json.encode(event)) is not None:
                yield Remark(rules.ODD_EXAMPLE, ("examples", at), f"The example fails the expectation {each.name}.")
