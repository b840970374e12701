"""Names that clients make up for a regex are taken up to a number, and those in use stay."""

from __future__ import annotations

from tests.server.intake.conftest import Make
from tests.server.intake.test_pipeline import error_type, event, prepare


def test_names_beyond_the_bound_are_refused_and_those_before_it_stay(make: Make) -> None:
    pipeline = make("streams.max_regex_names=2")
    taken = [error_type(prepare(pipeline, event(f"job.{name}"))) for name in ("a", "b", "c", "a", "b", "d")]

    assert taken == [None, None, "unknown_stream", None, None, "unknown_stream"]
    assert error_type(prepare(pipeline, event("plain"))) is None


def test_a_name_counts_once_and_only_when_its_schema_fits(make: Make) -> None:
    pipeline = make("streams.max_regex_names=1")
    wrong = [error_type(prepare(pipeline, event(f"job.{name}", "test/http"))) for name in ("a", "b")]

    assert wrong == ["schema_title_mismatch"] * 2
    assert error_type(prepare(pipeline, event("job.c"))) is None
    assert error_type(prepare(pipeline, event("job.c", x="\\u0061"))) is None


def test_where_nothing_is_declared_every_name_is_made_up(make: Make) -> None:
    pipeline = make("streams.sources=[]", "streams.max_regex_names=1")

    assert error_type(prepare(pipeline, event("any"))) is None
    assert error_type(prepare(pipeline, event("other"))) == "unknown_stream"


def test_new_streams_do_not_begin_a_new_count(make: Make) -> None:
    pipeline = make("streams.max_regex_names=1")
    prepare(pipeline, event("job.a"))
    pipeline.use(pipeline._router._stream)

    assert error_type(prepare(pipeline, event("job.b"))) == "unknown_stream"
    assert error_type(prepare(pipeline, event("job.a"))) is None


def test_an_event_that_is_not_taken_uses_up_no_name(make: Make) -> None:
    pipeline = make("streams.max_regex_names=1")
    wrong = [error_type(prepare(pipeline, event(f"job.{name}", test=5))) for name in ("a", "b", "b")]

    assert wrong == ["schema_violation"] * 3
    assert error_type(prepare(pipeline, event("job.c"))) is None
    assert error_type(prepare(pipeline, event("job.c"))) is None
    assert error_type(prepare(pipeline, event("job.d"))) == "unknown_stream"
