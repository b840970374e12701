"""The example content keeps the rules that it is an example of."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "server" / "examples"
SCHEMAS = EXAMPLES / "schemas"
VERSIONED = sorted(path for path in SCHEMAS.rglob("*.*.*.yaml") if not path.is_symlink())


def version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.name.removesuffix(".yaml").split("."))


@pytest.mark.parametrize("path", VERSIONED, ids=lambda path: str(path.relative_to(SCHEMAS)))
def test_a_schema_is_named_by_where_it_is(path: Path) -> None:
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    title = path.parent.relative_to(SCHEMAS).as_posix()

    assert schema["title"] == title
    assert schema["$id"] == f"/{title}/{path.stem}"
    assert path.with_suffix("").read_bytes() == path.read_bytes(), "the URI without an extension is a file too"


@pytest.mark.parametrize("folder", sorted({path.parent for path in VERSIONED}), ids=lambda path: path.name)
def test_current_and_latest_are_the_newest_version(folder: Path) -> None:
    newest = max((path for path in VERSIONED if path.parent == folder), key=version).read_bytes()

    assert {name: (folder / name).read_bytes() for name in ("current.yaml", "latest.yaml", "latest")} == dict.fromkeys(
        ("current.yaml", "latest.yaml", "latest"), newest
    )


def test_every_stream_names_a_schema_that_is_there() -> None:
    streams = yaml.safe_load((EXAMPLES / "streams.yaml").read_text(encoding="utf-8"))["streams"]

    assert [name for name, settings in streams.items() if not (SCHEMAS / settings["schema_title"]).is_dir()] == []
