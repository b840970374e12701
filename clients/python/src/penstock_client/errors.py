"""What the library raises. Everything else that can go wrong is an outcome, not an exception."""

from __future__ import annotations


class PenstockClientError(Exception):
    """Base of all errors of this package."""


class QueueFull(PenstockClientError):  # noqa: N818 - as in queue.Full
    """The queue is full and ``on_full`` is ``"raise"``."""


class Closed(PenstockClientError):  # noqa: N818 - the same
    """The intake was closed before the call."""


class SpoolError(PenstockClientError, ValueError):
    """The spool directory cannot be used: it is no directory, it may not be written to, or its disk is full. Raised
    when a client is made, and only then."""
