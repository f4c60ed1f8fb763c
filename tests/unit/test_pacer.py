"""The request rate: never exceeded, and not undercut without need."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.pacer import Pacer

rates = st.floats(min_value=0.05, max_value=500)
#: Seconds between two requests that ask for their turn.
gaps = st.lists(st.floats(min_value=0, max_value=30), min_size=1, max_size=150)


@given(rate=rates, gaps=gaps)
def test_in_any_time_there_are_no_more_turns_than_rate_and_burst_allow(
    rate: float, gaps: list[float]
) -> None:
    pacer, now, turns = Pacer(rate), 0.0, []
    for gap in gaps:
        now += gap
        turns.append(pacer.take(now))
    assert turns == sorted(turns)
    for first, start in enumerate(turns):
        for length in (0.0, 0.5, 1.0, 7.0, 100.0):
            count = bisect_right(turns, start + length) - first
            assert count <= rate * length + max(1.0, rate) + 1e-6


@given(rate=rates, gaps=gaps)
def test_what_is_free_is_had_at_once_and_no_more(rate: float, gaps: list[float]) -> None:
    pacer, now = Pacer(rate), 0.0
    for gap in gaps:
        now += gap
        free, free_at = pacer.free(now), pacer.free_at(now)
        assert all(pacer.take(now) <= now + 1e-6 for _ in range(free))
        assert free_at >= now
        assert pacer.take(now) == pytest.approx(free_at)


@given(rate=rates)
def test_after_a_quiet_time_a_second_of_requests_goes_out_at_once(rate: float) -> None:
    pacer = Pacer(rate)
    for _ in range(1_000):
        pacer.take(0)
    assert pacer.free(1e5) == int(max(1.0, rate) + 1e-6)


def test_a_busy_tenant_gets_its_rate() -> None:
    pacer = Pacer(2)
    assert [pacer.take(0) for _ in range(6)] == [0, 0, 0.5, 1, 1.5, 2]


def test_less_than_one_in_a_second_is_one_at_a_time() -> None:
    pacer = Pacer(0.1)
    assert [pacer.take(0) for _ in range(3)] == [0, 10, 20]
