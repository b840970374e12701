"""``mypyc_attr``, which tells mypyc how to lay out a class; without mypyc it does nothing.

Place: records of the road of an event → HERE.
Rule: mypyc knows the decorator by its own name, and it is not called in compiled code, so the package that defines it
is not needed at run time.
Not here: which modules are compiled (server.compiled.modules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_: object):
        """Return a decorator that returns the class as it is."""
        return lambda decorated: decorated


__all__ = ["mypyc_attr"]
