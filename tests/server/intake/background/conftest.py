"""Three versions of a schema, and streams that try them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

VERSIONS: Final[dict[str, dict[str, Any]]] = {
    "1.0.0": {"n": {"type": "integer"}, "note": {"type": "string", "maxLength": 40}},
    "1.1.0": {"n": {"type": "integer"}, "note": {"type": "string", "maxLength": 8}, "size": {"type": "integer"}},
    "2.0.0": {"n": {"type": "number", "default": 3}, "note": {"type": "string", "maxLength": 40}},
}


def trying(version: str, rate: float | None = 1.0, **more: Any) -> dict[str, Any]:
    shadow = {"shadow_schema": version} | ({} if rate is None else {"shadow_rate": rate})
    return {"schema_title": "t/e", "producers": {"eventgate": shadow | more}}


STREAMS: Final[dict[str, Any]] = {
    "plain": {"schema_title": "t/e"},
    "shorter": trying("1.1.0"),
    "latest": trying("latest"),
    "tenth": trying("1.1.0", None),
    "never": trying("1.1.0", 0),
    "gone": trying("9.0.0"),
    "unchecked": trying("1.1.0", validation="off"),
    "observed": trying("2.0.0", validation="observe"),
    "keyed": trying("1.1.0") | {"message_key_fields": {"n": "n"}},
    "/^job\\./": trying("1.1.0"),
}


def write(directory: Path) -> Path:
    folder = directory / "schemas" / "t" / "e"
    folder.mkdir(parents=True)
    for version, properties in VERSIONS.items():
        meta = {"type": "object", "properties": {name: {"type": "string"} for name in ("stream", "id", "dt")}}
        schema = {"title": "t/e", "$id": f"/t/e/{version}", "type": "object", "required": ["$schema", "meta", "n"]}
        whole = {**schema, "properties": {"$schema": {"type": "string"}, "meta": meta, **properties}}
        (folder / f"{version}.yaml").write_text(json.dumps(whole))
    (directory / "streams.yaml").write_text(json.dumps({"streams": STREAMS}))
    settings = {
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "intake": {"error_stream": ""},
    }
    (directory / "penstock.yaml").write_text(json.dumps(settings))
    return directory / "penstock.yaml"


@pytest.fixture(scope="session")
def settings_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("background"))
