"""Small declared repairs of refused events: ``delete .page.extra``, ``integer .page_id``, ``cut .comment 500``.

Place: ``penstock recover --map`` → HERE → recovery.members.
Rules: a repair is no program. It names one or two members, always ends, and changes nothing else; a conversion that
would lose something leaves the value as it is, so that the schema refuses the event again. Repairs are applied in the
order in which they are written.
Not here: which events are repaired (recovery.run).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from server.errors import UsageError
from server.recovery.members import Path, edit, member

Repair = Callable[[bytes], bytes]

_NAME: Final = r'(?:[^\s.,;"\[\]]+|"(?:[^"\\\n]|\\.)*")'
_PATH: Final = re.compile(rf"\.?{_NAME}(?:\.{_NAME})*")
_STEP: Final = re.compile(_NAME)
_WHOLE: Final = re.compile(r"-?(?:0|[1-9]\d{0,99})(?:\.0{1,99})?")  # More digits are no mistake of a type.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,99})(?:\.\d{1,99})?(?:[eE][+-]?\d{1,3})?")
_MOST_REPAIRS: Final = 32
_DIGITS: Final = frozenset((b"-", *(b"%d" % digit for digit in range(10))))


def repairs_of(texts: Sequence[str]) -> list[Repair]:
    """Return the repairs that these texts declare. Raises UsageError."""
    if len(texts) > _MOST_REPAIRS:
        raise UsageError(f"--map: at most {_MOST_REPAIRS} repairs can be made; correct the senders instead")
    return [_repair(text) for text in texts]


def repaired(raw: bytes, repairs: Sequence[Repair]) -> bytes:
    """Return the event after all repairs. Raises msgspec.DecodeError if it is no JSON object."""
    for repair in repairs:
        raw = repair(raw)
    return raw


def _repair(text: str) -> Repair:
    verb, _, rest = text.strip().partition(" ")
    form = _FORMS.get(verb)
    if form is None:
        raise UsageError(f"--map {text!r}: begin with one of {', '.join(sorted(_FORMS))}")
    found = _PATH.match(rest := rest.strip())
    if found is None:
        raise UsageError(f"--map {text!r}: {_usage(verb)}")
    argument = rest[found.end() :].strip()
    try:
        return form.make(path_of(found[0]), argument)
    except ValueError:
        raise UsageError(f"--map {text!r}: {_usage(verb)}") from None


def path_of(text: str) -> Path:
    """Return the names of a path such as ``.meta.stream`` or ``"a b".c``. Raises ValueError."""
    if _PATH.fullmatch(text) is None:
        raise ValueError(text)
    return tuple(str(json.loads(step)) if step[0] == '"' else step for step in _STEP.findall(text))


def _usage(verb: str) -> str:
    return f"write {verb} {_FORMS[verb].form}"


def _set(path: Path, argument: str) -> Repair:
    value = _json(argument)
    return lambda raw: edit(raw, path, lambda before: value, makes_parents=True)


def _default(path: Path, argument: str) -> Repair:
    value = _json(argument)
    return lambda raw: edit(raw, path, lambda before: value if before is None else before, makes_parents=True)


def _delete(path: Path, argument: str) -> Repair:
    _none(argument)
    return lambda raw: edit(raw, path, lambda before: None)


def _rename(path: Path, argument: str) -> Repair:
    target = path_of(argument)
    if target[: len(path)] == path or path[: len(target)] == target:
        raise ValueError(argument)

    def rename(raw: bytes) -> bytes:
        """Move the member. Where the new name is taken, nothing is changed."""
        value = member(raw, path)
        if value is None or member(raw, target) is not None:
            return raw
        moved = edit(raw, target, lambda before: value, makes_parents=True)
        return edit(moved, path, lambda before: None) if member(moved, target) is not None else raw

    return rename


def _cut(path: Path, argument: str) -> Repair:
    most = int(argument)
    if most < 0:
        raise ValueError(argument)

    def cut(value: Any) -> Raw | None:
        return _written(value[:most]) if isinstance(value, str) and len(value) > most else None

    return _converting(path, cut)


def _converts(convert: Callable[[Any], Raw | None]) -> Callable[[Path, str], Repair]:
    def make(path: Path, argument: str) -> Repair:
        _none(argument)
        return _converting(path, convert)

    return make


def _converting(path: Path, convert: Callable[[Any], Raw | None]) -> Repair:
    """Return the repair that puts ``convert`` of the value in its place; of None it stays."""

    def change(before: Raw | None) -> Raw | None:
        if before is None:
            return None
        text = bytes(before).strip()
        try:
            # Numbers are converted by their text: a double would lose digits.
            is_number = text[:1] in _DIGITS
            value = _Number(text.decode("ascii")) if is_number else msgspec.json.decode(text)
        except (ValueError, RecursionError):
            return before
        return convert(value) or before

    return lambda raw: edit(raw, path, change)


class _Number(NamedTuple):
    """A number as it is written."""

    text: str


def _to_integer(value: Any) -> Raw | None:
    text = value.text if isinstance(value, _Number) else value.strip() if isinstance(value, str) else ""
    return Raw(text.partition(".")[0].encode()) if _WHOLE.fullmatch(text) else None


def _to_number(value: Any) -> Raw | None:
    text = value.strip() if isinstance(value, str) else ""
    return Raw(text.encode()) if _NUMBER.fullmatch(text) else None


def _to_string(value: Any) -> Raw | None:
    if isinstance(value, _Number):
        return _written(value.text)
    return _written("true" if value else "false") if isinstance(value, bool) else None


def _to_boolean(value: Any) -> Raw | None:
    text = value.text if isinstance(value, _Number) else value
    if text in ("true", "1"):
        return Raw(b"true")
    return Raw(b"false") if text in ("false", "0") else None


def _json(text: str) -> Raw:
    msgspec.json.decode(text)  # msgspec.DecodeError is a ValueError.
    return Raw(text.encode())


def _none(argument: str) -> None:
    if argument:
        raise ValueError(argument)


def _written(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))


class _Form(NamedTuple):
    """The arguments of a verb, and the function that reads them."""

    form: str
    make: Callable[[Path, str], Repair]


_FORMS: Final = {
    "set": _Form('PATH JSON, such as set .wiki "enwiki"', _set),
    "default": _Form("PATH JSON, such as default .count 0", _default),
    "delete": _Form("PATH, such as delete .page.extra", _delete),
    "rename": _Form("PATH PATH, neither inside the other, such as rename .pageId .page_id", _rename),
    "cut": _Form("PATH CHARACTERS, such as cut .comment 500", _cut),
    "integer": _Form("PATH, such as integer .page_id", _converts(_to_integer)),
    "number": _Form("PATH, such as number .seconds", _converts(_to_number)),
    "string": _Form("PATH, such as string .version", _converts(_to_string)),
    "boolean": _Form("PATH, such as boolean .is_bot", _converts(_to_boolean)),
}
