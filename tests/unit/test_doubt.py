"""Doubt: what is found is adopted, and only what is proven absent may be sent again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from consumer.doubt import Absent, Adopt, Conclusion, Undecided, conclude

SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=120)

records = st.lists(st.integers(1, 5), max_size=4)
skips = st.integers(0, 3)
moments = st.timedeltas(timedelta(seconds=-10), timedelta(days=2)).map(lambda ago: SINCE + ago)


def look(matches: list[int], *, skipped: int = 0, after: float = 120) -> Conclusion:
    return conclude(
        matches,
        skipped=skipped,
        since=SINCE,
        looked_at=SINCE + timedelta(seconds=after),
        doubt_window=WINDOW,
    )


@given(matches=records, skipped=skips, looked_at=moments)
def test_only_a_whole_answer_without_it_after_the_window_lets_it_be_sent_again(
    matches: list[int], skipped: int, looked_at: datetime
) -> None:
    conclusion = conclude(
        matches, skipped=skipped, since=SINCE, looked_at=looked_at, doubt_window=WINDOW
    )
    proven = not matches and not skipped and looked_at >= SINCE + WINDOW
    assert isinstance(conclusion, Absent) == proven


@given(matches=records, skipped=skips, looked_at=moments)
def test_exactly_one_record_is_adopted_whenever_it_is_found(
    matches: list[int], skipped: int, looked_at: datetime
) -> None:
    conclusion = conclude(
        matches, skipped=skipped, since=SINCE, looked_at=looked_at, doubt_window=WINDOW
    )
    if len(set(matches)) == 1:
        assert conclusion == Adopt(matches[0])
    else:
        assert not isinstance(conclusion, Adopt)


def test_a_record_that_is_listed_twice_is_one_record() -> None:
    assert look([823259, 823259]) == Adopt(823259)


def test_of_two_records_none_is_guessed_and_both_are_named() -> None:
    conclusion = look([2, 1])
    assert isinstance(conclusion, Undecided)
    assert "1, 2" in conclusion.reason


def test_an_empty_look_a_moment_too_soon_proves_nothing() -> None:
    assert isinstance(look([], after=119.999), Undecided)
