"""Check the formats that are asserted: each checker tells whether a string has its format.

Place: reference gives these checkers to fastjsonschema, and invalid calls them again, so that both judge alike.
Rules: a checker never raises and takes time linear in the text; a format that is not in ``FORMATS`` asserts nothing.
Not here: ``maxLength``, which bounds the text (insecure asks for it).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from validators.regex import pattern

# RFC 3339, section 5.6. The day exists in its month; 29 February only in a leap year.
_DATE = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_OFFSET = r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_TIME = rf"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]++)?{_OFFSET}"
_LEAP_SECOND = re.compile(r"([0-9]{2}):([0-9]{2}):60(?:\.[0-9]++)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))")

_is_date_time = re.compile(rf"{_DATE}[Tt]{_TIME}").fullmatch
_is_date = re.compile(_DATE).fullmatch
_is_time = re.compile(_TIME).fullmatch

# RFC 1123 and RFC 5321, section 4.1.2. A label may be 63 long, a name 253, a local part 64.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_is_hostname = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.DOTALL).fullmatch
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_is_local_part = re.compile(
    rf'(?=.{{1,64}}\Z)(?:{_ATOM}(?:\.{_ATOM})*|"(?:[ !#-\[\]-~]|\\[ -~])*")', re.DOTALL
).fullmatch

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_is_ipv4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}").fullmatch
# RFC 4291, section 2.2. Of eight groups, ``::`` stands for at least one.
_GROUP = "[0-9A-Fa-f]{1,4}"
_is_full_ipv6 = re.compile(rf"(?:{_GROUP}:){{7}}{_GROUP}").fullmatch
_GROUPS = rf"(?:{_GROUP}(?::{_GROUP}){{0,6}})?"
_is_short_ipv6 = re.compile(rf"{_GROUPS}::{_GROUPS}").fullmatch
_is_uuid = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch

# RFC 3986, appendix A. A literal in brackets is judged apart. A run of plain characters is one step, which takes 20 ns
# instead of 460.
_PLAIN = "A-Za-z0-9._~!$&'()*+,;=-"


def _run(more: str) -> str:
    """Return an expression for any number of plain characters, of ``more``, and of percent-encoded ones."""
    return rf"[{more}{_PLAIN}]*+(?:%[0-9A-Fa-f]{{2}}[{more}{_PLAIN}]*+)*+"


_AUTHORITY = rf"(?:{_run(':')}@)?(?:\[(?P<literal>[0-9A-Za-z._~!$&'()*+,;=:-]+)\]|{_run('')})(?::[0-9]*)?"
_PATH = _run(":@/")
_TAIL = rf"(?:\?{_run(':@/?')})?(?:#{_run(':@/?')})?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_HIER = rf"//{_AUTHORITY}(?:/{_PATH})?|/(?!/){_PATH}"
_match_uri = re.compile(rf"{_SCHEME}(?:{_HIER}|(?!/){_PATH}){_TAIL}").fullmatch
_match_relative = re.compile(rf"(?:{_HIER}|(?!/){_run('@')}(?:/{_PATH})?){_TAIL}").fullmatch
_is_future_address = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+").fullmatch


def _is_leap_second(text: str) -> bool:
    """Whether a time is a leap second: second 60 exists only where it is 23:59 in UTC."""
    found = _LEAP_SECOND.fullmatch(text)
    if found is None:
        return False
    hour, minute, sign, offset_hour, offset_minute = found.groups()
    away = 0 if sign is None else int(offset_hour) * 60 + int(offset_minute)
    if int(hour) > 23 or int(minute) > 59 or int(offset_hour or 0) > 23 or int(offset_minute or 0) > 59:
        return False
    return (int(hour) * 60 + int(minute) + (away if sign == "-" else -away)) % 1440 == 23 * 60 + 59


def _check_date_time(text: str) -> bool:
    if _is_date_time(text):
        return True
    return text[10:11] in ("T", "t") and _is_date(text[:10]) is not None and _is_leap_second(text[11:])


def _check_time(text: str) -> bool:
    return _is_time(text) is not None or _is_leap_second(text)


def _is_ipv6(text: str) -> bool:
    """Whether a text is an address, without a zone identifier, which belongs to a host. (``ipaddress`` takes 5 to 13 µs
    for one, this 1 to 2.)"""
    if len(text) > 45:
        return False
    if "." in text:
        text, _, octets = text.rpartition(":")
        if _is_ipv4(octets) is None:
            return False
        text += ":0:0"
    if "::" not in text:
        return _is_full_ipv6(text) is not None
    is_open = text.startswith(":") or text.endswith(":")  # Then one colon of the two parts no groups.
    return text.count(":") <= 7 + is_open and _is_short_ipv6(text) is not None


def _is_email(text: str) -> bool:
    local_part, at, domain = text.rpartition("@")
    if not at or _is_local_part(local_part) is None:
        return False
    if not domain.startswith("["):
        return _is_hostname(domain) is not None
    if not domain.endswith("]"):
        return False
    literal = domain[1:-1]
    return _is_ipv4(literal) is not None or (literal[:5].lower() == "ipv6:" and _is_ipv6(literal[5:]))


def _is_good_uri(found: re.Match[str] | None) -> bool:
    if found is None:
        return False
    literal = found["literal"]
    return literal is None or _is_ipv6(literal) or _is_future_address(literal) is not None


def _is_uri(text: str) -> bool:
    return _is_good_uri(_match_uri(text))


def _is_uri_reference(text: str) -> bool:
    return _is_good_uri(_match_uri(text) or _match_relative(text))


# These are called for every such string of every event. So where one compiled expression is the whole check, it is
# itself the checker.
FORMATS: dict[str, Callable[[str], Any]] = {
    "date": _is_date,
    "date-time": _check_date_time,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "regex": pattern.is_pattern,
    "time": _check_time,
    "uri": _is_uri,
    "uri-reference": _is_uri_reference,
    "uuid": _is_uuid,
}
