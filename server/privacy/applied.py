"""Apply the annotations ``x-privacy`` to events: what is stored of an accepted one, and told of a refused one.

Place: intake.router makes a RoutePrivacy with each route; intake.private → HERE → validators.privacy, privacy.actions.
Rules: ``declared`` does what the schema says, ``strict`` the strict set, which also leaves out what the server knows of
the client. ``Sec-GPC: 1`` asks for the strict set where the schema has annotations. Where neither says anything there
is no RoutePrivacy, and an event costs nothing more.
Not here: actions on one value (privacy.actions), which schema an event has (intake.router).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from server.privacy.actions import Actions
from server.privacy.keys import HashKeys
from server.schemas.repository import KEEP, PrivacyPlan, plan_of

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.schemas.repository import SchemaRepository

Path = tuple[str, ...]
Unattributed = Literal["auto", "omit", "keep"]

GPC: Final = b"sec-gpc"
# In the place of an event whose text cannot be told apart. It is JSON, as events are.
NOT_SHOWN: Final = b'"(not shown: it may hold values that x-privacy withholds)"'


def _none() -> bool:
    return False


class Privacy:
    """The annotations of all schemas, with the keys of one worker."""

    def __init__(
        self,
        keys: HashKeys | None = None,
        *,
        obeys_gpc: bool = True,
        unattributed: Unattributed = "auto",
        is_annotated: Callable[[], bool] = _none,
        keeps_hashes: bool = False,
    ) -> None:
        """``unattributed``: what is told of an event whose schema cannot be found; ``auto`` omits it once there are
        annotations. ``is_annotated`` returns whether any schema that was read has one. ``keeps_hashes``: see
        privacy.actions."""
        self.actions = Actions(keys or HashKeys(), keeps_hashes=keeps_hashes)
        self._obeys_gpc = obeys_gpc
        self._unattributed = unattributed
        self._is_annotated = is_annotated
        self._is_used = unattributed == "omit"

    @property
    def is_used(self) -> bool:
        """Whether anything is withheld from any event."""
        if not self._is_used and self._is_annotated():
            self._is_used = True
        return self._is_used

    @property
    def shows_unattributed(self) -> bool:
        """Whether an event whose schema cannot be found is told of as it came."""
        return self._unattributed == "keep" or not self.is_used

    def of(  # cold: once for each route
        self, plans: Iterable[PrivacyPlan | None], client: Iterable[Path], dt: Path, *, is_strict: bool
    ) -> RoutePrivacy | None:
        """Return what is done with events that any of these plans speaks of; None: nothing. ``client`` are the fields
        that hold what the server knows of the client, ``dt`` is that of the event's time."""
        found = tuple(dict.fromkeys(plan for plan in plans if plan is not None))
        if not found and not is_strict:
            return None
        self._is_used = True
        strict = [path for path in client if not any(plan.action_at(path) == KEEP for plan in found)]
        changes_time = any(plan.action_at(dt) not in (None, KEEP) for plan in found)
        return RoutePrivacy(found, (*found, *_plans_of(strict)), is_strict, self._obeys_gpc, changes_time, self.actions)


class RoutePrivacy(Struct, frozen=True, eq=False):
    """The annotations that speak of the events of one route. ``strict`` are the plans of the strict set.
    ``changes_time``: the time of a stored event may be another one than it came with."""

    declared: tuple[PrivacyPlan, ...]
    strict: tuple[PrivacyPlan, ...]
    is_strict: bool
    obeys_gpc: bool
    changes_time: bool
    actions: Actions

    def applied(self, value: bytes, headers: Mapping[bytes, bytes], *, is_valid: bool = True) -> bytes:
        """Return the event as it is stored. Raises RecursionError, and msgspec's errors for a text that is not a JSON
        object."""
        is_strict = self.is_strict or (self.obeys_gpc and _asks(headers.get(GPC)))
        act = self.actions.strict if is_strict else self.actions.usual
        for plan in self.strict if is_strict else self.declared:
            value = plan.apply(value, act, is_valid=is_valid)
        return value


def _asks(field: bytes | None) -> bool:
    """Whether a ``Sec-GPC`` header asks for the strict set. A list, or a repeated field, does if a member does."""
    return field is not None and b"1" in (member.strip() for member in field.split(b","))


def make_privacy(
    config: Config, schemas: SchemaRepository, keys: HashKeys, *, keeps_hashes: bool = False
) -> Privacy:  # cold: once per worker
    """Return the annotations by the settings, for a worker or a command."""
    return Privacy(
        keys,
        obeys_gpc=config.privacy.obey_gpc,
        unattributed=config.privacy.unattributed,
        is_annotated=lambda: schemas.is_private,
        keeps_hashes=keeps_hashes,
    )


def _plans_of(paths: list[Path]) -> list[PrivacyPlan]:
    """Return a plan that drops the values at these paths."""
    whole: dict[str, Any] = {}
    for path in paths:
        schema = whole
        for name in path:
            schema = schema.setdefault("properties", {}).setdefault(name, {})
        schema["x-privacy"] = "drop"
    plan = plan_of(whole, "strict")
    return [] if plan is None else [plan]
