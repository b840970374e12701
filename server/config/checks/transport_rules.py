"""Check the settings of transports against one another.

Place: config.rules → HERE.
Rule: as in config.rules: a finding names the setting that an operator would change.
Not here: each value alone (config.framework.judge).
"""

from __future__ import annotations

from collections.abc import Iterator

from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.settings import Config
from server.text.origins import HINT, is_host_name, is_origin


def transport_breaches(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    """Yield origins that no browser sends, and those that would allow cookies from the pages of any site."""
    for index, name in enumerate(config.http.webhook_origins):
        if not is_host_name(name):
            hint = (
                "write a host name in lower case, without scheme and port; `*.` before the name stands for all hosts "
                "below it, `*` for every host"
            )
            yield Breach(("http", "webhook_origins", index), f"{name!r} is not a host name", hint)
    cors = config.http.cors
    for index, origin in enumerate(cors.origins):
        if origin != "*" and not is_origin(origin):
            yield Breach(("http", "cors", "origins", index), f"{origin!r} is not an origin", HINT)
    if cors.credentials and "*" in cors.origins:
        reason = "cannot be combined with the origin `*`: any site could send with the cookies of its visitors"
        yield Breach(("http", "cors", "credentials"), reason, "list the origins, or leave it out")
    if cors.credentials and not cors.origins:
        yield Breach(("http", "cors", "credentials"), "has no effect: http.cors.origins is empty", "", is_warning=True)
