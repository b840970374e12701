"""The events of dependency tracking, and the messages that the states of its resources send to one another.

Place: docs/designs/dependency-tracking.md → HERE ← model.
Rules: every message is to one ``resource``. Versions and numbers are positive and grow; they are no times.
Not here: what a message does (model).
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct

ALL: Final = "*"  # The aspect that has every other one as a part.


class Use(Struct, frozen=True):
    """That an aspect of an input was read. ``version`` is at most that of the text that was read; ``hash`` is that of
    the aspect, or None if the reader does not know it."""

    resource: str
    aspect: str
    version: int
    hash: str | None


class Changed(Struct, frozen=True):
    """A resource has a new version. ``aspects`` gives hashes, or None for an unknown one. An aspect without its parts
    says that each part may have changed; an aspect that is absent, with all above and below it, has not changed."""

    resource: str
    version: int
    aspects: dict[str, str | None]
    depth: int = 0


class Derived(Struct, frozen=True):
    """A resource was derived. ``number`` grows with each result of it that is kept, and is its version as an input of
    others; ``depth`` is that of the stale event which this answers."""

    resource: str
    number: int
    hash: str
    uses: tuple[Use, ...]
    depth: int = 0
    is_pushed: bool = True


class Register(Struct, frozen=True):
    """To an input: the uses of it by the result ``number`` of ``user``."""

    resource: str
    user: str
    number: int
    uses: tuple[Use, ...]


class Sweep(Struct, frozen=True):
    """To an input, from itself: look at the next page of the users of an aspect."""

    resource: str
    aspect: str


class Notice(Struct, frozen=True):
    """To a user: its result ``number`` is out of date, because ``cause``, an aspect of ``source``, has ``version``."""

    resource: str
    number: int
    source: str
    aspect: str
    cause: str
    version: int
    depth: int


class Forget(Struct, frozen=True):
    """To an input: results of ``user`` up to ``number`` are replaced."""

    resource: str
    aspect: str
    user: str
    number: int


class Stale(Struct, frozen=True):
    """The output: the result ``number`` of a resource should be derived again."""

    resource: str
    number: int
    cause: str
    version: int
    depth: int


Message: TypeAlias = Changed | Derived | Register | Sweep | Notice | Forget
