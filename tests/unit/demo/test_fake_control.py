"""The control path of the fake Sedna, over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from consumer.demo.fake import FakeSedna
from consumer.demo.fake.calls import BASE_PATH, Request, read_call

Builder = Callable[..., dict[str, Any]]
INSERT = "/api/Integratiion/InsertReservation"
BOARDS = "/api/Service2/GetBoardList"


async def insert(client: httpx2.AsyncClient, room: dict[str, Any]) -> httpx2.Response:
    params = {**dict(client.params), "voucherNo": room["Voucher"]}
    return await client.post(
        INSERT, params=params, json=[room], headers={"traceparent": "00-a-b-01"}
    )


async def control(fake: FakeSedna, method: str, path: str, body: Any = None) -> Any:
    async with httpx2.AsyncClient(verify=False) as client:
        content = None if body is None else json.dumps(body)
        return (await client.request(method, fake.control_url + path, content=content)).json()


async def test_the_state_tells_every_record_whole_with_its_time_and_order(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    body = room(HotelRemark="Deniz manzarasi çok güzel")
    await insert(north, body)
    await insert(north, room(Voucher="V2"))
    state = await control(fake, "GET", "/state?account=north")
    first, second = state["reservations"]
    assert first["body"] == body
    assert (first["voucher"], first["source_id"]) == ("V1", "sedna-sync-42")
    assert (first["order"], second["order"]) == (1, 2)
    assert first["monotonic_ns"] < second["monotonic_ns"]
    assert first["wall"].endswith("+00:00")
    assert state["calls"] == {"AgencyLogin": 1, "InsertReservation": 2}
    assert (state["logins"], state["in_flight"], state["most_in_flight"]) == (1, 0, 1)


async def test_the_state_of_all_accounts_is_a_list(fake: FakeSedna) -> None:
    state = await control(fake, "GET", "/state")
    assert [account["account"] for account in state["accounts"]] == ["north", "south"]


async def test_the_journal_tells_operation_account_voucher_and_outcome_but_no_secret(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    await insert(north, room(HotelId=7))
    everything = await control(fake, "GET", "/requests")
    login, good, bad = everything["requests"]
    assert login["operation"] == "AgencyLogin"
    assert (good["account"], good["voucher"], good["hotel_id"]) == ("north", "V1", 18)
    assert (good["outcome"], good["status"], good["traceparent"]) == ("ok", 200, "00-a-b-01")
    assert good["rec_ids"] == [fake.account("north").reservations.records[0].rec_id]
    assert (bad["outcome"], bad["rec_ids"]) == ("refused", [])
    text = json.dumps([everything, await control(fake, "GET", "/state")], ensure_ascii=False)
    cookie = north.cookies["ASP.NET_SessionId"]
    for secret in (fake.account("north").config.password, "söuth", cookie):
        assert secret not in text
    assert fake.account("north").config.password not in repr(fake.account("north").config)


def test_no_request_shows_its_secrets_when_it_is_printed() -> None:
    request = Request(
        method="GET",
        path=f"{BASE_PATH}/api/Shop/GetHotels",
        query_string="username=north&password=hidden",
        headers={"cookie": "ASP.NET_SessionId=hidden"},
        body=b"hidden",
    )
    call = read_call(request)
    assert call is not None
    assert (call.query["password"], call.session_id) == ("hidden", "hidden")
    assert "hidden" not in repr(request) + repr(call)


async def test_the_journal_can_be_asked_for_a_part(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient
) -> None:
    for client in (north, south, north):
        await client.get(BOARDS)
    query = "?account=north&operation=GetBoardList"
    found = (await control(fake, "GET", f"/requests{query}"))["requests"]
    assert len(found) == 2
    last = (await control(fake, "GET", f"/requests{query}&after={found[0]['request']}"))["requests"]
    assert last == found[1:]
    assert (await control(fake, "GET", f"/requests{query}&limit=1"))["requests"] == found[:1]


async def test_the_journal_is_bounded_and_its_counts_are_not(fake: FakeSedna) -> None:
    async with (
        FakeSedna(accounts=[fake.account("north").config], journal_size=3) as small,
        httpx2.AsyncClient(base_url=small.base_url, verify=False) as client,
    ):
        for _ in range(5):
            await client.get(BOARDS)
        assert len((await control(small, "GET", "/requests"))["requests"]) == 3
        assert small.calls("GetBoardList") == 5


async def test_faults_are_put_with_a_seed_and_told_with_their_hits(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    rules = [{"kind": "status", "status": 500, "operation": "GetBoardList", "times": 1}]
    await control(fake, "PUT", "/faults", {"seed": 3, "rules": rules})
    assert [(await north.get(BOARDS)).status_code for _ in range(2)] == [500, 200]
    (rule,) = (await control(fake, "GET", "/faults"))["rules"]
    assert (rule["kind"], rule["hits"]) == ("status", 1)
    assert await control(fake, "PUT", "/faults", []) == {"rules": []}


@pytest.mark.parametrize(
    "method, path, body, word",
    [
        ("PUT", "/faults", [{"kind": "explode"}], "kind"),
        ("PUT", "/faults", [{"kind": "reset", "operatoin": "x"}], "operatoin"),
        ("PUT", "/faults", {"seed": "x", "rules": []}, "seed"),
        ("PUT", "/faults", None, "list"),
        ("PUT", "/accounts", [{"name": "x", "password": {"hidden": 1}}], "username"),
        ("GET", "/state?account=west", None, "north"),
        ("POST", "/expire-sessions?account=west", None, "west"),
        ("GET", "/requests?after=x", None, "wrong"),
        ("GET", "/nothing", None, "/_fake/state"),
    ],
)
async def test_what_is_wrong_with_a_control_request_is_said(
    fake: FakeSedna, method: str, path: str, body: Any, word: str
) -> None:
    answer = await control(fake, method, path, body)
    assert word in json.dumps(answer)
    assert "hidden" not in json.dumps(answer)


async def test_a_reset_forgets_records_sessions_calls_and_faults(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    await control(fake, "PUT", "/faults", [{"kind": "status", "status": 500}])
    await control(fake, "POST", "/reset")
    assert fake.holdings("north").vouchers == {}
    assert fake.calls("InsertReservation") == 0
    assert (await north.get(BOARDS)).status_code == 401


async def test_sessions_can_be_expired(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient
) -> None:
    await control(fake, "POST", "/expire-sessions?account=north")
    assert (await north.get(BOARDS)).status_code == 401
    assert (await south.get(BOARDS)).status_code == 200


async def test_accounts_can_be_added_and_changed_and_keep_their_records(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    account = {"operator_id": 571, "operator_code": "7STAR"}
    new = [
        {"name": "north", "username": "north", "password": "new", **account},
        {"name": "west", "username": "west", "password": "w", **account},
    ]
    assert await control(fake, "PUT", "/accounts", new) == {"accounts": ["north", "south", "west"]}
    assert (await insert(north, room())).json()["ErrorType"] != 0
    assert fake.holdings("north").vouchers == {"V1": 1}


async def test_hung_calls_are_released(fake: FakeSedna) -> None:
    assert await control(fake, "POST", "/release") == {"released": 0}
