"""The seeded schedule of a chaos run: which fault comes when, and to whom. Pure.

The same arguments give the same schedule. Kinds are dealt from shuffled decks, so that each comes
about as often as the others, in an order that nobody has thought of.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from consumer.demo.fake import Fault, FaultKind, When

T = TypeVar("T")


class Disruption(StrEnum):
    """What befalls a process, a server or the network between them."""

    KILL = "kill -9"
    PAUSE = "SIGSTOP beyond the lease, SIGCONT"
    JOIN = "a process joins"
    LEAVE = "a process leaves"
    POSTGRES_FAST = "Postgres stopped"
    POSTGRES_IMMEDIATE = "Postgres crashed"
    KAFKA_STOP = "Kafka stopped"
    CUT_POSTGRES = "connections to Postgres reset"
    CUT_KAFKA = "connections to Kafka reset"
    HOLE_POSTGRES = "Postgres out of reach"
    HOLE_KAFKA = "Kafka out of reach"


class SednaFault(StrEnum):
    """How Sedna goes wrong."""

    LATENCY = "latency"
    ERROR_BEFORE = "5xx before commit"
    ERROR_AFTER = "5xx after commit"
    THROTTLED_SECONDS = "429, Retry-After in seconds"
    THROTTLED_DATE = "429, Retry-After as a date"
    RESET_BEFORE = "reset before commit"
    RESET_AFTER = "reset after commit"
    CLOSE_BEFORE = "close before commit"
    CLOSE_AFTER = "close after commit"
    HALF_HEADER = "half a header"
    HALF_BODY = "half a body"
    RUBBISH = "rubbish with 200"
    LATE_COMMIT = "late commit"
    HANG_BEFORE = "hang before commit"
    HANG_AFTER = "hang after commit"
    SESSION_EXPIRED = "session expired"
    LOGIN_REFUSED = "logins refused for a while"
    LOOK_UP = "look-up fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disrupt:
    """One disruption."""

    at: float  #: seconds after the start
    kind: Disruption
    seconds: float  #: how long it lasts, where it lasts
    choice: float  #: in [0, 1): which process, where it befalls one


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Rules for the fake Sedna that are put into force at a time."""

    at: float  #: seconds after the start
    kind: SednaFault
    rules: tuple[Fault, ...]
    #: Seconds after which rules without an end are withdrawn; None: the rules end by themselves.
    lasts: float | None = None
    #: Seconds from now, which the injector writes as the date of `Retry-After`.
    retry_date_in: float | None = None


Injection = Disrupt | Trouble

#: Seconds between two disruptions of a long run. A kill or a pause takes the group some seconds.
_SPACING = 8.0
#: Seconds. With the latency of one rule it stays below half of the doubt window of a run: a commit
#: that is later than a service has been told to reckon with breaks no promise.
LATE_COMMIT_SECONDS = (2.2, 2.8)
LONGEST_LATENCY = 0.4
LONGEST_PAUSE = 16.0
_CREATE = ("InsertReservation", "UpdateStopSale")
#: Where a fault strikes, and how often: creates above all.
_CALLS: tuple[tuple[str, int | None, float], ...] = (
    ("InsertReservation", None, 0.6),
    ("UpdateStopSale", 1, 0.2),
    ("UpdateStopSale", 2, 0.15),
    ("AgencyLogin", None, 0.05),
)


def schedule(
    *, seed: int, duration: float, faults: int, tenants: Sequence[str], lease: float
) -> list[Injection]:
    """All injections of a run, by time.

    Args:
        seed: of all draws.
        duration: seconds; nothing begins later.
        faults: how many injections; at least one of each disruption comes, whatever this says.
        tenants: accounts of the fake.
        lease: seconds, that a pause has to outlast.
    """
    draws = random.Random(seed)
    count = max(len(Disruption), round(duration / _SPACING))
    spacing = duration / count
    longest = max(lease + 2.0, min(LONGEST_PAUSE, duration / 4))
    disruptions = [
        Disrupt(
            at=(number + draws.random()) * spacing,
            kind=kind,
            seconds=_seconds(kind, draws, lease=lease, longest_pause=longest),
            choice=draws.random(),
        )
        for number, kind in zip(range(count), _decks(Disruption, draws), strict=False)
    ]
    troubles = [
        _trouble(kind, draws.uniform(0.0, duration), draws.choice(tenants), draws)
        for _, kind in zip(range(faults - count), _decks(SednaFault, draws), strict=False)
    ]
    return sorted([*disruptions, *troubles], key=lambda injection: injection.at)


def _decks(cards: Iterable[T], draws: random.Random) -> Iterator[T]:
    deck = list(cards)
    while True:
        yield from draws.sample(deck, k=len(deck))


def _seconds(
    kind: Disruption, draws: random.Random, *, lease: float, longest_pause: float
) -> float:
    match kind:
        case Disruption.PAUSE:
            return draws.uniform(lease + 1.0, longest_pause)
        case Disruption.POSTGRES_FAST | Disruption.POSTGRES_IMMEDIATE | Disruption.KAFKA_STOP:
            return draws.uniform(0.5, 3.0)
        case Disruption.HOLE_POSTGRES | Disruption.HOLE_KAFKA:
            return draws.uniform(1.0, 5.0)
        case _:
            return 0.0


def _trouble(kind: SednaFault, at: float, tenant: str, draws: random.Random) -> Trouble:
    if kind is SednaFault.LOGIN_REFUSED:
        expire = Fault(kind=FaultKind.EXPIRE_SESSION, account=tenant, times=1)
        refuse = Fault(kind=FaultKind.REFUSE_LOGIN, account=tenant)
        return Trouble(at=at, kind=kind, rules=(expire, refuse), lasts=draws.uniform(1.0, 3.0))
    return Trouble(
        at=at,
        kind=kind,
        rules=(_RULES[kind](tenant, draws),),
        retry_date_in=2.0 if kind is SednaFault.THROTTLED_DATE else None,
    )


Rule = Callable[[str, random.Random], Fault]


def _somewhere(kind: FaultKind, when: When | None = None) -> Rule:
    """A fault of one call of some operation."""

    def rule(tenant: str, draws: random.Random) -> Fault:
        (operation, step, _), *_ = draws.choices(_CALLS, [weight for *_, weight in _CALLS])
        return Fault(
            kind=kind,
            account=tenant,
            operation=operation,
            step=step,
            when=when,
            status=draws.choice((500, 502, 503, 504)),
            times=1,
        )

    return rule


def _late_commit(tenant: str, draws: random.Random) -> Fault:
    operation = draws.choices(_CREATE, [0.75, 0.25])[0]
    return Fault(
        kind=FaultKind.LATE_COMMIT,
        account=tenant,
        operation=operation,
        step=1 if operation == "UpdateStopSale" else None,
        seconds=draws.uniform(*LATE_COMMIT_SECONDS),
        times=1,
    )


def _latency(tenant: str, draws: random.Random) -> Fault:
    seconds = draws.uniform(0.1, LONGEST_LATENCY)
    return Fault(kind=FaultKind.LATENCY, account=tenant, seconds=seconds, times=1)


def _throttled(tenant: str, draws: random.Random) -> Fault:
    operation = draws.choice(_CREATE)
    return Fault(
        kind=FaultKind.STATUS,
        account=tenant,
        operation=operation,
        status=429,
        retry_after=str(draws.choice((1, 2))),
        times=1,
    )


def _expired(tenant: str, draws: random.Random) -> Fault:
    operation = draws.choice((None, "UpdateStopSale", "GetReservations"))
    return Fault(kind=FaultKind.EXPIRE_SESSION, account=tenant, operation=operation, times=1)


def _look_up(tenant: str, draws: random.Random) -> Fault:
    return Fault(
        kind=draws.choice(
            (
                FaultKind.STATUS,
                FaultKind.RESET,
                FaultKind.HALF_BODY,
                FaultKind.RUBBISH_2XX,
                FaultKind.HANG,
            )
        ),
        account=tenant,
        operation=draws.choices(("GetReservations", "GetStopSaleList"), [0.8, 0.2])[0],
        times=1,
    )


_RULES: dict[SednaFault, Rule] = {
    SednaFault.LATENCY: _latency,
    SednaFault.ERROR_BEFORE: _somewhere(FaultKind.STATUS, When.BEFORE_COMMIT),
    SednaFault.ERROR_AFTER: _somewhere(FaultKind.STATUS, When.AFTER_COMMIT),
    SednaFault.THROTTLED_SECONDS: _throttled,
    SednaFault.THROTTLED_DATE: _throttled,
    SednaFault.RESET_BEFORE: _somewhere(FaultKind.RESET, When.BEFORE_COMMIT),
    SednaFault.RESET_AFTER: _somewhere(FaultKind.RESET, When.AFTER_COMMIT),
    SednaFault.CLOSE_BEFORE: _somewhere(FaultKind.CLOSE, When.BEFORE_COMMIT),
    SednaFault.CLOSE_AFTER: _somewhere(FaultKind.CLOSE, When.AFTER_COMMIT),
    SednaFault.HALF_HEADER: _somewhere(FaultKind.HALF_HEADER),
    SednaFault.HALF_BODY: _somewhere(FaultKind.HALF_BODY),
    SednaFault.RUBBISH: _somewhere(FaultKind.RUBBISH_2XX),
    SednaFault.LATE_COMMIT: _late_commit,
    SednaFault.HANG_BEFORE: _somewhere(FaultKind.HANG, When.BEFORE_COMMIT),
    SednaFault.HANG_AFTER: _somewhere(FaultKind.HANG, When.AFTER_COMMIT),
    SednaFault.SESSION_EXPIRED: _expired,
    SednaFault.LOOK_UP: _look_up,
}
