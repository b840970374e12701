"""The properties by which the settings of one program differ from those of another.

Place: a program makes one of these → judge, source, reference.
Rule: everything else in this folder knows no setting by name.
Not here: a program's settings (config.settings is this one's; config.program makes its Program).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from server.config.framework.document import KeyPath
from server.config.framework.section import Section


class Program(Struct, frozen=True):
    """``root`` is the struct of the whole file; ``prefix`` begins the names of its environment variables.

    ``holds_secret`` says of a path whether its value, or a value below it, may be a secret: messages do not show it.
    ``is_verbatim`` says of the path of a setting whether a text for it is taken as it stands, not read as YAML.
    ``free_key`` turns a part of a variable's name into a key of a free map, given the section at the top of its path.
    ``is_foreign`` says of a variable with the prefix whether another program sets it.
    """

    root: type[Section]
    prefix: str
    holds_secret: Callable[[KeyPath], bool]
    is_verbatim: Callable[[KeyPath], bool]
    free_key: Callable[[str, str], str]
    is_foreign: Callable[[str], bool]
