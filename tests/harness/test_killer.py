"""tests.harness.killer ends a process at one of its calls, and the same one each time."""

from __future__ import annotations

from tests.harness.killer import STATUS, killed

SCRIPT = """
import sys
from tests.harness.killer import Killer

killer = Killer(int(sys.argv[1]))
work = killer.watched(lambda: [print(number) for number in range(5)])
work()
print("calls", killer.calls)
"""


def test_a_process_is_ended_at_the_call_that_is_named_and_without_a_name_at_none() -> None:
    whole = killed(SCRIPT, 0)
    calls = int(whole.stdout.split()[-1])
    ended = [killed(SCRIPT, calls), killed(SCRIPT, calls), killed(SCRIPT, calls + 1)]

    assert whole.returncode == 0
    assert [each.returncode for each in ended] == [STATUS, STATUS, 0]
    assert ended[2].stdout == whole.stdout
