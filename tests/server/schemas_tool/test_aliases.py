"""A file whose aliases have no end, or stand for gigabytes, is named by every task; none follows the aliases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from server.schemas_tool.versions import Version, titles_below
from tests.server.schemas_tool.repository import FIRST, put

LAUGHS = "".join(f"- &a{level + 1} [{', '.join([f'*a{level}'] * 10)}]\n" for level in range(8))
BAD = {
    "in an expectation": "x-expect: &a [*a]\n",
    "in a property": "definitions: {n: &a {properties: {n: *a}}}\n",
    "in data": "enum: &a [*a]\n",
    "merged": "definitions: {n: &a {<<: *a}}\n",
    "laughs": f"default:\n- &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]\n{LAUGHS}",
}


@pytest.mark.parametrize(
    ("task", "options", "code", "file"),
    [
        ("lint", (), 1, "1.1.0"),
        ("check", (), 2, "1.1.0"),
        ("docs", ("-o", "out"), 1, "1.1.0"),
        ("diff", (), 0, "1.0.0"),
        ("replay", ("events",), 3, "1.1.0"),
        ("materialize", (), 1, "current"),
    ],
)
@pytest.mark.parametrize("case", BAD)
def test_a_file_with_aliases_that_have_no_end_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    options: Sequence[str],
    code: int,
    file: str,
    case: str,
) -> None:
    def compose(*_: Any, **__: Any) -> None:
        raise AssertionError("to follow these aliases would take all memory")

    monkeypatch.setattr("server.schemas_tool.versions.yaml.compose", compose)
    monkeypatch.chdir(tmp_path)
    text = FIRST.partition("examples:")[0] + BAD[case]
    put(tmp_path / "s", "1.0.0", text)
    put(tmp_path / "s", "1.1.0", text.replace("1.0.0", "1.1.0"))
    (tmp_path / "s/shop/order/current.yaml").write_text(text)

    assert main(["schemas", task, "s", *options]) == code
    told = capsys.readouterr()
    assert "alias" in told.out + told.err
    assert f"s/shop/order/{file}.yaml:" in told.out + told.err


def test_places_are_told_through_aliases_but_not_through_merges(tmp_path: Path) -> None:
    """The reader copies a merged key once, however many of the merged maps have it."""
    put(tmp_path, "1.0.0", "a: &a\n  b: &b [1, 2]\nc: {<<: [*a, *a], d: *b}\n")
    (version,) = titles_below(tmp_path)["shop/order"]

    assert isinstance(version, Version)
    assert version.contents["c"] == {"d": [1, 2], "b": [1, 2]}
    assert version.place(("c", "d", 1)) == (2, 13)
    assert version.place(("c", "<<", 0, "b")) == version.place(("c", "b")) == version.place(("c",)) == (3, 1)
