"""What follows from the outcome of an attempt. Pure: no clock, no I/O, no logging.

The laws it keeps:

* a create whose outcome is unknown is never answered with a time to send it again;
* only what cannot double anything is retried or given up;
* every outcome gets a verdict, and the same one for the same arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from consumer.outcome import Blocked, Done, Outcome, Passing, Paused, Refused, Unknown
from consumer.retry import backoff
from schemas.outcomes import ErrorCode


@dataclass(frozen=True, slots=True)
class Synced:
    """Sedna has the record; the sync is done."""

    rec_id: int
    hotel_id: int
    adopted: bool
    conflict: bool  #: the record is an earlier event's; this one is answered as a conflict
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The sync is over without a record; a person has to mend something."""

    code: ErrorCode
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """An attempt has failed in passing; the next is due at `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """Nothing was tried and no attempt counts; look again at `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing was tried and no attempt counts; it waits until its tenant may be worked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A create was perhaps sent: ask Sedna at `look_at`, and never send it again unasked."""

    since: datetime
    look_at: datetime
    reason: str


Verdict = Synced | Failed | RetryAt | Postponed | Waits | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings that verdicts depend on; all in seconds."""

    retry_base: float
    retry_cap: float
    doubt_window: float  #: one look that finds nothing proves nothing before this is over
    give_up_after: float

    @property
    def mark_lifetime(self) -> float:
        """For how long after its mark a create may be written.

        Well below the doubt window, after which somebody else may send it: so a process that slept
        between mark and write can double nothing.
        """
        return self.doubt_window / 2


def decide(  # noqa: PLR0911  # a return for each kind of outcome is what it is about
    outcome: Outcome,
    *,
    attempt: int,
    age: timedelta,
    doubt_since: datetime | None,
    now: datetime,
    policy: Policy,
    jitter: float,
) -> Verdict:
    """The verdict on one attempt.

    Args:
        outcome: what it came to.
        attempt: its number, from 1.
        age: since the event was registered.
        doubt_since: when the create was sent whose outcome is unknown; None: before this attempt
            there was none, or its record is known.
        now: when the attempt ended.
        policy: how long to wait and when to give up.
        jitter: a random number in [0, 1].
    """
    too_old = age.total_seconds() >= policy.give_up_after
    match outcome:
        case Done(rec_id, hotel_id, adopted, conflict, message):
            return Synced(rec_id, hotel_id, adopted, conflict, message)
        case Refused(code, message, details):
            return Failed(code, message, details)
        case Unknown(reason):
            window = timedelta(seconds=policy.doubt_window)
            # However old the event is: Sedna is asked, and more than once, before anybody gives up.
            asked = doubt_since is not None and now >= doubt_since + window
            if asked and too_old:
                return Failed(
                    ErrorCode.IN_DOUBT_UNRESOLVED,
                    f"sent, and within {policy.give_up_after:g} s Sedna did not say what became of "
                    f"it: {reason}",
                )
            since = doubt_since or now
            return InDoubt(since, _next_look(since, attempt, now, policy, jitter), reason)
        case Passing(reason, retry_after):
            at = now + timedelta(seconds=_wait(retry_after, attempt, policy, jitter))
            return _given_up(reason, policy) if too_old else RetryAt(at, reason)
        case Blocked(reason) | Paused(reason) if too_old:
            return _given_up_unasked(reason, doubt_since, now, policy)
        case Blocked(reason, retry_after):
            at = now + timedelta(seconds=_wait(retry_after, attempt, policy, jitter))
            return Postponed(at, reason)
        case Paused(reason):
            return Waits(reason)
        case _:
            assert_never(outcome)


def _wait(retry_after: float | None, attempt: int, policy: Policy, jitter: float) -> float:
    wait = backoff(attempt, base=policy.retry_base, cap=policy.retry_cap, jitter=jitter)
    return max(wait, retry_after or 0.0)


def _given_up(reason: str, policy: Policy) -> Failed:
    return Failed(
        ErrorCode.GAVE_UP, f"not done within {policy.give_up_after:g} s; last error: {reason}"
    )


def _given_up_unasked(
    reason: str, doubt_since: datetime | None, now: datetime, policy: Policy
) -> Failed | Postponed:
    """What is too old and cannot be tried, since its tenant's account cannot be used."""
    if doubt_since is None:
        return _given_up(reason, policy)
    conclusive = doubt_since + timedelta(seconds=policy.doubt_window)
    if now < conclusive:
        return Postponed(conclusive, reason)
    return Failed(
        ErrorCode.IN_DOUBT_UNRESOLVED,
        f"sent, and within {policy.give_up_after:g} s Sedna could not be asked what became of it; "
        f"last error: {reason}",
    )


def _next_look(
    since: datetime, attempt: int, now: datetime, policy: Policy, jitter: float
) -> datetime:
    """When to ask Sedna again: by backoff, and not past the moment that makes absence count."""
    wait = backoff(attempt, base=policy.retry_base, cap=policy.retry_cap, jitter=jitter)
    look_at = now + timedelta(seconds=wait)
    conclusive = since + timedelta(seconds=policy.doubt_window)
    return min(look_at, conclusive) if now < conclusive else look_at
