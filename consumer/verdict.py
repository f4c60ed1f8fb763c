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

from consumer.outcome import Blocked, Done, Outcome, Passing, Refused, Unknown
from consumer.retry import backoff
from schemas.outcomes import ErrorCode


@dataclass(frozen=True, slots=True)
class Synced:
    """Sedna has the record; the sync is done."""

    rec_id: int
    hotel_id: int
    adopted: bool
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
class InDoubt:
    """A create was perhaps sent: hold it, and never send it again unasked."""

    since: datetime
    reason: str


Verdict = Synced | Failed | RetryAt | Postponed | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings that verdicts depend on; all in seconds."""

    retry_base: float
    retry_cap: float
    give_up_after: float


def decide(
    outcome: Outcome,
    *,
    attempt: int,
    age: timedelta,
    now: datetime,
    policy: Policy,
    jitter: float,
) -> Verdict:
    """The verdict on one attempt.

    Args:
        outcome: what it came to.
        attempt: its number, from 1.
        age: since the event was registered.
        now: when the attempt ended.
        policy: how long to wait and when to give up.
        jitter: a random number in [0, 1].
    """
    match outcome:
        case Done(rec_id, hotel_id, adopted, message):
            return Synced(rec_id, hotel_id, adopted, message)
        case Refused(code, message, details):
            return Failed(code, message, details)
        case Unknown(reason):
            return InDoubt(now, reason)
        case Passing(reason, retry_after) | Blocked(reason, retry_after):
            if age.total_seconds() >= policy.give_up_after:
                return Failed(
                    ErrorCode.GAVE_UP,
                    f"not done within {policy.give_up_after:g} s; last error: {reason}",
                )
            wait = backoff(attempt, base=policy.retry_base, cap=policy.retry_cap, jitter=jitter)
            at = now + timedelta(seconds=max(wait, retry_after or 0.0))
            return RetryAt(at, reason) if isinstance(outcome, Passing) else Postponed(at, reason)
        case _:
            assert_never(outcome)
