"""Judge the members of an object one by one, where no type says what the members are that it does not name.

Place: structs → HERE → generated, which calls what is made here for each member.
Rules: rules on values that were decoded without a type cost half of what judges of raw text cost; so they are taken
where each value is looked at once (texts, numbers, lists without rules for their items). Both accept valid values only.
Not here: objects whose members all have a type (structs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from validators.quick import checks, generated, kinds
from validators.words.passes import Passes
from validators.words.predicates import Never, anything

if TYPE_CHECKING:
    from validators.quick.structs import TypeAndCheck


def rules(passes: Passes, properties: dict[str, Any], rest: Any) -> tuple[dict[str, checks.Rule], checks.Rule] | None:
    """Return the rules of the properties, and that of all other members. None: some values need a type."""
    found = {name: _rule(passes, each) for name, each in properties.items()}
    other = _rule(passes, rest)
    known = {name: rule for name, rule in found.items() if rule is not None}
    return None if other is None or len(known) < len(found) else (known, other)


def _rule(passes: Passes, schema: Any) -> checks.Rule | None:
    if schema is False:
        return checks.Rule(Never, refuse_any)
    if kinds.is_free(schema):
        return checks.Rule(Never, anything)
    plan = passes.of(schema)
    return None if plan.test is None or plan.height > 1 else checks.Rule(plan.kind, plan.test)


def judge(made: TypeAndCheck | None) -> checks.Judge | None:
    """Return the judge of a member's raw text. None: every value is valid."""
    return None if made is None else generated.judge_part(msgspec.json.Decoder(made.type).decode, made.check)


def refuse_any(_value: Any) -> bool:
    """Judge a member that may not be present: refuse any value."""
    return False
