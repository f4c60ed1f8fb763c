"""How the fake Sedna goes wrong when it is told to, and whether the work was done all the same."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from consumer.demo.fake import FakeSedna, Fault, FaultKind, When
from consumer.demo.fake.faults import Faults, Target

Builder = Callable[..., dict[str, Any]]
INSERT = "/api/Integratiion/InsertReservation"
BOARDS = "/api/Service2/GetBoardList"
UPDATE = "/api/Contract/UpdateStopSale"


async def insert(client: httpx2.AsyncClient, room: dict[str, Any]) -> httpx2.Response:
    params = {**dict(client.params), "voucherNo": room["Voucher"]}
    return await client.post(INSERT, params=params, json=[room])


@pytest.mark.parametrize("when", list(When))
@pytest.mark.parametrize(
    "lost",
    [
        (FaultKind.RESET, httpx2.ReadError),
        (FaultKind.CLOSE, httpx2.RemoteProtocolError),
        (FaultKind.HALF_HEADER, httpx2.RemoteProtocolError),
        (FaultKind.HALF_BODY, httpx2.RemoteProtocolError),
    ],
)
async def test_a_lost_reply_leaves_a_record_only_if_it_was_lost_after_the_commit(
    fake: FakeSedna,
    north: httpx2.AsyncClient,
    room: Builder,
    lost: tuple[FaultKind, type[Exception]],
    when: When,
) -> None:
    kind, error = lost
    fake.faults.add(Fault(kind=kind, when=when, operation="InsertReservation", times=1))
    with pytest.raises(error):
        await insert(north, room())
    held = {"V1": 1} if when is When.AFTER_COMMIT else {}
    assert fake.holdings("north").vouchers == held
    assert fake.requests("InsertReservation")[0].status is None
    assert (await insert(north, room())).json()["ErrorType"] == 0


@pytest.mark.parametrize("when, held", [(When.BEFORE_COMMIT, {}), (When.AFTER_COMMIT, {"V1": 1})])
async def test_a_status_comes_with_its_body_and_retry_after(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder, when: When, held: dict[str, int]
) -> None:
    fault = Fault(
        kind=FaultKind.STATUS, status=429, body="slow down", retry_after="7", when=when, times=1
    )
    fake.faults.add(fault)
    reply = await insert(north, room())
    assert (reply.status_code, reply.text) == (429, "slow down")
    assert reply.headers["retry-after"] == "7"
    assert fake.holdings("north").vouchers == held


async def test_rubbish_comes_with_200_after_the_commit(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.RUBBISH_2XX, body="<html>", times=1))
    reply = await insert(north, room())
    assert (reply.status_code, reply.text) == (200, "<html>")
    assert fake.holdings("north").vouchers == {"V1": 1}


async def test_a_redirect_names_its_place_and_does_nothing(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.REDIRECT, location="http://elsewhere.invalid/"))
    reply = await insert(north, room())
    assert reply.status_code == 302
    assert reply.headers["location"] == "http://elsewhere.invalid/"
    assert fake.holdings("north").vouchers == {}


async def test_a_huge_body_is_as_long_as_it_was_told_to_be(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    size = 3_000_001
    fake.faults.add(Fault(kind=FaultKind.HUGE_BODY, size=size, times=1))
    assert len((await north.get(BOARDS)).content) == size
    assert (await north.get(BOARDS)).json()


async def test_a_late_commit_appears_after_the_reply_was_lost(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.LATE_COMMIT, seconds=0.2, times=1))
    with pytest.raises(httpx2.RemoteProtocolError):
        await insert(north, room())
    assert fake.holdings("north").vouchers == {}
    await fake.until(lambda fake: fake.holdings("north").vouchers == {"V1": 1})


async def test_a_late_commit_is_can_be_forgotten(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.LATE_COMMIT, seconds=60, times=1))
    with pytest.raises(httpx2.RemoteProtocolError):
        await insert(north, room())
    fake.forget_late_commits()
    assert not fake._exchanges._late
    assert fake.holdings("north").vouchers == {}


@pytest.mark.parametrize("when, held", [(When.BEFORE_COMMIT, {}), (When.AFTER_COMMIT, {"V1": 1})])
async def test_a_call_that_hangs_is_done_once_and_answered_when_it_is_released(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder, when: When, held: dict[str, int]
) -> None:
    fake.faults.add(Fault(kind=FaultKind.HANG, when=when, times=1))
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(insert(north, room()))
        await fake.until(lambda fake: fake.hung == 1)
        assert fake.holdings("north").vouchers == held
        assert fake.release() == 1
    assert call.result().json()["ErrorType"] == 0
    assert fake.holdings("north").vouchers == {"V1": 1}
    await fake.down()
    assert fake.journal.in_flight["north"] == 0


async def test_a_call_that_hangs_and_is_given_up_is_never_done(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.HANG, times=1))
    call = asyncio.create_task(insert(north, room()))
    await fake.until(lambda fake: fake.hung == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await fake.until(lambda fake: fake.hung == 0)
    assert fake.release() == 0
    assert fake.holdings("north").vouchers == {}
    assert fake.journal.in_flight["north"] == 0


async def test_work_is_done_even_if_the_client_has_gone(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.LATENCY, seconds=0.05))
    call = asyncio.create_task(insert(north, room()))
    await fake.until(lambda fake: fake.calls("InsertReservation") == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await fake.until(lambda fake: fake.holdings("north").vouchers == {"V1": 1})
    assert fake.requests("InsertReservation")[0].status is None


async def test_a_refused_login_is_one_although_the_password_is_right(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="north"))
    assert (await north.get("/api/Integratiion/AgencyLogin")).json()["ErrorType"] != 0
    assert (await north.get(BOARDS)).status_code == 200


async def test_a_session_that_expires_just_before_a_call_answers_it_with_401(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient
) -> None:
    fake.faults.add(Fault(kind=FaultKind.EXPIRE_SESSION, account="north", times=1))
    assert (await north.get(BOARDS)).status_code == 401
    assert (await south.get(BOARDS)).status_code == 200


async def test_a_rule_for_one_step_of_a_stop_sale_leaves_the_other_alone(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    fake.faults.add(Fault(kind=FaultKind.CLOSE, step=2, when=When.AFTER_COMMIT))
    rec_id = (await north.put(UPDATE, json=stop_sale())).json()["RecId"]
    with pytest.raises(httpx2.RemoteProtocolError):
        await north.put(UPDATE, json=stop_sale(RecId=rec_id))
    assert fake.holdings("north").stop_sales == {"sedna-sync:7": 1}


async def test_the_most_calls_in_flight_are_counted_per_account(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient
) -> None:
    fake.faults.add(Fault(kind=FaultKind.HANG))
    async with asyncio.TaskGroup() as tasks:
        for client, calls in ((north, 3), (south, 2)):
            for _ in range(calls):
                tasks.create_task(client.get(BOARDS))
        await fake.until(lambda fake: fake.hung == 5)
        fake.faults.clear()
        fake.release()
    assert (fake.most_in_flight("north"), fake.most_in_flight("south")) == (3, 2)
    assert fake.journal.in_flight["north"] == 0


async def test_down_refuses_and_up_serves_again_what_it_held(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    await fake.down()
    with pytest.raises(httpx2.ConnectError):
        await north.get(BOARDS)
    await fake.up()
    assert (await north.get(BOARDS)).status_code == 200
    assert fake.holdings("north").vouchers == {"V1": 1}


def target(**changes: Any) -> Target:
    plain = {"account": "north", "operation": "InsertReservation", "step": None, "voucher": "V1"}
    return Target(**{**plain, **changes})


def test_a_rule_strikes_after_those_it_skips_and_as_often_as_it_may() -> None:
    faults = Faults()
    rule = faults.add(Fault(kind=FaultKind.RESET, skip=1, times=2))
    struck = [faults.pick(target())[1] is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert faults.hits(rule) == 2


@pytest.mark.parametrize(
    "changes", [{"account": "south"}, {"operation": "X"}, {"voucher": "V2"}, {"account": None}]
)
def test_a_rule_passes_over_calls_that_are_not_its_own(changes: dict[str, Any]) -> None:
    faults = Faults()
    own = Fault(
        kind=FaultKind.RESET, account="north", operation="InsertReservation", voucher="V1", times=1
    )
    faults.add(own)
    assert faults.pick(target(**changes)) == (0.0, None)
    assert faults.pick(target()) == (0.0, own)


def test_latencies_add_up_and_the_first_other_rule_decides() -> None:
    faults = Faults()
    reset, close = Fault(kind=FaultKind.RESET, times=1), Fault(kind=FaultKind.CLOSE)
    for fault in (
        Fault(kind=FaultKind.LATENCY, seconds=1.0),
        Fault(kind=FaultKind.LATENCY, seconds=0.5),
        reset,
        close,
    ):
        faults.add(fault)
    assert faults.pick(target()) == (1.5, reset)
    assert faults.pick(target()) == (1.5, close)


def test_the_same_seed_gives_the_same_faults_and_about_as_many_as_asked_for() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults()
        faults.replace([Fault(kind=FaultKind.RESET, probability=0.3)], seed=seed)
        return [faults.pick(target())[1] is not None for _ in range(1000)]

    assert struck(7) == struck(7)
    assert struck(7) != struck(8)
    assert 200 < sum(struck(7)) < 400


def test_a_rule_can_be_taken_away() -> None:
    faults = Faults()
    rule = faults.add(Fault(kind=FaultKind.RESET))
    faults.remove(rule)
    assert faults.pick(target()) == (0.0, None)
    with pytest.raises(KeyError):
        faults.hits(rule)
