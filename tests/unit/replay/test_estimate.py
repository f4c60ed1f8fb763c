"""How long it will take goes by what Sedna took of late, and by each tenant's limits."""

import pytest

from consumer.replay.estimate import Limits, seconds
from schemas.kinds import Kind

R, S = Kind.RESERVATION, Kind.STOP_SALE
LIMITS = {"a": Limits(4), "b": Limits(1)}


def test_tenants_work_side_by_side_each_within_its_limit() -> None:
    to_do = {("a", R): 100, ("b", R): 10}
    pace = {("a", R): 2.0, ("b", R): 1.0}
    assert seconds(to_do, pace, LIMITS, in_flight=500) == 50.0


def test_all_together_have_a_limit_too() -> None:
    assert seconds({("a", R): 100}, {("a", R): 2.0}, LIMITS, in_flight=2) == 100.0


def test_a_limit_on_requests_counts_both_steps_of_a_stop_sale() -> None:
    limits = {"a": Limits(16, requests_per_second=2.0)}
    assert seconds({("a", S): 10}, {("a", S): 0.1}, limits, in_flight=500) == 10.0


def test_a_tenant_without_a_past_is_taken_for_the_average() -> None:
    limits = {"a": Limits(1), "c": Limits(1)}
    assert seconds({("c", R): 10}, {("a", R): 2.0}, limits, in_flight=500) == 20.0


def test_a_kind_without_a_past_is_taken_for_the_other_by_its_requests() -> None:
    assert seconds({("b", S): 10}, {("a", R): 2.0}, LIMITS, in_flight=500) == 40.0
    assert seconds({("b", R): 10}, {("a", S): 2.0}, LIMITS, in_flight=500) == 10.0


def test_where_nothing_was_synced_nothing_is_said() -> None:
    assert seconds({("a", S): 1}, {}, LIMITS, in_flight=500) is None


def test_nothing_to_do_takes_no_time() -> None:
    assert seconds({}, {}, {}, in_flight=500) == pytest.approx(0.0)
