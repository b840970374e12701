"""Check the settings of the console against the admin address.

Place: config.rules → HERE.
Rule: as in config.rules: a finding names the setting that an operator would change.
Not here: each value alone (config.framework.judge).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from server.config.addresses import UnixAddress, parse
from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.settings import Config
from server.errors import SettingsError

_MASK = re.compile(r"(\*|[^.\s*]+)(\.[^.\s*]+)*")


def console_breaches(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    """Yield an open console on a public address, paths that are none, and settings that have no effect."""
    console = config.console
    if not console.enabled:
        for name in document.value.get("console") or {}:
            if name != "enabled":
                reason = "has no effect: console.enabled is false"
                yield Breach(("console", name), reason, "set it to true", is_warning=True)
        return
    if console.token_file is None and not is_local(config.admin.listen):
        reason = f"would show every event to all who reach admin.listen, {config.admin.listen}"
        yield Breach(("console", "enabled"), reason, "set console.token_file, or listen on 127.0.0.1")
    for index, text in enumerate(console.mask):
        if not _MASK.fullmatch(text) or text == "*":
            hint = "write names with dots between, http.client_ip, or *.name for a name at any depth"
            yield Breach(("console", "mask", index), f"{text!r} is not the path of a field", hint)


def is_local(listen: str) -> bool:
    """Whether only processes of this host reach an address to listen on."""
    try:
        address = parse(listen)
    except SettingsError:  # Reported where addresses are checked.
        return True
    if isinstance(address, UnixAddress) or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
