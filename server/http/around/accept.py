"""The preferences of a client: Accept, Accept-Encoding (RFC 9110 section 12.4).

Place: pages.documents → HERE.
Rule: results are cached by the header's bytes, in bounded number, since clients write few different ones.
Not here: which kinds of bodies clients may send (http.around.content).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from server.http.fields import elements, named

_WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,9})?|\.[0-9]{1,9}")


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether an answer may be compressed."""
    weights = _weights(accept_encoding)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


@lru_cache(maxsize=256)
def wants_page(accept: bytes) -> bool:
    """Whether the client is a browser: it accepts text/html, and weighs it higher than JSON."""
    weights = _weights(accept)
    return weights.get("text/html", 0.0) > weights.get("application/json", 0.0)


def _weights(header: bytes) -> dict[str, float]:
    """Return the weight of each name in ``a, b;q=0.5`` (RFC 9110 section 12.4.2)."""
    found: dict[str, float] = {}
    for element in elements(header[:2_048]):
        name, parameters = named(element)
        weight = 1.0
        for parameter, value in parameters:
            if parameter == "q":
                weight = float(value) if _WEIGHT.fullmatch(value) else 0.0
        found[name] = weight
    return found
