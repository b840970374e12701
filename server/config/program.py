"""Describe this program's settings to config.framework.

Place: config.load, config.settings_page → HERE → config.framework.
Rule: everything that the framework has to know of this program's settings is here, and only here.
Not here: the settings themselves (config.settings).
"""

from __future__ import annotations

import re

from server.config.framework.document import KeyPath
from server.config.framework.program import Program
from server.config.kafka.secrets import is_secret
from server.config.settings import Config

_ABOVE_SECRETS = (("sink",), ("sink", "kafka"), ("streams",), ("schemas",), ("auth",))

# Kubernetes puts these into every container of a namespace that has a service named "penstock" or "penstock-…". No
# setting has such a name, and a service beside this one is no reason to refuse the start.
_KUBERNETES = re.compile(
    r"PENSTOCK_(?!.*__)(\w+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)

_PURE = "PENSTOCK_PURE"  # It is read before there are settings (server.compiled.finder).


def _is_kafka_secret(path: KeyPath) -> bool:
    return path[:2] == ("sink", "kafka") and is_secret(str(path[-1]))


def _holds_secret(path: KeyPath) -> bool:
    is_secret_place = path[1:2] == ("headers",) or path[:2] == ("auth", "keys")
    return path in _ABOVE_SECRETS or is_secret_place or _is_kafka_secret(path)


def _is_verbatim(path: KeyPath) -> bool:
    return len(path) == 3 and _is_kafka_secret(path)


def _free_key(section: str, part: str) -> str:
    """Turn a part of a variable's name into a key: properties of librdkafka have dots (one has an underscore), headers
    and types of reports have hyphens."""
    if part == "log_level":
        return part
    return part.replace("_", "." if section == "sink" else "-")


def _is_foreign(variable: str) -> bool:
    return variable == _PURE or _KUBERNETES.fullmatch(variable) is not None


PENSTOCK = Program(
    root=Config,
    prefix="PENSTOCK_",
    holds_secret=_holds_secret,
    is_verbatim=_is_verbatim,
    free_key=_free_key,
    is_foreign=_is_foreign,
)
