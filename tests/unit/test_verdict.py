"""Verdicts: what follows from an outcome can double nothing and forget nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.outcome import Blocked, Done, Outcome, Passing, Paused, Refused, Unknown
from consumer.verdict import (
    Failed,
    InDoubt,
    Policy,
    Postponed,
    RetryAt,
    Synced,
    Verdict,
    Waits,
    decide,
)
from schemas.outcomes import ErrorCode

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICY = Policy(retry_base=1, retry_cap=300, doubt_window=120, give_up_after=86_400)
DAY = timedelta(days=1)

reasons = st.text(max_size=20)
ids = st.integers(min_value=0, max_value=2**63 - 1)
# What Sedna asks for reaches the verdict cut to a day.
retry_afters = st.none() | st.floats(min_value=0, max_value=86_400)
passing = st.builds(Passing, reasons, retry_afters)
blocked = st.builds(Blocked, reasons, retry_afters)
paused = st.builds(Paused, reasons)
unknown = st.builds(Unknown, reasons)
done = st.builds(Done, ids, ids, st.booleans(), st.booleans(), reasons)
refused = st.builds(
    Refused, st.sampled_from(ErrorCode), reasons, st.just({"candidates": [{"hotel_id": 18}]})
)
outcomes = st.one_of(done, refused, passing, blocked, paused, unknown)
seconds = st.floats(min_value=0.001, max_value=31_536_000)
policies = st.builds(
    Policy, retry_base=seconds, retry_cap=seconds, doubt_window=seconds, give_up_after=seconds
)
#: Since when a sync was in doubt before the attempt.
doubts = st.none() | st.timedeltas(timedelta(0), timedelta(days=4000)).map(lambda ago: NOW - ago)
attempts = st.integers(min_value=1, max_value=10**9)
ages = st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=4000))
jitters = st.floats(min_value=0, max_value=1)


def verdict_on(
    outcome: Outcome,
    *,
    attempt: int = 1,
    age: timedelta = timedelta(0),
    doubt_since: datetime | None = None,
    policy: Policy = POLICY,
    jitter: float = 1.0,
) -> Verdict:
    return decide(
        outcome,
        attempt=attempt,
        age=age,
        doubt_since=doubt_since,
        now=NOW,
        policy=policy,
        jitter=jitter,
    )


@given(
    outcome=unknown,
    attempt=attempts,
    age=ages,
    doubt_since=doubts,
    policy=policies,
    jitter=jitters,
)
def test_an_unknown_outcome_is_asked_about_or_given_up_and_never_answered_with_a_time_to_send_again(
    *,
    outcome: Unknown,
    attempt: int,
    age: timedelta,
    doubt_since: datetime | None,
    policy: Policy,
    jitter: float,
) -> None:
    verdict = verdict_on(
        outcome, attempt=attempt, age=age, doubt_since=doubt_since, policy=policy, jitter=jitter
    )
    if isinstance(verdict, Failed):
        assert verdict.code is ErrorCode.IN_DOUBT_UNRESOLVED
        assert age.total_seconds() >= policy.give_up_after
        assert doubt_since is not None
        assert NOW - doubt_since >= timedelta(seconds=policy.doubt_window)
    else:
        assert isinstance(verdict, InDoubt)
        assert verdict.since == (doubt_since or NOW)
        assert NOW < verdict.look_at <= NOW + timedelta(seconds=max(policy.retry_cap, 1e-6))


def test_sedna_is_asked_again_at_the_moment_from_which_absence_counts() -> None:
    since = NOW - timedelta(seconds=119)
    verdict = verdict_on(Unknown("no reply"), attempt=9, doubt_since=since)
    assert verdict == InDoubt(since, NOW + timedelta(seconds=1), "no reply")


def test_a_doubt_that_begins_when_the_event_is_already_old_is_not_given_up_unasked() -> None:
    assert isinstance(verdict_on(Unknown("reset"), age=400 * DAY), InDoubt)


@given(outcome=outcomes, attempt=attempts, age=ages, policy=policies, jitter=jitters)
def test_the_same_arguments_give_the_same_verdict(
    outcome: Outcome, attempt: int, age: timedelta, policy: Policy, jitter: float
) -> None:
    first = verdict_on(outcome, attempt=attempt, age=age, policy=policy, jitter=jitter)
    second = verdict_on(outcome, attempt=attempt, age=age, policy=policy, jitter=jitter)
    assert first == second


@given(outcome=outcomes, attempt=attempts, age=ages, policy=policies, jitter=jitters)
def test_only_what_is_passing_and_too_old_is_given_up(
    outcome: Outcome, attempt: int, age: timedelta, policy: Policy, jitter: float
) -> None:
    verdict = verdict_on(outcome, attempt=attempt, age=age, policy=policy, jitter=jitter)
    given_up = isinstance(verdict, Failed) and not isinstance(outcome, Refused)
    too_old = age.total_seconds() >= policy.give_up_after
    assert given_up == (isinstance(outcome, Passing | Blocked | Paused) and too_old)


@given(outcome=passing | blocked, attempt=attempts, policy=policies, jitter=jitters)
def test_the_next_look_is_never_before_the_time_that_sedna_asked_for(
    outcome: Passing | Blocked, attempt: int, policy: Policy, jitter: float
) -> None:
    verdict = verdict_on(outcome, attempt=attempt, policy=policy, jitter=jitter)
    assert isinstance(verdict, RetryAt | Postponed)
    assert verdict.at >= NOW + timedelta(seconds=outcome.retry_after or 0)
    longest = max(policy.retry_cap, outcome.retry_after or 0)
    assert verdict.at <= NOW + timedelta(seconds=longest)


@given(outcome=passing | blocked, attempt=attempts, policy=policies)
def test_what_has_failed_in_passing_is_never_due_again_at_the_same_moment(
    outcome: Passing | Blocked, attempt: int, policy: Policy
) -> None:
    verdict = verdict_on(outcome, attempt=attempt, policy=policy, jitter=0)
    assert isinstance(verdict, RetryAt | Postponed)
    assert verdict.at > NOW


def test_done_is_synced_with_everything_that_is_known_of_the_record() -> None:
    assert verdict_on(Done(823259, 18, adopted=True, message="found")) == Synced(
        823259, 18, adopted=True, conflict=False, message="found"
    )


def test_done_is_synced_however_old_it_is() -> None:
    assert isinstance(verdict_on(Done(823259, 18), age=400 * DAY), Synced)


def test_refused_fails_at_once_with_its_code_and_what_a_person_needs_to_mend_it() -> None:
    details = {"candidates": [{"hotel_id": 18, "name": "Mandarin"}]}
    outcome = Refused(ErrorCode.HOTEL_AMBIGUOUS, "two hotels match", details)
    assert verdict_on(outcome) == Failed(ErrorCode.HOTEL_AMBIGUOUS, "two hotels match", details)


def test_what_has_failed_in_passing_is_tried_again_and_counts_as_an_attempt() -> None:
    assert verdict_on(Passing("refused"), attempt=3) == RetryAt(
        NOW + timedelta(seconds=4), "refused"
    )


def test_an_account_that_cannot_be_used_is_looked_at_later_and_counts_as_no_attempt() -> None:
    assert verdict_on(Blocked("no such key", retry_after=30)) == Postponed(
        NOW + timedelta(seconds=30), "no such key"
    )


@given(age=ages, attempt=attempts, doubt_since=doubts, policy=policies)
def test_what_a_breaker_held_back_waits_with_its_tenant_until_it_is_too_old(
    age: timedelta, attempt: int, doubt_since: datetime | None, policy: Policy
) -> None:
    verdict = verdict_on(
        Paused("login refused"), age=age, attempt=attempt, doubt_since=doubt_since, policy=policy
    )
    too_old = age.total_seconds() >= policy.give_up_after
    assert (verdict == Waits("login refused")) == (not too_old)


@pytest.mark.parametrize("outcome", [Paused("login refused"), Blocked("no such key", 30)])
def test_a_doubt_that_nobody_could_ask_about_ends_unresolved_after_its_window(
    outcome: Outcome,
) -> None:
    window = timedelta(seconds=POLICY.doubt_window)
    early = NOW - window + timedelta(seconds=1)
    waits = verdict_on(outcome, age=DAY, doubt_since=early)
    assert isinstance(waits, Postponed)
    assert waits.at == early + window
    verdict = verdict_on(outcome, age=DAY, doubt_since=NOW - window)
    assert isinstance(verdict, Failed)
    assert verdict.code is ErrorCode.IN_DOUBT_UNRESOLVED
    assert "could not be asked" in verdict.message


def test_a_shorter_wish_of_sednas_does_not_shorten_the_backoff() -> None:
    assert verdict_on(Passing("429", retry_after=1), attempt=6) == RetryAt(
        NOW + timedelta(seconds=32), "429"
    )


@pytest.mark.parametrize("kind", [Passing, Blocked, Paused])
def test_giving_up_says_how_long_it_was_tried_and_the_last_error(
    kind: Callable[[str], Outcome],
) -> None:
    outcome = kind("connection refused")
    verdict = verdict_on(outcome, age=DAY)
    assert isinstance(verdict, Failed)
    assert verdict.code is ErrorCode.GAVE_UP
    assert verdict.message == "not done within 86400 s; last error: connection refused"


@pytest.mark.parametrize("outcome", [Passing("x"), Blocked("x")])
def test_a_moment_before_the_limit_it_is_still_tried(outcome: Passing | Blocked) -> None:
    verdict = verdict_on(outcome, age=DAY - timedelta(microseconds=1))
    assert isinstance(verdict, RetryAt | Postponed)
