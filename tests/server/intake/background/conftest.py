"""Three versions of a schema, and streams that try them; and two versions of one with expectations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

VERSIONS: Final[dict[str, dict[str, Any]]] = {
    "1.0.0": {"n": {"type": "integer"}, "note": {"type": "string", "maxLength": 40}},
    "1.1.0": {"n": {"type": "integer"}, "note": {"type": "string", "maxLength": 8}, "size": {"type": "integer"}},
    "2.0.0": {"n": {"type": "number", "default": 3}, "note": {"type": "string", "maxLength": 40}},
}

EXPECTATIONS: Final[dict[str, Any]] = {
    "1.0.0": [
        {
            "title": "large ones have a size",
            "if": {"properties": {"kind": {"const": "large"}}, "required": ["kind"]},
            "then": {"properties": {"size": {"exclusiveMinimum": 200}}, "required": ["size"]},
        },
        {"title": "wrong", "minimum": "x"},
    ],
    "1.1.0": {"title": "few properties", "maxProperties": 4},
    "1.2.0": {"minimum": "x"},
}
META: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("stream", "id", "dt")},
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
    "odd": {"schema_title": "t/o"},
    "odd.never": {"schema_title": "t/o", "producers": {"eventgate": {"expect_rate": 0}}},
    "odd.unchecked": {"schema_title": "t/o", "producers": {"eventgate": {"validation": "off"}}},
    "odd.observed": {"schema_title": "t/o", "producers": {"eventgate": {"validation": "observe"}}},
    "odd.both": {"schema_title": "t/o", "producers": {"eventgate": {"shadow_schema": "1.1.0", "shadow_rate": 1}}},
    "our.alarms": {"schema_title": "penstock/expectation_alarm"},
}


def write(directory: Path) -> Path:
    folder = directory / "schemas" / "t" / "e"
    folder.mkdir(parents=True)
    for version, properties in VERSIONS.items():
        schema = {"title": "t/e", "$id": f"/t/e/{version}", "type": "object", "required": ["$schema", "meta", "n"]}
        whole = {**schema, "properties": {"$schema": {"type": "string"}, "meta": META, **properties}}
        (folder / f"{version}.yaml").write_text(json.dumps(whole))
    _write_odd(directory)
    (directory / "streams.yaml").write_text(json.dumps({"streams": STREAMS}))
    settings = {
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "intake": {"error_stream": ""},
    }
    (directory / "penstock.yaml").write_text(json.dumps(settings))
    return directory / "penstock.yaml"


def _write_odd(directory: Path) -> None:
    folder = directory / "schemas" / "t" / "o"
    folder.mkdir(parents=True)
    size = {"type": "number", "x-expect": {"maximum": 1000}}
    properties = {"$schema": {"type": "string"}, "meta": META, "kind": {"type": "string"}, "size": size}
    for version, expectation in EXPECTATIONS.items():
        schema = {"title": "t/o", "$id": f"/t/o/{version}", "type": "object", "x-expect": expectation}
        plain = {**properties, "size": {"type": "number"}} if version == "1.2.0" else properties
        (folder / f"{version}.yaml").write_text(json.dumps({**schema, "properties": plain}))
    examples = Path(__file__).parents[4] / "server" / "examples" / "schemas"
    for name in ("penstock/expectation_alarm", "fragment/event"):
        shutil.copytree(examples / name, directory / "schemas" / name)


@pytest.fixture(scope="session")
def settings_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("background"))
