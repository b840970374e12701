"""Tell in plain words what the catalogue, the disk or a file format refuses.

Place: command → HERE, around everything that uses pyiceberg and pyarrow.
Rules: the exceptions of these libraries mean that a commit was not made, or that it is not known whether it was. Either
way the process ends: the next start reads in the tables how far the last commit came. Exceptions of our own pass.
Not here: commits that another one has overtaken (tables), values that do not fit (arrow, convert).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
import pyiceberg.exceptions
from sqlalchemy.exc import SQLAlchemyError

from server.errors import PenstockError, SettingsError

# Those of pyiceberg have no base of their own. An OSError is also one of the network: that of requests is derived.
FAULTS: Final = (
    OSError,
    pa.ArrowException,
    SQLAlchemyError,
    *(one for one in vars(pyiceberg.exceptions).values() if isinstance(one, type) and issubclass(one, Exception)),
)
# Others that libraries raise of files that are damaged and settings that they cannot use: they are bugs if code of ours
# raises them.
OTHERS: Final = (ValueError, TypeError, LookupError, EOFError, SystemError, ImportError, NotImplementedError)
OURS: Final = ("processors", "server")


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Raise PenstockError instead of what a library raises."""
    try:
        yield
    except BrokenPipeError:
        raise  # The reader of what a command prints is gone.
    except FAULTS as error:
        raise PenstockError(f"the lake cannot go on: {_words(error)}") from error
    except OTHERS as error:
        if _is_ours(error):
            raise
        raise PenstockError(f"the lake cannot go on: {_words(error)}") from error


@contextmanager
def of_settings() -> Iterator[None]:
    """Raise SettingsError while a catalogue is opened by its settings: a library that is missing, a property that is
    missing or wrong, or a catalogue that does not answer."""
    try:
        yield
    except (*FAULTS, *OTHERS) as error:
        raise SettingsError(f"the catalogue cannot be opened: {_words(error)}") from error


def _is_ours(error: BaseException) -> bool:
    """Whether code of ours has raised it."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is None or str(last.tb_frame.f_globals.get("__name__")).partition(".")[0] in OURS


def _words(error: BaseException) -> str:
    """Return the first line of an exception with its type, which is all that some of them say."""
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}"[:1000]
