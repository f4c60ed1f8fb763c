"""One login for all who need it, renewed when it expires, and never shown."""

import asyncio
from typing import Any

import httpx2
import pytest

from consumer.sedna.errors import LoginRefused, NotSent, SessionRefused, Throttled, Unavailable
from consumer.sedna.exchange import Reply
from consumer.sedna.operations import Operation
from consumer.sedna.single_flight import SingleFlight
from tests.unit.sedna.scripted import (
    COOKIE,
    PASSWORD,
    Account,
    Answer,
    accepted_login,
    account,
    account_of,
    failure,
    refusal,
    reply,
)


def read(reply: Reply) -> bytes:
    return reply.content


async def ask(tenant: Account) -> bytes:
    return await tenant.session.call(Operation.BOARDS, read=read)


async def test_a_login_gives_the_operator_and_the_cookie_that_later_calls_carry() -> None:
    tenant = account(GetBoardList=[reply([])])
    login = await tenant.session.current()
    await ask(tenant)
    assert login.operator_id == 571
    (sent,) = tenant.sedna.calls("AgencyLogin")
    assert sent.query == {"username": "agency", "password": PASSWORD}
    assert "cookie" not in sent.headers
    assert tenant.sedna.calls("GetBoardList")[0].headers["cookie"] == f"SID={COOKIE}"


async def test_the_operator_of_the_settings_wins_over_the_learned_one() -> None:
    assert (await account_of(9).session.current()).operator_id == 9


async def test_a_login_that_names_no_operator_is_enough_where_the_settings_do() -> None:
    answers: list[Answer] = [reply({"ErrorType": 0})]
    assert (await account_of(9, AgencyLogin=answers).session.current()).operator_id == 9
    with pytest.raises(Unavailable, match="set the tenant's operator id"):
        await account(AgencyLogin=answers).session.current()


async def test_many_who_need_a_login_at_once_log_in_once() -> None:
    tenant = account()
    tenant.sedna.gate = asyncio.Event()
    waiting = [asyncio.create_task(tenant.session.current()) for _ in range(50)]
    await asyncio.sleep(0)
    tenant.sedna.gate.set()
    logins = await asyncio.gather(*waiting)
    assert len(tenant.sedna.calls("AgencyLogin")) == 1
    assert {login.number for login in logins} == {1}


async def test_many_whose_session_expired_log_in_once_more_and_all_succeed() -> None:
    def by_cookie(sent: Any) -> httpx2.Response:
        return reply([1]) if "fresh" in sent.headers["cookie"] else reply(b"", 401)

    tenant = account(
        AgencyLogin=[accepted_login(), accepted_login("fresh-one")], GetBoardList=[by_cookie]
    )
    await tenant.session.current()
    tenant.sedna.gate = asyncio.Event()
    asking = [asyncio.create_task(ask(tenant)) for _ in range(20)]
    await asyncio.sleep(0)
    tenant.sedna.gate.set()
    answers = await asyncio.gather(*asking)
    assert answers == [b"[1]"] * 20
    assert len(tenant.sedna.calls("AgencyLogin")) == 2
    assert len(tenant.sedna.calls("GetBoardList")) == 40


async def test_a_401_after_a_fresh_login_is_a_refused_session_and_no_third_try() -> None:
    tenant = account(GetBoardList=[reply(b"", 401)])
    with pytest.raises(SessionRefused, match="401"):
        await ask(tenant)
    assert len(tenant.sedna.calls("GetBoardList")) == 2
    assert len(tenant.sedna.calls("AgencyLogin")) == 2


@pytest.mark.parametrize("answer", [refusal("Wrong password"), reply(b"<html>", 401)])
async def test_those_who_wait_for_a_login_that_is_refused_all_hear_of_it_from_one_request(
    answer: httpx2.Response,
) -> None:
    tenant = account(AgencyLogin=[answer])
    tenant.sedna.gate = asyncio.Event()
    waiting = [asyncio.create_task(tenant.session.current()) for _ in range(10)]
    await asyncio.sleep(0)
    tenant.sedna.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {LoginRefused}
    assert len(tenant.sedna.calls("AgencyLogin")) == 1


async def test_a_session_that_expired_under_a_changed_password_is_a_refused_login() -> None:
    tenant = account(
        AgencyLogin=[accepted_login(), refusal("Wrong password")], GetBoardList=[reply(b"", 401)]
    )
    with pytest.raises(LoginRefused, match="Wrong password"):
        await ask(tenant)


@pytest.mark.parametrize(
    "answer, error",
    [
        (failure(httpx2.ConnectError("no route"), sent=False), NotSent),
        (failure(httpx2.ReadTimeout("late"), sent=True), Unavailable),
        (reply(b"", 503), Unavailable),
        (reply(b"", 404), Unavailable),
        (reply(b"", 302, location="/login.aspx"), Unavailable),
        (reply(b"<html>"), Unavailable),
        (reply(b"", 429), Throttled),
    ],
)
async def test_a_login_that_fails_in_passing_is_tried_again_by_the_next_call(
    answer: Answer, error: type[Exception]
) -> None:
    tenant = account(AgencyLogin=[answer, accepted_login()])
    with pytest.raises(error):
        await tenant.session.current()
    assert (await tenant.session.current()).number == 1


async def test_those_who_wait_for_a_login_that_fails_all_hear_of_it_from_one_request() -> None:
    tenant = account(AgencyLogin=[reply(b"", 503)])
    tenant.sedna.gate = asyncio.Event()
    waiting = [asyncio.create_task(tenant.session.current()) for _ in range(10)]
    await asyncio.sleep(0)
    tenant.sedna.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(tenant.sedna.calls("AgencyLogin")) == 1


async def test_a_caller_who_is_cancelled_while_logging_in_fails_nobody_else() -> None:
    tenant = account()
    tenant.sedna.gate = asyncio.Event()
    first = asyncio.create_task(tenant.session.current())
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(tenant.session.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    tenant.sedna.gate.set()
    assert await second == await third
    assert first.cancelled()
    assert len(tenant.sedna.calls("AgencyLogin")) == 2


async def test_a_waiting_caller_who_is_cancelled_fails_nobody_else() -> None:
    flight: SingleFlight[int] = SingleFlight()
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        return 5

    worker = asyncio.create_task(flight.do(work))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(flight.do(work))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    gate.set()
    assert await worker == 5


async def test_a_recent_login_needs_no_confirmation_and_an_old_one_does() -> None:
    tenant = account()
    await tenant.session.current()
    await tenant.session.confirm(max_age=60)
    assert len(tenant.sedna.calls("AgencyLogin")) == 1
    tenant.clock.seconds += 61
    await tenant.session.confirm(max_age=60)
    assert len(tenant.sedna.calls("AgencyLogin")) == 2


async def test_several_cookies_are_sent_back_and_odd_ones_are_not() -> None:
    headers = [
        (b"Set-Cookie", b"A=one; path=/"),
        (b"Set-Cookie", b"B=two"),
        (b"Set-Cookie", b"A=three; Max-Age=5"),
        (b"Set-Cookie", b"empty=; path=/"),
        (b"Set-Cookie", b"no cookie at all"),
        (b"Set-Cookie", b"bad=\xfc"),
    ]
    login = httpx2.Response(200, headers=headers, content=b'{"ErrorType": 0, "RecId": 571}')
    tenant = account(AgencyLogin=[login], GetBoardList=[reply([])])
    await ask(tenant)
    assert tenant.sedna.calls("GetBoardList")[0].headers["cookie"] == "A=three; B=two"


async def test_neither_password_nor_cookie_is_in_any_repr() -> None:
    tenant = account()
    login = await tenant.session.current()
    shown = repr((tenant.session, tenant.client, login))
    assert "number=1" in shown
    assert COOKIE not in shown
    assert PASSWORD not in shown
