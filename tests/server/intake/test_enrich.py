"""server.intake.enrich: a schema's defaults, where the event lacks them."""

from __future__ import annotations

import json

from server.intake.enrich import fill_defaults
from validators.shape import Default


def test_defaults_below_what_is_no_object_are_not_written() -> None:
    defaults = {"part": Default(None, {"size": Default(b"3", {})})}

    assert fill_defaults(b'{"part":null}', defaults) == b'{"part":null}'
    assert fill_defaults(b'{"part":{}}', defaults) == b'{"part":{"size":3}}'


def test_a_default_object_gets_the_defaults_inside_it() -> None:
    defaults = {"part": Default(b'{"kind":"a"}', {"size": Default(b"3", {})})}

    assert json.loads(fill_defaults(b"{}", defaults)) == {"part": {"kind": "a", "size": 3}}
