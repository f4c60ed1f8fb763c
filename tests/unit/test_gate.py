"""The gate of an account: fed by real calls, and asked before each."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from consumer.breaker import Breaker, BreakerPolicy, Change, Reason
from consumer.gate import AccountGate
from consumer.pacer import Pacer
from consumer.sedna.errors import AccountPaused, LoginRefused, SednaError
from consumer.sedna.exchange import Reply
from consumer.sedna.operations import Operation
from tests.unit.sedna.scripted import (
    Account,
    Answer,
    ManualClock,
    accepted_login,
    account_behind,
    failure,
    refusal,
    reply,
)


@dataclass
class Bench:
    """A client behind a gate."""

    gate: AccountGate
    clock: ManualClock
    account: Account
    changes: list[Change] = field(default_factory=list)

    async def ask(self, operation: Operation = Operation.BOARDS) -> bytes:
        def read(reply: Reply) -> bytes:
            return reply.content

        return await self.account.session.call(operation, read=read)

    async def fail(self, operation: Operation = Operation.BOARDS) -> None:
        with pytest.raises(SednaError):
            await self.ask(operation)


def bench(*, pacer: Pacer | None = None, failures: int = 3, **answers: list[Answer]) -> Bench:
    clock, changes = ManualClock(), list[Change]()
    gate = AccountGate(
        breaker=Breaker(BreakerPolicy(failures=failures, cool_down=30, longest=300)),
        pacer=pacer,
        clock=clock,
        on_change=lambda _, change: changes.append(change),
    )
    return Bench(gate, clock, account_behind(gate, None, clock, **answers), changes)


@pytest.mark.parametrize(
    "answer",
    [
        failure(httpx2.ConnectError("refused"), sent=False),
        failure(httpx2.ConnectTimeout("slow"), sent=False),
        failure(httpx2.ReadTimeout("late"), sent=True),
        failure(httpx2.ReadError("reset"), sent=True),
        reply(b"", 500),
        reply(b"", 503),
        reply(b"<html>", 302),
    ],
)
async def test_failures_in_a_row_open_it_and_then_nothing_is_sent(answer: Answer) -> None:
    here = bench(GetBoardList=[answer])
    for _ in range(3):
        await here.fail()
    assert here.changes == [Change.OPENED]
    assert here.gate.breaker.reason is Reason.FAILURES
    with pytest.raises(AccountPaused, match="failures"):
        await here.ask()
    assert len(here.account.sedna.calls("GetBoardList")) == 3


async def test_an_answer_after_the_cool_down_closes_it() -> None:
    here = bench(GetBoardList=[*[reply(b"", 503)] * 3, reply([1])])
    for _ in range(3):
        await here.fail()
    here.clock.seconds += 30
    assert await here.ask() == b"[1]"
    assert here.changes == [Change.OPENED, Change.CLOSED]


@pytest.mark.parametrize("answer", [refusal("Wrong password"), reply(b"", 401)])
async def test_a_refused_login_is_tried_again_by_nobody_before_its_cool_down(
    answer: httpx2.Response,
) -> None:
    here = bench(AgencyLogin=[answer, answer, accepted_login()], GetBoardList=[reply([1])])
    with pytest.raises(LoginRefused):
        await here.ask()
    assert here.gate.breaker.reason is Reason.LOGIN_REFUSED
    for seconds, logins in ((29, 1), (1, 2), (59, 2)):
        here.clock.seconds += seconds
        for _ in range(5):
            await here.fail()
        assert len(here.account.sedna.calls("AgencyLogin")) == logins
    here.clock.seconds += 1
    assert await here.ask() == b"[1]"
    assert here.changes == [Change.OPENED, Change.STAYS_OPEN, Change.CLOSED]


async def test_a_session_refused_after_a_fresh_login_opens_it_and_an_expired_one_does_not() -> None:
    here = bench(GetBoardList=[reply(b"", 401), reply([1]), reply(b"", 401)])
    await here.ask()
    assert here.changes == []
    await here.fail()
    assert here.changes == [Change.OPENED]
    assert here.gate.breaker.reason is Reason.SESSION_REFUSED


async def test_429_opens_it_for_as_long_as_sedna_says() -> None:
    here = bench(GetBoardList=[reply(b"", 429, retry_after="100")])
    await here.fail()
    assert here.gate.breaker.reason is Reason.THROTTLED
    assert here.gate.breaker.until == here.clock.seconds + 100
    assert "429" in here.gate.last_error


async def test_an_account_without_one_of_two_calls_is_an_account_that_works() -> None:
    here = bench(failures=1, GetHotels=[reply(b"", 404)], GetHotelList=[reply([])])
    await here.fail(Operation.HOTELS)
    await here.ask(Operation.HOTEL_LIST)
    assert here.changes == []


async def test_a_reply_that_is_not_what_a_call_is_for_is_a_failure_where_there_is_no_other() -> (
    None
):
    here = bench(failures=1, AgencyLogin=[reply(b"<html>closed for repairs")])
    await here.fail()
    assert here.gate.breaker.reason is Reason.FAILURES


async def test_what_one_login_failed_with_is_one_sign_however_many_waited_for_it() -> None:
    here = bench(failures=2, AgencyLogin=[reply(b"", 503)])
    here.account.sedna.gate = asyncio.Event()
    asking = [asyncio.create_task(here.fail()) for _ in range(20)]
    await asyncio.sleep(0)
    here.account.sedna.gate.set()
    await asyncio.gather(*asking)
    assert len(here.account.sedna.calls("AgencyLogin")) == 1
    assert here.changes == []


async def test_a_request_that_was_cancelled_says_nothing_and_makes_way() -> None:
    here = bench(failures=1, GetBoardList=[reply(b"", 503), reply([1])])
    await here.fail()
    here.clock.seconds += 30
    here.account.sedna.gate = asyncio.Event()
    probe = asyncio.create_task(here.ask())
    await asyncio.sleep(0)
    with pytest.raises(AccountPaused):
        await here.ask()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    here.account.sedna.gate.set()
    assert await here.ask() == b"[1]"


async def test_an_attempt_from_before_the_breaker_opened_is_no_probe() -> None:
    here = bench(failures=1, GetBoardList=[reply(b"", 503)])
    opening = here.gate.opening
    here.gate.check(opening)
    await here.fail()
    here.clock.seconds += 30
    with pytest.raises(AccountPaused):
        here.gate.check(opening)
    here.gate.check(here.gate.opening)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that would have been."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("consumer.gate.asyncio.sleep", sleep)
    return waits


async def test_every_request_waits_for_its_turn_but_a_create_whose_caller_has(
    slept: list[float],
) -> None:
    here = bench(pacer=Pacer(0.1), GetBoardList=[reply([1])], InsertReservation=[reply([1])])
    await here.ask()
    assert slept == [10]
    await here.ask(Operation.INSERT_RESERVATION)
    assert slept == [10]
    await here.gate.turn()
    assert slept == [10, 20]


async def test_a_create_that_is_sent_again_after_a_401_waits_for_another_turn(
    slept: list[float],
) -> None:
    answers: list[Any] = [reply(b"", 401), reply([1])]
    here = bench(pacer=Pacer(0.1), InsertReservation=answers)
    await here.ask(Operation.INSERT_RESERVATION)
    # The first login at once; the second one, and the second create.
    assert slept == [10, 20]


async def test_no_more_attempts_begin_than_could_send_at_once() -> None:
    here = bench(pacer=Pacer(2))
    assert [here.gate.admit() for _ in range(2)] == [None, None]
    assert here.gate.admit() == here.clock.seconds + 0.5
    await here.gate.turn()
    here.gate.turn_taken()
    # One turn is left, and one attempt waits for it.
    assert here.gate.admit() is not None
    here.gate.turn_taken()
    assert here.gate.admit() is None


async def test_without_a_rate_everything_begins_at_once() -> None:
    here = bench()
    assert [here.gate.admit() for _ in range(100)] == [None] * 100
