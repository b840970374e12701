"""``penstock validate``: which events it finds in a file, and where they begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main

EVENT: dict[str, Any] = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": "/home"}
INVALID = EVENT | {"page": 5}
LINE, BAD = json.dumps(EVENT), json.dumps(INVALID)

FILES = {
    "lines": (f"{LINE}\n\n{BAD}\n", [(1, "valid"), (3, "invalid")]),
    "one event over several lines": ("\n" + json.dumps(EVENT, indent=2) + "\n", [(2, "valid")]),
    "an array": (json.dumps([EVENT, INVALID], indent=2), [(2, "valid"), (9, "invalid")]),
    "an array on one line": (f"[{LINE},{BAD}]", [(1, "valid"), (1, "invalid")]),
    "a line that is cut off": (f"{LINE[:-9]}\n{LINE}\n", [(1, "invalid"), (2, "valid")]),
}


@pytest.mark.parametrize("kind", FILES)
def test_events_are_found_with_their_line(kind: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text, expected = FILES[kind]
    path = tmp_path / "events.json"
    path.write_text(text)

    code = main(["validate", str(path)])
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    assert [(one["at"], one["status"]) for one in found] == [(f"{path}:{line}", status) for line, status in expected]
    assert [one["index"] for one in found] == list(range(len(expected)))
    assert code == int(any(status == "invalid" for _, status in expected))
