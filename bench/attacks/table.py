"""The table of attacks: the name and function of each, how it must end, and how well others must be served meanwhile.

Place: attacker and measured run it whole, tests/process/test_attacks.py a small part of each.
Rule: an outcome that is not in the ``answers`` of its attack is a finding, and so is an attack without any outcome.
Not here: how it is done (slow, bodies, names, words), how it is measured (measured).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bench.attacks import bodies, crowds, names, slow, words
from bench.attacks.wire import Outcome, Target

WORK, WAIT = 0.80, 0.95  # Of the bystander's throughput per core-second that the attack leaves.
SLOWER = 5.0  # Times that the p99 of each kind of the bystander's requests may be of that without the attack,
QUICK_MS = 20.0  # where it is longer than this.


class Attack(NamedTuple):
    """``answers``: the documented ones, by their first word. ``is_patient``: it takes as long as limits of time do.
    ``is_crowd``: it leaves no CPU by itself, so what counts is how long others wait (``SLOWER``)."""

    name: str
    run: Callable[[Target], Awaitable[Outcome]]
    answers: frozenset[str]
    keeps: float = WORK
    is_patient: bool = False
    needs_site: bool = False
    is_crowd: bool = False


def _wait(name: str, run: Callable[[Target], Awaitable[Outcome]], *answers: str, is_patient: bool = True) -> Attack:
    return Attack(name, run, frozenset(answers), WAIT, is_patient)


def _work(name: str, run: Callable[[Target], Awaitable[Outcome]], *answers: str, needs_site: bool = False) -> Attack:
    return Attack(name, run, frozenset(answers), needs_site=needs_site)


def _crowd(name: str, run: Callable[[Target], Awaitable[Outcome]], *answers: str) -> Attack:
    return Attack(name, run, frozenset({*answers, "503", "closed", "reset"}), 0.0, is_crowd=True)


ATTACKS = [
    _wait("slow heads", slow.slow_heads, "408"),
    _wait("slow bodies", slow.slow_bodies, "408"),
    _wait("slow chunks", slow.slow_chunks, "408"),
    _wait("bodies that stand still", slow.still_bodies, "408"),
    _wait("bodies as large as may be that stand still", slow.large_bodies, "408", "503"),
    _wait("answers that nobody takes", slow.no_readers, "cut off"),
    _wait("answers taken a few bytes at a time", slow.slow_readers, "cut off"),
    _wait("10,000 idle connections", slow.idle, "200", "429", "open", is_patient=False),
    _wait("forgotten connections", slow.forgotten, "closed"),
    _wait("half-closed connections", slow.half_closed, "201", "closed", is_patient=False),
    _work("resets", slow.resets, "left", "then 201"),
    _work("pipelined flood", slow.flood, "201"),
    _work("a connection a request", slow.churn, "200"),
    _work("4 MB of {}", bodies.empty_objects, "400", "413"),
    _work("4 MB of 1", bodies.ones, "201", "400", "413"),
    _work("100,000 levels", bodies.deep, "201", "400"),
    _work("10 MB integers", bodies.long_numbers, "201", "400", "413"),
    _work("many names", bodies.many_names, "201", "400"),
    _work("names and numbers that hash alike", bodies.alike, "201", "400"),
    _work("broken UTF-8", bodies.not_utf8, "400"),
    _work("half surrogate pairs", bodies.half_pairs, "400", "413"),
    _work("texts that patterns and formats find hard", bodies.dear, "201", "400", "413"),
    _work("wrong everywhere", bodies.wrong_everywhere, "200", "202", "400"),
    _work("compression bombs", bodies.bombs, "400", "413", "415"),
    _work("compression bombs of one address", bodies.bombs_of_one, "400", "413", "415", "429"),
    _work("a million schema URIs", names.schema_uris, "400"),
    _work("a million streams", names.streams, "400"),
    _work("100,000 streams of a regex", names.invented_streams, "201", "207", "400"),
    _work("a million member names", names.member_names, "201"),
    _work("a million header names", names.header_names, "201"),
    _work("100,000 header values", names.header_values, "201", "415"),
    _work("100,000 client addresses", names.addresses, "201"),
    _work("100,000 wrong API keys", names.api_keys, "401"),
    _work("100,000 wrong tokens", names.tokens, "401", "429"),
    _work("100,000 origins", names.origins, "201", "204", "403"),
    _work("one address without end", names.one_address, "201", "429"),
    _work("one key without end", names.one_key, "201", "429"),
    _work("12,000 questions", names.questions, "200", "400", "404", "503"),
    _work("schema URIs that lead elsewhere", words.schema_paths, "400", "404"),
    _work("schemas that are moved elsewhere", words.redirected_schemas, "400", "503", needs_site=True),
    _work("injected lines and 1 MB texts", words.injections, "200", "202", "207", "400", "404", "413", "414"),
    _work("injected header lines", words.header_injections, "201", "400", "404", "415", "505"),
    _work("pages in answers", words.pages, "200", "201", "202", "204", "400", "404", "405", "415"),
    _work("answers larger than requests", words.amplification, "200", "400", "413", "then 200"),
    _work("invalid events without end", words.error_events, "202"),
    _crowd("100 connections of full batches", crowds.batches, "201", "400"),
    _crowd("50 connections of full gzip", crowds.compressed, "201", "413"),
    _crowd("events of a million values", crowds.noise, "400", "413"),
    _crowd("chunks of one byte", crowds.chunks, "201", "400"),
    _crowd("questions of 1,000 alternatives", crowds.constraints, "200", "400", "414"),
    _crowd("small requests for large answers", crowds.large_answers, "200", "202", "400", "413"),
]


def by_name(name: str) -> Attack:
    """The attack of this name. Raises StopIteration."""
    return next(attack for attack in ATTACKS if attack.name == name)


def wrong(attack: Attack, outcome: Outcome) -> str:
    """Return the outcomes that are not documented, with their numbers; "" if there are none."""
    found = {word: count for word, count in outcome.items() if count and word not in attack.answers}
    if found or not outcome.total():
        return ", ".join(f"{count} x {word}" for word, count in found.items()) or "nothing came back"
    return ""
