"""The base of every section of the settings, and the kinds of values that many settings share.

Place: HERE → config.settings, config.catalog_settings.
Rule: unknown keys are forbidden everywhere; a setting's meaning is part of its type.
Not here: the settings.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 34)]
Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[list[Text], Meta(min_length=1)]
Headers = dict[Text, str]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


def says(meaning: str) -> Meta:
    """Attach the meaning of a setting to its type, for the reference page and for messages."""
    return Meta(description=meaning)


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section: a typing error in a key is an error, not a silent default."""


def repr_without(section: Section, hidden: str) -> str:
    """Return a section as text with the values of one map masked, because a log line must not show a secret."""
    shown = {name: getattr(section, name) for name in section.__struct_fields__}
    shown[hidden] = dict.fromkeys(shown[hidden], "***")
    return f"{type(section).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
