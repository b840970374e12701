"""Say how the events of a body in one format are found, and what a module of a format promises.

Place: server/intake/forms/<format>.py makes a Form → HERE → intake.forms.forms, intake.receive.
Rules: a format is a module of this folder, which has ``form(config, schema)`` and the name that
http.around.content gives to the format of its media types. A format decides nothing about an event, which is raw JSON
by the time intake.pipeline sees it.
Not here: which media types there are (http.around.content), what is inside an event (intake.pipeline).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from server.intake.forms.piece import Piece
from server.intake.text.cut import Elements, elements

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.ndjson import BodyLines
    from server.schemas.repository import Validator

    SchemaHere = Callable[[str], Validator | tuple[str, str]]  # SchemaRepository.find_here: it has nothing fetched.
    Make = Callable[[Config, SchemaHere], "Form"]


class Cut(Protocol):
    """Take a body apart, as intake.text.cut.elements does."""

    def __call__(
        self, body: bytes, most: int, max_event_bytes: int, *, may_take_long: bool
    ) -> Elements | BodyLines | list[Any] | int | str: ...


Unwrap = Callable[[bytes], Piece]
Finish = Callable[[list[Any], bool], "str | None"]


class Form(NamedTuple):
    """How bodies of one format are read. ``cut`` splits a body into one text per event; by default these are the
    elements of an array. ``unwrap`` makes a piece of each text when it is prepared. ``finish`` is called with all texts
    and whether they stood in an array, and returns what is wrong with that, or None."""

    cut: Cut = elements
    unwrap: Unwrap | None = None
    finish: Finish | None = None
