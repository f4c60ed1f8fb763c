"""What the client sends, and what it makes of every kind of answer."""

import html
import json
import traceback
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna import errors
from consumer.sedna.errors import (
    LoginRefused,
    NotSent,
    OutcomeUnknown,
    RefusedBySedna,
    SednaError,
    SessionRefused,
    Throttled,
    Unavailable,
)
from consumer.sedna.exchange import Exchange, Timeouts
from consumer.sedna.operations import Operation, Says, classify
from consumer.sedna.secrets import Concealer, Credentials
from consumer.tracing import Attempt
from schemas.trace import TraceContext
from tests.support.gate import NoGate
from tests.unit.sedna.scripted import (
    BASE,
    COOKIE,
    PASSWORD,
    RESERVATION,
    STOP_SALE,
    Account,
    Answer,
    ScriptedSedna,
    accepted_login,
    account,
    failure,
    refusal,
    reply,
    success,
)

DAY = date(2026, 4, 30)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def insert(tenant: Account, **more: Any) -> int:
    return await tenant.client.insert_reservation(
        reservation=RESERVATION,
        hotel_id=18,
        room_type_id=63,
        board_id=1,
        nationality_ids={},
        declared_on=DAY,
        **more,
    )


async def open_stop_sale(tenant: Account, **more: Any) -> int:
    return await tenant.client.open_stop_sale(
        stop_sale=STOP_SALE,
        hotel_id=18,
        room_types=[(63, "STD")],
        boards=[],
        declared_on=DAY,
        **more,
    )


async def complete(tenant: Account, **more: Any) -> None:
    await tenant.client.complete_stop_sale(
        900,
        stop_sale=STOP_SALE,
        hotel_id=18,
        room_types=[(63, "STD")],
        boards=[],
        declared_on=DAY,
        **more,
    )


async def look_up(tenant: Account) -> object:
    return await tenant.client.find_reservations(voucher="V", source_id="sedna-sync-42")


def exchange(address: str, transport: ScriptedSedna | None = None) -> Exchange:
    return Exchange(
        base_url=address,
        credentials=Credentials("agency", PASSWORD),
        transport=transport or ScriptedSedna(),
        timeouts=Timeouts(connect=5, request=30),
        clock=lambda: 0.0,
        observe=lambda _: None,
        gate=NoGate(),
    )


Act = Callable[[Account], Awaitable[object]]
CREATES = [(insert, "InsertReservation"), (open_stop_sale, "UpdateStopSale")]
REPEATABLE = [(complete, "UpdateStopSale"), (look_up, "GetReservations")]


async def test_an_insert_carries_credentials_voucher_body_and_cookie() -> None:
    tenant = account(InsertReservation=[success()])
    assert await insert(tenant) == 823259
    (sent,) = tenant.sedna.calls("InsertReservation")
    assert sent.method == "POST"
    assert sent.target.startswith(f"{BASE}/api/Integratiion/InsertReservation?username=agency&")
    assert "+" not in sent.target
    assert sent.query == {"username": "agency", "password": PASSWORD, "voucherNo": "JNP 1/2"}
    (element,) = sent.json
    assert (element["OperatorId"], element["SourceId"]) == (571, "sedna-sync-42")
    assert element["SaleDate"] == "2026-04-30"
    assert sent.headers["cookie"] == f"SID={COOKIE}"
    assert sent.headers["content-type"] == "application/json; charset=utf-8"
    assert sent.headers["accept-encoding"] == "identity"


async def test_every_call_is_bounded_in_each_phase_and_as_a_whole() -> None:
    tenant = account(InsertReservation=[success()])
    await insert(tenant)
    for sent in tenant.sedna.requests:
        assert sent.extensions["timeout"] == {"connect": 5, "read": 30, "write": 30, "pool": 30}
        assert sent.extensions["deadline"] == 30


async def test_every_call_carries_the_trace_of_the_task_that_makes_it() -> None:
    tenant = account(InsertReservation=[success(), success()])
    with Attempt(TraceContext(TRACEPARENT, "upstream=1")):
        await insert(tenant)
    for sent in tenant.sedna.requests:  # the login too
        assert sent.headers["traceparent"] == TRACEPARENT
        assert sent.headers["tracestate"] == "upstream=1"
    await insert(tenant)
    assert "traceparent" not in tenant.sedna.calls("InsertReservation")[-1].headers


async def test_the_two_steps_of_a_stop_sale_are_two_puts() -> None:
    tenant = account(UpdateStopSale=[success(900), success(900)])
    assert await open_stop_sale(tenant) == 900
    await complete(tenant)
    one, two = tenant.sedna.calls("UpdateStopSale")
    assert (one.method, one.target) == ("PUT", f"{BASE}/api/Contract/UpdateStopSale")
    assert (one.json["RecId"], one.json["StopSaleRooms"]) == (0, [])
    assert (two.json["RecId"], len(two.json["StopSaleRooms"])) == (900, 1)
    assert two.json["RecordUser"] == one.json["RecordUser"] == "sedna-sync:7"
    assert two.json["OperatorRemark"] == "7STAR,"


async def test_step_two_needs_no_record_in_its_reply() -> None:
    await complete(account(UpdateStopSale=[reply({"ErrorType": 0})]))


@pytest.mark.parametrize("act, call", [*CREATES, (complete, "UpdateStopSale")])
async def test_a_refusal_carries_sednas_own_message(act: Act, call: str) -> None:
    tenant = account(**{call: [refusal("Voucher exists", 17)]})
    with pytest.raises(RefusedBySedna) as caught:
        await act(tenant)
    assert str(caught.value) == "Voucher exists"
    assert (caught.value.error_type, caught.value.status) == (17, 200)
    assert len(tenant.sedna.calls(call)) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 411, 413, 414, 415, 422, 431])
@pytest.mark.parametrize("act, call", [*CREATES, (complete, "UpdateStopSale")])
async def test_a_write_that_the_http_layer_turned_away_is_refused(
    act: Act, call: str, status: int
) -> None:
    with pytest.raises(RefusedBySedna, match=f"HTTP {status}") as caught:
        await act(account(**{call: [reply(b"<p>why</p>", status)]}))
    assert (caught.value.error_type, caught.value.status) == (None, status)


PERHAPS_DONE: list[Answer] = [
    failure(httpx2.ReadTimeout("late"), sent=True),
    failure(httpx2.ReadError("reset"), sent=True),
    failure(httpx2.ConnectTimeout("after the request"), sent=True),
    failure(httpx2.RemoteProtocolError("half a reply"), sent=True),
    failure(httpx2.WriteError("reset"), sent=True),
    *(reply(b"<p>", status) for status in (300, 302, 307, 402, 403, 406, 408, 409)),
    *(reply(b"<p>", status) for status in (500, 502, 503, 504, 599)),
    reply(b""),
    reply(b"", 204),
    reply(b"<html>"),
    reply(b'{"ErrorType": 0, "RecId": 8'),
    reply({"ErrorType": 0, "RecId": 0}),
    reply({"ErrorType": 0, "Message": None}),
    reply([]),
]


@pytest.mark.parametrize("answer", PERHAPS_DONE, ids=repr)
@pytest.mark.parametrize("act, call", CREATES)
async def test_a_create_without_a_clear_reply_has_an_unknown_outcome_and_is_not_sent_again(
    act: Act, call: str, answer: Answer
) -> None:
    tenant = account(**{call: [answer]})
    with pytest.raises(OutcomeUnknown):
        await act(tenant)
    assert len(tenant.sedna.calls(call)) == 1


NO_ANSWER = [
    answer
    for answer in PERHAPS_DONE
    if isinstance(answer, Exception)
    or (isinstance(answer, httpx2.Response) and not answer.content.startswith((b"{", b"[")))
]


@pytest.mark.parametrize("answer", NO_ANSWER, ids=repr)
@pytest.mark.parametrize("act, call", REPEATABLE)
async def test_what_can_be_repeated_is_never_in_doubt(act: Act, call: str, answer: Answer) -> None:
    with pytest.raises(Unavailable):
        await act(account(**{call: [answer]}))


@pytest.mark.parametrize("act, call", [*CREATES, *REPEATABLE])
async def test_what_was_surely_not_sent_says_so(act: Act, call: str) -> None:
    tenant = account(**{call: [failure(httpx2.ReadTimeout("waited for a slot"), sent=False)]})
    with pytest.raises(NotSent, match="waited for a slot"):
        await act(tenant)


@pytest.mark.parametrize("act, call", [*CREATES, *REPEATABLE])
async def test_a_429_says_how_long_to_wait(act: Act, call: str) -> None:
    with pytest.raises(Throttled) as caught:
        await act(account(**{call: [reply(b"", 429, retry_after="7")]}))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"retry_after": "0"}, 0),
        ({"retry_after": "999999999"}, 86_400),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "1e9"}, None),
        ({}, None),
        (
            {
                "retry_after": "Fri, 01 May 2026 10:00:30 GMT",
                "date": "Fri, 01 May 2026 10:00:00 GMT",
            },
            30,
        ),
        (
            {
                "retry_after": "Fri, 01 May 2026 09:00:00 GMT",
                "date": "Fri, 01 May 2026 10:00:00 GMT",
            },
            0,
        ),
        ({"retry_after": "Fri, 01 May 2026 10:00:30 GMT"}, None),
        ({"retry_after": "Fri, 01 May 2026 10:00:30", "date": "x"}, None),
    ],
)
async def test_a_wait_is_seconds_or_a_date_and_at_most_a_day(
    headers: dict[str, str], seconds: float | None
) -> None:
    with pytest.raises(Throttled) as caught:
        await look_up(account(GetReservations=[reply(b"", 429, **headers)]))
    assert caught.value.retry_after == seconds


async def test_a_create_that_met_an_expired_session_is_sent_once_more_after_a_login() -> None:
    tenant = account(
        AgencyLogin=[accepted_login(), accepted_login("fresh-one")],
        InsertReservation=[reply(b"", 401), success()],
    )
    assert await insert(tenant) == 823259
    first, second = tenant.sedna.calls("InsertReservation")
    assert (first.headers["cookie"], second.headers["cookie"]) == (f"SID={COOKIE}", "SID=fresh-one")


async def test_a_create_that_meets_401_twice_is_not_sent_a_third_time() -> None:
    tenant = account(InsertReservation=[reply(b"", 401)])
    with pytest.raises(SessionRefused):
        await insert(tenant)
    assert len(tenant.sedna.calls("InsertReservation")) == 2


async def test_a_create_that_is_in_doubt_after_a_401_is_not_sent_a_third_time() -> None:
    tenant = account(InsertReservation=[reply(b"", 401), reply(b"", 500)])
    with pytest.raises(OutcomeUnknown):
        await insert(tenant)
    assert len(tenant.sedna.calls("InsertReservation")) == 2


async def test_before_each_write_of_a_create_its_owner_is_asked() -> None:
    asked: list[None] = []
    tenant = account(InsertReservation=[reply(b"", 401), success()])
    await insert(tenant, before_write=lambda: asked.append(None))
    assert len(asked) == 2
    assert "before_write" not in tenant.sedna.calls("AgencyLogin")[0].extensions


@pytest.mark.parametrize("act, call", [*CREATES, (complete, "UpdateStopSale")])
async def test_an_owners_veto_comes_out_unchanged(act: Any, call: str) -> None:
    class LeaseTooShort(Exception):
        pass

    def veto() -> None:
        raise LeaseTooShort

    with pytest.raises(LeaseTooShort):
        await act(account(**{call: [success()]}), before_write=veto)


async def test_an_insert_refused_under_an_old_login_is_held_against_the_password_first() -> None:
    tenant = account(
        AgencyLogin=[accepted_login(), refusal("Wrong password")],
        InsertReservation=[refusal("Username or password is wrong")],
    )
    await tenant.client.login()
    tenant.clock.seconds += 3_600
    with pytest.raises(LoginRefused, match="Wrong password"):
        await insert(tenant)


async def test_an_insert_refused_under_a_good_password_costs_one_login_a_minute() -> None:
    tenant = account(InsertReservation=[refusal("Allotment is closed")])
    await tenant.client.login()
    tenant.clock.seconds += 3_600
    for _ in range(5):
        with pytest.raises(RefusedBySedna, match="Allotment is closed"):
            await insert(tenant)
    assert len(tenant.sedna.calls("AgencyLogin")) == 2


async def test_reservations_are_looked_up_by_voucher_first() -> None:
    tenant = account(GetReservations=[reply([{"RecId": 5, "Voucher": "V"}])])
    found = await tenant.client.find_reservations(voucher="V", source_id="S")
    assert [record.rec_id for record in found.items] == [5]
    assert [sent.json for sent in tenant.sedna.calls("GetReservations")] == [{"VoucherNo": "V"}]


async def test_a_voucher_that_is_not_found_is_looked_up_by_source_too() -> None:
    listed = [{"RecId": 5, "SourceId": "S"}]
    tenant = account(GetReservations=[reply([]), reply({"Data": listed})])
    found = await tenant.client.find_reservations(voucher="V", source_id="S")
    assert [record.rec_id for record in found.items] == [5]
    assert tenant.sedna.calls("GetReservations")[1].json == {"SourceId": "S"}


async def test_what_a_look_up_could_not_read_is_told() -> None:
    tenant = account(GetReservations=[reply([{"Voucher": "V"}])])
    found = await tenant.client.find_reservations(voucher="V", source_id="S")
    assert (found.items, found.skipped) == ((), 1)


@pytest.mark.parametrize("answer", [refusal(), reply({"Data": None}), reply(b""), reply(b"null")])
async def test_a_look_up_without_a_list_is_no_proof_of_absence(answer: Answer) -> None:
    with pytest.raises(Unavailable):
        await look_up(account(GetReservations=[answer]))


async def test_stop_sales_are_looked_up_by_hotel_and_days() -> None:
    tenant = account(GetStopSaleList=[reply([{"RecId": 5, "RecordUser": "sedna-sync:7"}])])
    found = await tenant.client.find_stop_sales(
        hotel_id=18, begin=date(2026, 5, 1), end=date(2026, 5, 31)
    )
    assert [record.rec_id for record in found.items] == [5]
    (sent,) = tenant.sedna.calls("GetStopSaleList")
    assert (sent.method, sent.body) == ("POST", b"")
    assert sent.headers["content-length"] == "0"
    assert sent.query == {
        "recordDateBegin": "",
        "recordDateEnd": "",
        "stopDateBegin": "2026-05-01",
        "stopDateEnd": "2026-05-31",
        "hotelId": "18",
    }


HOTELS = reply([{"RecId": 18, "Name": "Mandarin"}])


@pytest.mark.parametrize("answer", [reply(b"", 404), refusal(), reply(b"<html>"), reply([])])
async def test_an_account_without_get_hotels_is_asked_for_its_hotel_list(answer: Answer) -> None:
    tenant = account(GetHotels=[answer], GetHotelList=[HOTELS])
    assert [hotel.id for hotel in await tenant.client.hotels()] == [18]
    (sent,) = tenant.sedna.calls("GetHotelList")
    assert sent.query == {"operatorId": "571", "isActive": "true"}


async def test_a_sedna_that_is_down_is_not_asked_in_another_way() -> None:
    tenant = account(GetHotels=[reply(b"", 503)], GetHotelList=[HOTELS])
    with pytest.raises(Unavailable, match="HTTP 503"):
        await tenant.client.hotels()
    assert tenant.sedna.calls("GetHotelList") == []


async def test_an_account_that_lists_no_hotel_at_all_is_a_failure_and_not_an_empty_catalogue() -> (
    None
):
    tenant = account(GetHotels=[reply([])], GetHotelList=[reply({"Data": []})])
    with pytest.raises(Unavailable, match=r"get_hotels: .*get_hotel_list: "):
        await tenant.client.hotels()


async def test_rooms_are_asked_for_by_hotel_and_else_for_all() -> None:
    rooms = reply([{"RoomTypeId": 63, "Code": "STD"}])
    tenant = account(GetHotelRoomTypelistAll=[rooms])
    assert [room.id for room in await tenant.client.room_types(18)] == [63]
    assert tenant.sedna.calls("GetHotelRoomTypelistAll")[0].json == [18]
    tenant = account(GetHotelRoomTypelistAll=[reply(b"", 404)], GetRoomTypeList=[rooms])
    assert [room.id for room in await tenant.client.room_types(18)] == [63]
    assert tenant.sedna.calls("GetRoomTypeList")[0].query == {"operatorId": "571"}


async def test_a_hotel_without_rooms_is_not_given_those_of_other_hotels() -> None:
    tenant = account(GetHotelRoomTypelistAll=[reply([])])
    assert await tenant.client.room_types(18) == ()


@pytest.mark.parametrize(
    "address", ["", "sedna", "ftp://h/x", "http://", "http://h:x", "http:///p"]
)
def test_an_address_that_is_no_url_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"must be a URL such as https://HOST") as caught:
        exchange(address)
    assert not address or address not in str(caught.value)


async def test_an_address_may_have_a_slash_too_many_and_loses_what_is_no_address() -> None:
    sedna = ScriptedSedna({"GetBoardList": [reply([])]})
    way = exchange("https://user:secret@sedna.example:8443/api2/?a=b#c", sedna)
    await way.call(Operation.BOARDS, read=lambda answer: answer)
    (sent,) = sedna.requests
    assert sent.target == "/api2/api/Service2/GetBoardList"
    assert sent.headers["host"] == "sedna.example:8443"
    assert "authorization" not in sent.headers


async def test_every_call_is_observed_with_what_it_came_to() -> None:
    tenant = account(InsertReservation=[reply(b"", 500), success()], UpdateStopSale=[refusal()])
    for act in (insert, insert, open_stop_sale):
        try:
            await act(tenant)
        except SednaError:
            continue
    assert [(details.operation, details.result) for details in tenant.observed] == [
        ("login", "ok"),
        ("insert_reservation", "unknown"),
        ("insert_reservation", "ok"),
        ("open_stop_sale", "refused"),
    ]


def spellings(secret: str) -> list[str]:
    return [
        secret,
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
    ]


LEAKS = [
    f"<p>404: {BASE}/api/x?username=agency&amp;password={spelling} and SID={COOKIE}</p>"
    for spelling in spellings(PASSWORD)
]


@pytest.mark.parametrize("page", LEAKS)
@pytest.mark.parametrize("padding", [0, 150, 195])
@pytest.mark.parametrize("act, call", [*CREATES, *REPEATABLE])
async def test_no_error_shows_a_secret_that_sedna_repeats(
    act: Act, call: str, page: str, padding: int
) -> None:
    body = (" x" * (padding // 2) + page).encode()
    answers: list[Answer] = [
        reply(body),
        reply(body, 404),
        reply(body, 500),
        reply({"ErrorType": 3, "Message": body.decode()}),
        reply(body, 401),
        failure(httpx2.ReadError(body.decode()), sent=True),
        failure(httpx2.ConnectError(body.decode()), sent=False),
    ]
    for answer in answers:
        with pytest.raises(SednaError) as caught:
            await act(account(**{call: [answer]}))
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert len(str(caught.value)) < 750
        for secret in (*spellings(PASSWORD), COOKIE, PASSWORD[:6], COOKIE[:6]):
            assert secret not in shown


@pytest.mark.parametrize("page", LEAKS)
async def test_no_refused_login_shows_the_password(page: str) -> None:
    for answer in (reply({"ErrorType": 3, "Message": page}), reply(page.encode(), 401)):
        tenant = account(AgencyLogin=[answer])
        for _ in range(2):
            with pytest.raises(LoginRefused) as caught:
                await tenant.client.login()
            shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
            assert not any(spelling in shown for spelling in spellings(PASSWORD))


@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_secret_never_survives_concealing(secret: str, before: str, after: str) -> None:
    conceal = Concealer(secret)
    for spelling in spellings(secret):
        if "*" not in spelling:
            assert spelling not in conceal(before + spelling + after)


def test_credentials_do_not_show_their_password() -> None:
    assert PASSWORD not in repr(Credentials("agency", PASSWORD))


def test_concealing_nothing_changes_nothing() -> None:
    assert Concealer("")("text") == "text"


@given(st.sampled_from(Operation), st.integers(0, 999))
def test_every_status_has_a_meaning_and_only_a_create_is_ever_in_doubt(
    operation: Operation, status: int
) -> None:
    says = classify(operation, status)
    if operation.value.creates:
        assert says not in {Says.UNAVAILABLE, Says.NO_SUCH_CALL}
        if status >= 500 or status == 408 or 300 <= status < 400:
            assert says is Says.UNKNOWN
    else:
        assert says is not Says.UNKNOWN
    assert operation.writes or says is not Says.REFUSED


def test_all_errors_are_of_one_family() -> None:
    named = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(named) == 9
    assert all(issubclass(error, SednaError) for error in named)
