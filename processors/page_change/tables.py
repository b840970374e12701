"""The mapping from source events to mediawiki/page/change, as tables: one for each kind of input.

Place: format reads the tables; tables_page renders them for docs/PAGE_CHANGE.md.
Rules: a row says where a member of the output comes from, and by which rule. The first source that the rule takes
wins; a member without one is absent. A source is a member of the event, ``revision-create:`` a member of the
revision-create of the same revision, ``order time``, ``head``: the time of the head if the event is about it, or
``=`` with a constant.
Not here: envelope and identifiers (format).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from processors.page_change.draft import Kind

Members = dict[str, Any]


class Rule(NamedTuple):
    """``take(value, event)`` returns the value for the output, None for none. ``says`` explains it to readers. A rule
    that only leaves values out has ``test``: the same as an expression of ``value``, for code that is generated."""

    says: str
    take: Callable[[Any, Members], Any]
    test: str = ""


class Row(NamedTuple):
    """One member of the output."""

    target: str
    sources: tuple[str, ...]
    rule: Rule


def _only(says: str, test: str) -> Rule:
    take: Callable[[Any, Members], Any] = eval(f"lambda value, _event: value if {test} else None")
    return Rule(says, take, test)


COPY: Final = _only("", "value is not None")
NATURAL: Final = _only("not below 0", "type(value) is int and value >= 0")
POSITIVE: Final = _only("above 0", "type(value) is int and value > 0")


def _unlike(member: str) -> Rule:
    def take(value: Any, event: Members) -> Any:
        other: Any = event
        for name in member.split("."):
            other = other.get(name) if isinstance(other, dict) else None
        return None if value == other else value

    return Rule(f"only if it differs from `{member}`", take)


# Member of a source's performer → member of the output's user, and its rule. Anonymous users have no number.
USER: Final = {
    "user_id": ("user_id", POSITIVE),
    "user_text": ("user_text", COPY),
    "user_groups": ("groups", COPY),
    "user_is_bot": ("is_bot", COPY),
    "user_edit_count": ("edit_count", COPY),
    "user_registration_dt": ("registration_dt", COPY),
}
# The same for a slot of a revision.
SLOT: Final = {
    "rev_slot_content_model": ("content_model", COPY),
    "rev_slot_sha1": ("content_sha1", COPY),
    "rev_slot_size": ("content_size", COPY),
    "rev_slot_origin_rev_id": ("origin_rev_id", COPY),
}


def _renaming(members: Mapping[str, tuple[str, Rule]]) -> Callable[[Members, Members], None]:
    """Return a function that adds the members of one object to another one under their new names. It is made as source
    text, which takes half the time of reading the table for each event (measured)."""
    lines = ["def rename(of, found):", " get = of.get"]
    for name, (target, rule) in members.items():
        lines += [f" value = get({name!r})", f" if {rule.test}: found[{target!r}] = value"]
    made: dict[str, Any] = {}
    exec(compile("\n".join(lines), "<members>", "exec"), made)
    rename: Callable[[Members, Members], None] = made["rename"]
    return rename


_rename_user: Final = _renaming(USER)
_rename_slot: Final = _renaming(SLOT)


def user(value: Any, _event: Members) -> Any:
    """Rename the members of a performer."""
    if not isinstance(value, dict):
        return None
    found: Members = {}
    _rename_user(value, found)
    return found or None


def slots(value: Any, event: Members) -> Any:
    """Rename the members of each slot; of an event older than slots, make the main one."""
    main_format = event.get("rev_content_format")
    if not isinstance(value, dict):
        value = {"main": {"rev_slot_content_model": value}}
    found: Members = {}
    for role, slot in value.items():
        found[role] = renamed = {"slot_role": role}
        _rename_slot(slot, renamed)
        if role == "main" and main_format is not None:
            renamed["content_format"] = main_format
    return found


def _if_shown(rule: Rule) -> Rule:
    def take(value: Any, event: Members) -> Any:
        return rule.take(value, event) if event["visibility"]["text"] else None

    return Rule(f"{rule.says}; not if the text is hidden".removeprefix("; "), take)


USER_RULE: Final = Rule("the members of a user", user)
SLOTS_RULE: Final = Rule("the members of each slot; before 1.2.0 the main one by its model", slots)

_PAGE: Final = (
    Row("wiki_id", ("database",), COPY),
    Row("page.page_id", ("page_id",), COPY),
    Row("page.page_title", ("page_title",), COPY),
    Row("page.namespace_id", ("page_namespace",), NATURAL),
    Row("page.is_redirect", ("page_is_redirect",), COPY),
)
_PERFORMER: Final = Row("performer", ("performer",), USER_RULE)
_COMMENT: Final = Row("comment", ("comment",), COPY)
_VISIBLE: Final = tuple(
    Row(f"revision.is_{what}_visible", ("=true",), COPY) for what in ("content", "comment", "editor")
)


def _revision(of: str, otherwise: tuple[str, ...] = ()) -> tuple[Row, ...]:
    """The rows of a whole revision, from the event itself or from its revision-create."""
    return (
        Row("revision.rev_id", ("rev_id",), COPY),
        Row("revision.rev_dt", (f"{of}rev_timestamp", *otherwise), COPY),
        Row("revision.rev_parent_id", (f"{of}rev_parent_id",), COPY),
        Row("revision.is_minor_edit", (f"{of}rev_minor_edit",), COPY),
        Row("revision.rev_sha1", (f"{of}rev_sha1",), COPY),
        Row("revision.rev_size", (f"{of}rev_len",), NATURAL),
        Row("revision.comment", (f"{of}comment",), COPY),
        Row("revision.editor", (f"{of}performer",), USER_RULE),
        Row("revision.content_slots", (f"{of}rev_slots", f"{of}rev_content_model"), SLOTS_RULE),
    )


_DT_OF_REVISION: Final = Row("dt", ("dt", "rev_timestamp"), COPY)
_DT_OF_ORDER: Final = Row("dt", ("order time",), COPY)
_ONLY_ID: Final = (
    Row("revision.rev_id", ("rev_id",), COPY),
    Row("revision.rev_dt", ("head", "order time"), COPY),
)
_CREATED_REVISION: Final = tuple(
    row._replace(sources=("rev_parent_id", "=0")) if row.target == "revision.rev_parent_id" else row
    for row in _revision("")
)

TABLES: Final[dict[Kind, tuple[Row, ...]]] = {
    "create": (_DT_OF_REVISION, *_PAGE, _PERFORMER, *_CREATED_REVISION, *_VISIBLE),
    "revision": (
        *(_DT_OF_REVISION, *_PAGE, _PERFORMER, *_revision(""), *_VISIBLE),
        Row("prior_state.revision.rev_id", ("rev_parent_id",), POSITIVE),
    ),
    "move": (
        Row("dt", ("revision-create:dt", "revision-create:rev_timestamp", "order time"), COPY),
        *(*_PAGE, _PERFORMER, _COMMENT),
        *(*_revision("revision-create:", ("order time",)), *_VISIBLE),
        Row("prior_state.page.page_title", ("prior_state.page_title",), _unlike("page_title")),
        Row("prior_state.page.namespace_id", ("prior_state.page_namespace",), _unlike("page_namespace")),
        Row("prior_state.revision.rev_id", ("prior_state.rev_id",), POSITIVE),
        Row("created_redirect_page.page_id", ("new_redirect_page.page_id",), COPY),
        Row("created_redirect_page.page_title", ("new_redirect_page.page_title",), COPY),
        Row("created_redirect_page.namespace_id", ("new_redirect_page.page_namespace",), NATURAL),
        Row(
            "created_redirect_page.is_redirect",
            ("new_redirect_page",),
            Rule("true if there is one", lambda value, _event: True),
        ),
    ),
    "delete": (
        *(_DT_OF_ORDER, *_PAGE, Row("page.revision_count", ("rev_count",), NATURAL)),
        *(_PERFORMER, _COMMENT, *_ONLY_ID),
    ),
    "suppress": (
        *(_DT_OF_ORDER, *_PAGE, Row("page.revision_count", ("rev_count",), NATURAL), _COMMENT, *_ONLY_ID),
        *(Row(f"revision.is_{what}_visible", ("=false",), COPY) for what in ("content", "comment", "editor")),
    ),
    "undelete": (
        *(_DT_OF_ORDER, *_PAGE, _PERFORMER, _COMMENT),
        *_revision("revision-create:", ("head", "order time")),
        Row("prior_state.page.page_id", ("prior_state.page_id",), _unlike("page_id")),
    ),
    "visibility": (
        *(_DT_OF_ORDER, *_PAGE, _PERFORMER),
        *(
            row._replace(rule=_if_shown(row.rule))
            if row.target in ("revision.rev_sha1", "revision.content_slots")
            else row
            for row in _revision("", ("head", "order time"))
            if row.target not in ("revision.editor", "revision.comment")
        ),
        Row("revision.is_content_visible", ("visibility.text",), COPY),
        Row("revision.is_comment_visible", ("visibility.comment",), COPY),
        Row("revision.is_editor_visible", ("visibility.user",), COPY),
        Row("prior_state.revision.is_content_visible", ("prior_state.visibility.text",), _unlike("visibility.text")),
        Row(
            "prior_state.revision.is_comment_visible",
            ("prior_state.visibility.comment",),
            _unlike("visibility.comment"),
        ),
        Row("prior_state.revision.is_editor_visible", ("prior_state.visibility.user",), _unlike("visibility.user")),
    ),
}
# page_change_kind → changelog_kind
CHANGELOG: Final = {
    "create": "insert",
    "undelete": "insert",
    "edit": "update",
    "move": "update",
    "visibility_change": "update",
    "delete": "delete",
}
