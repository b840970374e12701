"""Simulate pages of a wiki: the true history of each, and the source events that MediaWiki would send of it.

Place: oracle.inputs, oracle.checker → HERE.
Rules: everything follows from the seed. It shares no code with the order, and knows nothing of it: the truth is the
order in which actions were done. Actions of one page are further apart than deferred sending takes (JITTER_MS).
Not here: how events reach the processor (inputs), the comparison (checker).
"""

from __future__ import annotations

import heapq
import itertools
import random
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct, field

START_MS: Final = 1_767_225_600_000  # 2026-01-01
SPAN_MS: Final = 2 * 3_600_000
JITTER_MS: Final = 5_000
LEAST_GAP_MS: Final = 9_000
MEAN_GAP_MS: Final = 400_000
WEEK_MS: Final = 7 * 86_400_000
_ON_A_PAGE: Final = {
    "edit": 50,
    "move": 10,
    "delete": 10,
    "suppress": 3,
    "hide": 6,
    "hide_old": 3,
    "restore_more": 2,
    "import_old": 3,
}
_ON_A_GONE_PAGE: Final = {"undelete": 80, "undelete_part": 20}


class Happened(Struct):
    """One change of a page that a consumer has to hear of. ``sources`` are the IDs of the events that tell it."""

    kind: str
    rev: int
    title: str
    namespace: int
    sources: list[str] = field(default_factory=list)


class Sent(Struct):
    """One source event: its stream, its time and its content."""

    at: int
    page_id: int
    event: dict[str, Any]


class _Page:
    def __init__(self, page_id: int, title: str) -> None:
        self.page_id = page_id
        self.title = title
        self.namespace = 0
        self.revisions: list[tuple[int, int, int]] = []  # (number, time, parent) of those that are there, oldest first.
        self.archive: list[tuple[int, int, int]] = []
        self.is_redirect = False


class Wiki:
    """One wiki. After ``run``, ``truth`` has the changes of each page in order, and ``sent`` the source events."""

    def __init__(self, seed: int, pages: int, name: str = "examplewiki") -> None:
        self.name = name
        self.truth: dict[int, list[Happened]] = {}
        self.sent: list[Sent] = []
        self._random = random.Random(seed)
        self._revisions = itertools.count(1_000)
        self._page_ids = itertools.count(1)
        self._ids = itertools.count()
        self._seed = seed
        self._agenda: list[tuple[int, int, _Page | None]] = []
        for number in range(pages):
            heapq.heappush(self._agenda, (START_MS + self._random.randrange(SPAN_MS), -number - 1, None))

    def run(self) -> None:
        """Let everything happen, in the order of time."""
        end = START_MS + SPAN_MS
        while self._agenda:
            now, _, page = heapq.heappop(self._agenda)
            if page is None:
                page = self._create(now)
            else:
                self._act(page, now)
            again = now + LEAST_GAP_MS + int(self._random.expovariate(1 / MEAN_GAP_MS))
            if again < end and self._random.random() < 0.95:
                heapq.heappush(self._agenda, (again, page.page_id, page))

    def _act(self, page: _Page, now: int) -> None:
        actions = _ON_A_PAGE if page.revisions else _ON_A_GONE_PAGE
        (action,) = self._random.choices(list(actions), list(actions.values()))
        getattr(self, f"_{action}")(page, now)

    def _create(self, now: int, title: str = "", is_redirect: bool = False) -> _Page:
        page_id = next(self._page_ids)
        page = _Page(page_id, title or f"Page_{page_id}")
        page.is_redirect = is_redirect
        made = now - self._random.randrange(1, 9) * WEEK_MS if self._random.random() < 0.05 else now
        rev = (next(self._revisions), made, 0)
        page.revisions.append(rev)
        happened = self._happens(page, "create", rev[0])
        self._send(page, "mediawiki.page-create", now, self._revision(page, rev), happened)
        self._send(page, "mediawiki.revision-create", now, self._revision(page, rev), happened)
        return page

    def _edit(self, page: _Page, now: int) -> None:
        rev = (next(self._revisions), now, page.revisions[-1][0])
        page.revisions.append(rev)
        happened = self._happens(page, "edit", rev[0])
        self._send(page, "mediawiki.revision-create", now, self._revision(page, rev), happened)

    def _move(self, page: _Page, now: int) -> None:
        before = {"page_title": page.title, "page_namespace": page.namespace, "rev_id": page.revisions[-1][0]}
        rev = (next(self._revisions), now, page.revisions[-1][0])
        page.revisions.append(rev)
        page.title = f"Page_{page.page_id}_{rev[0]}"
        page.namespace = self._random.choice((0, 0, 2, 10))
        happened = self._happens(page, "move", rev[0])
        event = {"rev_id": rev[0], "prior_state": before, "comment": "moved", "performer": self._performer()}
        if self._random.random() < 0.5:
            left = self._create(now, str(before["page_title"]), is_redirect=True)
            event["new_redirect_page"] = {
                "page_id": left.page_id,
                "page_title": left.title,
                "page_namespace": 0,
                "rev_id": left.revisions[-1][0],
            }
        self._send(page, "mediawiki.page-move", now, event, happened)
        self._send(page, "mediawiki.revision-create", now, self._revision(page, rev), happened)

    def _delete(self, page: _Page, now: int, stream: str = "mediawiki.page-delete") -> None:
        head = page.revisions[-1][0]
        event = {"rev_id": head, "rev_count": len(page.revisions), "comment": "gone", "performer": self._performer()}
        page.archive, page.revisions = sorted([*page.archive, *page.revisions]), []
        self._send(page, stream, now, event, self._happens(page, "delete", head))

    def _suppress(self, page: _Page, now: int) -> None:
        self._delete(page, now, "mediawiki.page-suppress")

    def _undelete(self, page: _Page, now: int, restored: int | None = None) -> None:
        page.revisions = page.archive[:restored]
        page.archive = page.archive[len(page.revisions) :]
        head = page.revisions[-1][0]
        happened = self._happens(page, "undelete", head)
        event = {"rev_id": head, "comment": "back", "performer": self._performer()}
        self._send(page, "mediawiki.page-undelete", now, event, happened)
        for rev in page.revisions:
            self._send(page, "mediawiki.revision-create", now, self._revision(page, rev))

    def _undelete_part(self, page: _Page, now: int) -> None:
        self._undelete(page, now, self._random.randint(1, len(page.archive)))

    def _restore_more(self, page: _Page, now: int) -> None:
        """Restore older revisions into a page that is there: MediaWiki says undelete, and the head stays."""
        head = page.revisions[-1]
        older = [rev for rev in page.archive if rev < head]
        if not older:
            self._edit(page, now)
            return
        page.archive.remove(older[0])
        page.revisions = sorted([*page.revisions, older[0]])
        self._send(page, "mediawiki.page-undelete", now, {"rev_id": head[0], "performer": self._performer()})
        self._send(page, "mediawiki.revision-create", now, self._revision(page, older[0]))

    def _hide(self, page: _Page, now: int, at: int = -1) -> None:
        rev = page.revisions[at]
        hidden = self._random.random() < 0.5
        event = self._revision(page, rev) | {
            "visibility": {"text": not hidden, "user": True, "comment": hidden},
            "prior_state": {"visibility": {"text": True, "user": True, "comment": hidden}},
        }
        event.pop("rev_slots")
        event.pop("dt")
        happened = self._happens(page, "visibility_change", rev[0]) if at == -1 else None
        self._send(page, "mediawiki.revision-visibility-change", now, event, happened)

    def _hide_old(self, page: _Page, now: int) -> None:
        if len(page.revisions) > 1:
            self._hide(page, now, self._random.randrange(len(page.revisions) - 1))

    def _import_old(self, page: _Page, now: int) -> None:
        """Import a revision that is older than the head: it gets a new number and does not become current."""
        rev = (next(self._revisions), page.revisions[-1][1] - self._random.randrange(1, 9) * WEEK_MS, 0)
        self._send(page, "mediawiki.revision-create", now, self._revision(page, rev))

    def _happens(self, page: _Page, kind: str, rev: int) -> Happened:
        happened = Happened(kind, rev, page.title, page.namespace)
        self.truth.setdefault(page.page_id, []).append(happened)
        return happened

    def _performer(self) -> dict[str, Any]:
        number = self._random.randrange(40)
        return {"user_id": number, "user_text": f"User {number}", "user_groups": ["*"], "user_is_bot": number % 7 == 0}

    def _revision(self, page: _Page, rev: tuple[int, int, int]) -> dict[str, Any]:
        event = {
            "rev_id": rev[0],
            "rev_timestamp": _text(rev[1] // 1000 * 1000),
            "dt": _text(rev[1] // 1000 * 1000),
            "rev_len": 100 + rev[0] % 900,
            "rev_sha1": f"sha{rev[0]}",
            "rev_minor_edit": rev[0] % 5 == 0,
            "rev_content_model": "wikitext",
            "rev_content_format": "text/x-wiki",
            "rev_slots": {
                "main": {
                    "rev_slot_content_model": "wikitext",
                    "rev_slot_sha1": f"sha{rev[0]}",
                    "rev_slot_size": 100 + rev[0] % 900,
                }
            },
            "comment": f"Comment of {rev[0]}",
            "performer": self._performer(),
        }
        if rev[2]:
            event["rev_parent_id"] = rev[2]
        return event

    def _send(
        self, page: _Page, stream: str, now: int, event: dict[str, Any], happened: Happened | None = None
    ) -> None:
        at = now + self._random.randrange(JITTER_MS)
        source = f"{self._seed:08x}-0000-4000-8000-{next(self._ids):012x}"
        if happened is not None:
            happened.sources.append(source)
        whole = {
            "$schema": _SCHEMAS[stream],
            "meta": {"stream": stream, "id": source, "dt": _text(at), "domain": "example.org"},
            "database": self.name,
            "page_id": page.page_id,
            "page_title": page.title,
            "page_namespace": page.namespace,
            "page_is_redirect": page.is_redirect,
            **event,
        }
        self.sent.append(Sent(at, page.page_id, whole))


_SCHEMAS: Final = {
    "mediawiki.page-create": "/mediawiki/revision/create/2.0.0",
    "mediawiki.revision-create": "/mediawiki/revision/create/2.0.0",
    "mediawiki.page-move": "/mediawiki/page/move/1.0.0",
    "mediawiki.page-delete": "/mediawiki/page/delete/1.0.0",
    "mediawiki.page-suppress": "/mediawiki/page/delete/1.0.0",
    "mediawiki.page-undelete": "/mediawiki/page/undelete/1.0.0",
    "mediawiki.revision-visibility-change": "/mediawiki/revision/visibility-change/1.0.0",
}


def _text(millis: int) -> str:
    moment = datetime.fromtimestamp(millis / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
