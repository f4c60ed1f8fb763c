"""What a replay is told is read strictly, and is known again."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.asked import (
    Asked,
    AtOffset,
    AtTime,
    Beginning,
    Bound,
    End,
    bound,
    from_json,
)
from schemas.kinds import Kind

BOUNDS: st.SearchStrategy[Bound] = st.one_of(
    st.just(Beginning()),
    st.just(End()),
    st.integers(0, 10**18 - 1).map(AtOffset),
    st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)).map(AtTime),  # noqa: DTZ001
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("beginning", Beginning()),
        ("end", End()),
        ("offset:0", AtOffset(0)),
        ("offset:1207", AtOffset(1207)),
        ("2026-05-01T00:00:00Z", AtTime(datetime(2026, 5, 1, tzinfo=UTC))),
        (
            "2026-05-01T00:00:00.250+03:00",
            AtTime(datetime(2026, 5, 1, 0, 0, 0, 250_000, timezone(timedelta(hours=3)))),
        ),
    ],
)
def test_a_bound_is_a_word_an_offset_or_a_time_with_its_zone(text: str, expected: Bound) -> None:
    assert bound(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "start", "offset:", "offset:-1", "offset:x", "2026-05-01T00:00:00", "2026-05-01", "17"],
)
def test_what_is_no_bound_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="2026-05-01T00:00:00Z"):
        bound(text)


@given(BOUNDS)
def test_a_bound_is_written_as_it_is_read(given_bound: Bound) -> None:
    assert bound(str(given_bound)) == given_bound


@given(
    st.builds(
        Asked,
        topics=st.lists(
            st.tuples(st.sampled_from(["a", "b.c", "d"]), st.sampled_from(Kind)), max_size=3
        ).map(tuple),
        since=BOUNDS,
        until=BOUNDS,
        tenants=st.lists(st.sampled_from(["x", "y-1"]), max_size=2).map(tuple),
        retry_failed=st.booleans(),
        republish=st.booleans(),
    )
)
def test_what_was_asked_is_known_again(asked: Asked) -> None:
    assert from_json(asked.to_json()) == asked
    assert from_json(asked.to_json()).to_json() == asked.to_json()
