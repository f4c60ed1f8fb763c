"""Backoff: within its bounds for every attempt, however many there were."""

import math

from hypothesis import given
from hypothesis import strategies as st

from consumer.retry import backoff

seconds = st.floats(min_value=0.001, max_value=31_536_000)
attempts = st.integers(min_value=1, max_value=10**9)
jitters = st.floats(min_value=0, max_value=1)


def test_the_longest_wait_doubles_with_every_attempt_up_to_the_cap() -> None:
    waits = [backoff(attempt, base=1, cap=300, jitter=1) for attempt in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_jitter_spreads_the_wait_over_the_whole_interval() -> None:
    waits = [backoff(3, base=1, cap=300, jitter=jitter) for jitter in (0.25, 0.5, 1)]
    assert waits == [1, 2, 4]


def test_the_smallest_random_number_is_no_busy_loop() -> None:
    assert backoff(1, base=1, cap=300, jitter=0) == 0.1


@given(attempt=attempts, base=seconds, cap=seconds, jitter=jitters)
def test_every_wait_is_a_tenth_of_the_interval_at_least_and_the_interval_at_most(
    attempt: int, base: float, cap: float, jitter: float
) -> None:
    longest = backoff(attempt, base=base, cap=cap, jitter=1)
    wait = backoff(attempt, base=base, cap=cap, jitter=jitter)
    assert math.isfinite(wait)
    assert 0 < longest * 0.1 <= wait <= longest <= cap


@given(attempt=st.integers(min_value=1, max_value=200), base=seconds, cap=seconds)
def test_a_later_attempt_never_has_a_shorter_interval(
    attempt: int, base: float, cap: float
) -> None:
    this, following = (
        backoff(each, base=base, cap=cap, jitter=1) for each in (attempt, attempt + 1)
    )
    assert this <= following
