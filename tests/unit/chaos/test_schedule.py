"""The schedule of a chaos run: reproducible, of all kinds, and within what a run can bear."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import (
    LATE_COMMIT_SECONDS,
    Disrupt,
    Disruption,
    Injection,
    SednaFault,
    Trouble,
    schedule,
)

TENANTS = [f"tenant-{number}" for number in range(5)]
LEASE = 4.0


def drawn(seed: int, *, duration: float = 600.0, faults: int = 1000) -> list[Injection]:
    return schedule(seed=seed, duration=duration, faults=faults, tenants=TENANTS, lease=LEASE)


@given(seed=st.integers(0, 2**32))
def test_a_seed_gives_one_schedule_and_another_seed_another(seed: int) -> None:
    assert drawn(seed, faults=100) == drawn(seed, faults=100)
    assert drawn(seed, faults=100) != drawn(seed + 1, faults=100)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_comes_about_as_often_as_the_others(seed: int) -> None:
    injections = drawn(seed)
    assert len(injections) == 1000
    disruptions = Counter(each.kind for each in injections if isinstance(each, Disrupt))
    assert disruptions.keys() == set(Disruption)
    assert max(disruptions.values()) - min(disruptions.values()) <= 1
    troubles = Counter(each.kind for each in injections if isinstance(each, Trouble))
    assert troubles.keys() == set(SednaFault)
    assert max(troubles.values()) - min(troubles.values()) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_short_run_has_every_disruption_too(seed: int) -> None:
    injections = drawn(seed, duration=20.0, faults=60)
    kinds = Counter(each.kind for each in injections if isinstance(each, Disrupt))
    assert kinds == dict.fromkeys(Disruption, 1)


@given(seed=st.integers(0, 2**32), duration=st.floats(10, 1000), faults=st.integers(1, 500))
def test_injections_come_in_order_within_the_run_and_pauses_outlast_the_lease(
    seed: int, duration: float, faults: int
) -> None:
    injections = drawn(seed, duration=duration, faults=faults)
    times = [each.at for each in injections]
    assert times == sorted(times)
    assert all(0 <= at <= duration for at in times)
    for each in injections:
        match each:
            case Disrupt(kind=Disruption.PAUSE, seconds=seconds):
                assert seconds > LEASE
            case Trouble(rules=rules, lasts=lasts):
                # Whatever is put into force ends by itself, or is withdrawn.
                assert lasts is not None or all(rule.times for rule in rules)
                assert {rule.account for rule in rules} <= set(TENANTS)
            case Disrupt():
                pass


@given(seed=st.integers(0, 2**32))
def test_late_commits_follow_a_timeout_and_come_within_the_doubt_window(seed: int) -> None:
    for each in drawn(seed):
        if each.kind is SednaFault.LATE_COMMIT and isinstance(each, Trouble):
            (rule,) = each.rules
            assert LATE_COMMIT_SECONDS[0] <= rule.seconds <= LATE_COMMIT_SECONDS[1]
            assert rule.step in {None, 1}
