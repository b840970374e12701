"""Patterns that are slow in backtracking engines, each with the text of a given length that makes it slow."""

from __future__ import annotations

from collections.abc import Callable


def _attack(unit: str, end: str, begin: str = "") -> Callable[[int], str]:
    return lambda size: begin + unit * (size // len(unit)) + end


ATTACKS: list[tuple[str, Callable[[int], str]]] = [
    ("(a+)+$", _attack("a", "!")),
    ("^(a|a)*b", _attack("a", "c")),
    ("(a|a)*b", _attack("a", "c")),
    ("(a|ab)*c", _attack("ab", "!")),
    ("(a|aa)+$", _attack("a", "!")),
    ("(.|[ab])+x", _attack("a", "!")),
    ("^([a-z]|[a-c]|b)*$", _attack("b", "!")),
    ("a*a*a*a*b", _attack("a", "c")),
    ("^a*a*a*a*$", _attack("a", "c")),
    ("(.*)(.*)(.*)x", _attack("a", "")),
    ("^.*,.*,.*;", _attack(",", "")),
    (r"\s+$", _attack(" ", "!")),
    (r"^\s+|\s+$", _attack(" ", "!", "a")),
    (r"[ \t]+\n", _attack(" ", "!")),
    (r"\d+-\d+", _attack("1", "")),
    (r"^\d*\d*\d$", _attack("1", "x")),
    ("a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaaaa$", _attack("a", "!")),
    ("(?:a?){30}b", _attack("a", "")),
    ("^(?:[a-z]{1,9}[a-z]{1,9}){4}$", _attack("a", "!")),
    (".{0,900}x", _attack("a", "")),
    (r"^(?:\w+\s?)*$", _attack("a", "!")),
    (
        r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$",
        _attack("a", "!"),
    ),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", _attack("a", "")),
    (r"<[^>]*>[^<]*<", _attack("<", "")),
    (r"(?=.*a.*a.*a.*b)c", _attack("a", "")),
    (r"(?!.*a.*b)x*y", _attack("x", "")),
    (r"(?<=x)a*b", _attack("a", "")),
    (r"^(a*)\1\1b", _attack("a", "")),
    (r"(\w+)\s\1", _attack("a", "")),
    (r"^é*é*[^é]?é*x$", _attack("é", "!")),
    (r"^(?:😀|😀😀)*$", _attack("😀", "!")),
]
