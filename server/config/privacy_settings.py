"""Define the settings of privacy annotations.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: the setting of one stream (catalog.allowed), what annotations do (server.privacy).
"""

from __future__ import annotations

from typing import Annotated, Literal

from server.config.framework.section import Section, Text, says


class PrivacySettings(Section, frozen=True):
    """Values that schemas withhold with `x-privacy`: see PRIVACY.md."""

    keys_file: Annotated[
        Text | None,
        says(
            "File with the keys of `hash`: a name and a secret on each line, the key in force first. It is read again "
            "when it changes. Null: values to be hashed are dropped."
        ),
    ] = None
    obey_gpc: Annotated[
        bool, says("Whether requests with `Sec-GPC: 1` get the strict set, for events of schemas with annotations.")
    ] = True
    unattributed: Annotated[
        Literal["auto", "omit", "keep"],
        says(
            "Whether error events and the console hold refused events whose schema cannot be found: `auto` omits them "
            "as soon as any schema that was read has annotations."
        ),
    ] = "auto"
