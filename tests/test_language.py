"""Texts that people read are plain English: they have no sign of SIGNS, apart from EXCEPTIONS.

People read the pages of documentation, the specification, the files of a deployment, the strings of the program that
are sentences (log lines, findings, problem details, help), and docstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.running import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "Makefile", "bench/README.md", "compose.yaml", "Dockerfile")
# Each sign, with what to write instead and an example.
SIGNS = {
    "a word for everyone": (
        re.compile(r"\b(?:nobody|somebody|anybody|everybody|whoever|whatever)\b", re.IGNORECASE),
        "say who or what: a client, a process, any value",
        "Nobody waits any more.",
    ),
    "an old word": (
        re.compile(r"\b(?:anew|undo|undoes|undone|beside)\b", re.IGNORECASE),
        "write again; decompress, decode or revert; next to, or together with",
        "The body is undone before its handler sees it.",
    ),
    "`a` for per": (
        re.compile(
            r"\b(?:bytes|events|lines|pages|rows|µs|ms|[kM]B|a (?:page|line|row|cell|task|lookup|thread|file)) a "
            r"(?:worker|request|beat|line|route|kind|turn|host|body|stream|page|row|process|client|key"
            r"|connection|topic|schema|letter|record|value|byte|tick|poll)\b"
        ),
        "write per, or for each",
        "The books have a page a worker.",
    ),
    "a clause for a noun": (
        re.compile(r"(?:^|(?<=\. )|(?<=\| ))(?:What|Who|Whom) (?![^.|]*\?|would change our mind|it costs|decides:)"),
        "begin with the thing itself: The rest, not: What is left",
        "What is left goes to the spool.",
    ),
    "an ellipsis": (
        re.compile(r"(?<=[a-z]{3})[,;]? ?(?:…|\.\.\.)$"),
        "end the sentence",
        "Others come now …",
    ),
}
# Texts in which a sign is right, and why.
EXCEPTIONS = {"``beside`` is a further condition": "the name of a field"}
ROOMS = ("server", "eventstreams", "validators", "soak", "processors")


def pages() -> Iterator[tuple[str, str]]:
    """Yield every line of every page, with its place."""
    found = [ROOT / name for name in PAGES] + [*(ROOT / "docs").rglob("*.md"), ROOT / "server/pages/openapi.yaml"]
    found += [path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".md", ".yaml", ".yml", ".service")]
    found += (ROOT / "server/examples").glob("*.yaml")
    found += (ROOT / "processors").rglob("example/*.yaml")
    for path in found:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if path.suffix == ".md" and line.startswith("#"):
                continue  # A heading may name its subject by a clause: What it costs.
            yield f"{path.relative_to(ROOT)}:{number}", re.sub(r"^[\s#>*-]*(?:description: |summary: )?", "", line)


def strings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every docstring of a module, and every other string of it that is a sentence or a part of one."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(node.value.split())


def texts() -> Iterator[tuple[str, str]]:
    yield from pages()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield from strings(path)


TEXTS = list(texts())


def signs_in(text: str) -> list[str]:
    """Return what to mend in a text."""
    for allowed in EXCEPTIONS:
        text = text.replace(allowed, "")
    return [f"{match.group()!r}: {advice}" for sign, advice, _ in SIGNS.values() if (match := sign.search(text))]


def test_texts_that_people_read_have_none_of_the_signs() -> None:
    found = [f"{place}: {fault}" for place, text in TEXTS for fault in signs_in(text)]

    assert found == [], "\n" + "\n".join(found)


@pytest.mark.parametrize("sign", SIGNS)
def test_each_sign_is_noticed(sign: str) -> None:
    assert signs_in(SIGNS[sign][2]) != []


@pytest.mark.parametrize("text", EXCEPTIONS)
def test_each_exception_is_still_needed(text: str) -> None:
    found = [place for place, one in TEXTS if text in one]

    assert found != [], "take it off EXCEPTIONS"


def test_every_sort_of_text_is_looked_at() -> None:
    places = {place.partition(":")[0] for place, _ in TEXTS}

    assert {"docs/OPERATIONS.md", "README.md", "server/pages/openapi.yaml", "server/examples/streams.yaml"} <= places
    assert {"server/http/problem.py", "server/config/rules.py", "validators/__init__.py"} <= places
    assert {"server/sink/spool/replay.py", "soak/verdict.py"} <= places
    assert [
        text for place, text in TEXTS if place.startswith("server/intake/pipeline.py:") if "surrogate in" in text
    ] == ["the event should have no lone surrogate in its strings"]
