"""Whatever the disk does to the files of a spool, the service starts, and no damaged event is delivered."""

from __future__ import annotations

import pytest

from tests.fuzz import spool_files


def test_damaged_files_end_nothing_and_no_damaged_event_is_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same cases each time; ``python -m tests.fuzz.spool_files`` runs many more."""
    spool_files.quicken(monkeypatch.setattr)
    wrong, kinds = spool_files.run(0, 150)

    assert [(number, one.damage, one.what) for number, one in wrong] == []
    assert kinds.keys() == {damage.name for damage in spool_files.DAMAGES}
    assert sum(one.damaged for outcomes in kinds.values() for one in outcomes) > 50, "some of it hits events"
    delivered = [len(one.delivered) for one in kinds["one bit flipped"]]
    assert sum(delivered) / len(delivered) > spool_files.EVENTS, "one bit costs few events"
