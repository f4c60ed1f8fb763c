"""The client against the fake Sedna over real connections: what each fault leaves, and is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from time import monotonic
from typing import Any

import pytest

from consumer.demo.fake import (
    Account,
    Board,
    CodeKeys,
    FakeSedna,
    Fault,
    FaultKind,
    Framing,
    Hotel,
    LoginRefusal,
    ReplyShape,
    Room,
    When,
)
from consumer.sedna.assumptions import record_user, source_id
from consumer.sedna.catalogue import Catalogue
from consumer.sedna.client import SednaClient
from consumer.sedna.codes import CodeFound
from consumer.sedna.errors import (
    LoginRefused,
    NotSent,
    OutcomeUnknown,
    RefusedBySedna,
    SessionRefused,
    Throttled,
    Unavailable,
)
from consumer.sedna.exchange import Exchange, Timeouts
from consumer.sedna.matching import Found
from consumer.sedna.recognise import reservation_matches, stop_sale_matches
from consumer.sedna.secrets import Credentials
from consumer.sedna.session import Session
from consumer.sedna.transport import SednaTransport, build_ssl_context
from consumer.sedna.wire_stop_sale import remark, stop_type
from consumer.tracing import Attempt
from schemas.inbound import Guest, ReservationCreated, StopSaleCreated
from schemas.trace import TraceContext
from tests.support.gate import NoGate

DAY = date(2026, 4, 30)
ROOMS = [(63, "STDSV"), (1364, "STDLV")]
AGENCY = Account(
    name="agency",
    username="agency user",
    password="p@ss/w&rd +1",
    operator_id=571,
    operator_code="7STAR",
    hotels=(
        Hotel(
            id=18,
            name="Mandarin Resort & Spa",
            rooms=(Room(id=63, code="STDSV"), Room(id=1364, code="STDLV")),
        ),
        Hotel(id=28, name="Işık Park Otel", rooms=(Room(id=64, code="STDSV"),)),
    ),
    boards=(Board(id=1, code="AI", name="All Inclusive"), Board(id=37, code="UAI")),
)


def reservation(voucher_no: str = "JNP 1/2", **changes: Any) -> ReservationCreated:
    fields: dict[str, Any] = {
        "email_id": 42,
        "voucher_no": voucher_no,
        "hotel_name": "Mandarin",
        "check_in": date(2026, 5, 1),
        "check_out": date(2026, 5, 8),
        "room_type": "STDSV",
        "board_type": "AI",
        "adults": 2,
        "children": 0,
        "infants": 0,
        "guests": (Guest(first_name="Ayşe", last_name="Öz", nationality="Türkiye"),),
    }
    return ReservationCreated(**{**fields, **changes})


STOP_SALE = StopSaleCreated(
    stop_sale_id=7,
    hotel_name="Mandarin",
    date_from=date(2026, 5, 1),
    date_to=date(2026, 5, 31),
    is_close=True,
)


@dataclass
class Tenant:
    """A fake Sedna and one tenant's way to it."""

    fake: FakeSedna
    client: SednaClient
    catalogue: Catalogue

    async def insert(self, event: ReservationCreated, **changes: Any) -> int:
        arguments: dict[str, Any] = {
            "hotel_id": 18,
            "room_type_id": 63,
            "board_id": 1,
            "nationality_ids": {},
            "declared_on": DAY,
        }
        return await self.client.insert_reservation(reservation=event, **{**arguments, **changes})

    async def is_there(self, event: ReservationCreated) -> bool:
        found = await self.client.find_reservations(
            voucher=event.voucher_no, source_id=source_id(event.email_id)
        )
        assert found.skipped == 0
        return any(
            reservation_matches(
                record,
                voucher=event.voucher_no,
                source_id=source_id(event.email_id),
                hotel_id=18,
                check_in=event.check_in,
                check_out=event.check_out,
            )
            for record in found.items
        )

    async def open(self) -> int:
        return await self.client.open_stop_sale(
            stop_sale=STOP_SALE, hotel_id=18, room_types=ROOMS, boards=[], declared_on=DAY
        )

    async def complete(self, rec_id: int) -> None:
        await self.client.complete_stop_sale(
            rec_id,
            stop_sale=STOP_SALE,
            hotel_id=18,
            room_types=ROOMS,
            boards=[],
            declared_on=DAY,
        )

    async def stop_sale_ids(self) -> list[int]:
        found = await self.client.find_stop_sales(
            hotel_id=18, begin=STOP_SALE.date_from, end=STOP_SALE.date_to
        )
        return [
            record.rec_id
            for record in found.items
            if stop_sale_matches(
                record,
                hotel_id=18,
                begin=STOP_SALE.date_from,
                end=STOP_SALE.date_to,
                stop_type=stop_type(STOP_SALE),
                room_remark=remark(ROOMS),
                board_remark="",
                record_user=record_user(7),
            )
        ]


@pytest.fixture
async def fake() -> AsyncIterator[FakeSedna]:
    async with FakeSedna(accounts=[AGENCY]) as running:
        yield running


@pytest.fixture
async def tenant(fake: FakeSedna) -> AsyncIterator[Tenant]:
    transport = SednaTransport(
        max_connections=16, ssl_context=build_ssl_context(), allow_private_addresses=True
    )
    credentials = Credentials(AGENCY.username, AGENCY.password)
    exchange = Exchange(
        base_url=fake.base_url,
        credentials=credentials,
        transport=transport,
        timeouts=Timeouts(connect=5, request=30),
        clock=monotonic,
        observe=lambda _: None,
        gate=NoGate(),
    )
    session = Session(
        exchange=exchange,
        credentials=credentials,
        operator_id=None,
        clock=monotonic,
    )
    client = SednaClient(
        session=session, credentials=credentials, operator_code="7STAR", authority_id=207
    )
    yield Tenant(fake, client, Catalogue(client=client, clock=monotonic, ttl=86_400))
    await transport.aclose()


SHAPES = [
    ReplyShape(),
    ReplyShape(
        lists_under_data=True,
        specific_ids=True,
        hotel_name_key="HotelName",
        code_keys=CodeKeys.SPECIFIC,
        dates_with_time=True,
        envelope_per_element=True,
        framing=Framing.CHUNKED,
    ),
    ReplyShape(code_keys=CodeKeys.SHORT_NAME, framing=Framing.CLOSE),
]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_reservation_goes_all_the_way_whatever_the_shape_of_the_replies(
    tenant: Tenant, shape: ReplyShape
) -> None:
    tenant.fake.configure("agency", shape=shape)
    event = reservation()
    hotel = await tenant.catalogue.resolve_hotel(
        event_hotel_id=None, name="MANDARİN RESORT and SPA 5*", mappings={}
    )
    assert isinstance(hotel, Found)
    room = await tenant.catalogue.resolve_room(hotel.hotel.id, "std-sv")
    board = await tenant.catalogue.resolve_board("ai")
    assert isinstance(room, CodeFound)
    assert isinstance(board, CodeFound)
    assert (hotel.hotel.id, room.code.id, board.code.id) == (18, 63, 1)
    assert not await tenant.is_there(event)
    countries = await tenant.catalogue.countries()
    rec_id = await tenant.insert(event, nationality_ids=countries)
    assert await tenant.is_there(event)
    (record,) = tenant.fake.account("agency").reservations.records
    assert (record.rec_id, record.voucher) == (rec_id, "JNP 1/2")
    assert record.body["Customers"][0]["NationalityId"] == 1
    assert tenant.fake.account("agency").logins == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_stop_sale_goes_all_the_way_whatever_the_shape_of_the_replies(
    tenant: Tenant, shape: ReplyShape
) -> None:
    tenant.fake.configure("agency", shape=shape)
    rec_id = await tenant.open()
    assert await tenant.stop_sale_ids() == [rec_id]
    await tenant.complete(rec_id)
    await tenant.complete(rec_id)
    assert await tenant.stop_sale_ids() == [rec_id]
    record = tenant.fake.account("agency").stop_sales.records[rec_id]
    assert record.complete
    assert record.visible
    assert record.children["StopSaleRooms"] == [63, 1364]


LOST_REPLIES = [
    Fault(kind=FaultKind.RESET, when=When.AFTER_COMMIT),
    Fault(kind=FaultKind.CLOSE, when=When.AFTER_COMMIT),
    Fault(kind=FaultKind.HALF_HEADER),
    Fault(kind=FaultKind.HALF_BODY),
    Fault(kind=FaultKind.RUBBISH_2XX),
    Fault(kind=FaultKind.STATUS, status=500, when=When.AFTER_COMMIT),
    Fault(kind=FaultKind.STATUS, status=408, when=When.AFTER_COMMIT),
    Fault(kind=FaultKind.HUGE_BODY),
    Fault(kind=FaultKind.REDIRECT, when=When.AFTER_COMMIT),
]


@pytest.mark.parametrize("fault", LOST_REPLIES, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_a_create_whose_reply_is_lost_is_unknown_and_found_by_looking(
    tenant: Tenant, fault: Fault
) -> None:
    await tenant.client.login()
    tenant.fake.faults.add(fault)
    event = reservation()
    with pytest.raises(OutcomeUnknown):
        await tenant.insert(event)
    with pytest.raises(OutcomeUnknown):
        await tenant.open()
    tenant.fake.faults.clear()
    assert await tenant.is_there(event)
    assert len(await tenant.stop_sale_ids()) == 1
    assert tenant.fake.holdings("agency").vouchers == {event.voucher_no: 1}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.RESET),
        Fault(kind=FaultKind.CLOSE),
        Fault(kind=FaultKind.STATUS, status=503),
        Fault(kind=FaultKind.REDIRECT),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_create_that_was_not_carried_out_is_unknown_all_the_same_and_not_found(
    tenant: Tenant, fault: Fault
) -> None:
    await tenant.client.login()
    tenant.fake.faults.add(fault)
    with pytest.raises(OutcomeUnknown):
        await tenant.insert(reservation())
    tenant.fake.faults.clear()
    assert not await tenant.is_there(reservation())


async def test_a_create_to_a_sedna_that_is_gone_was_not_sent(tenant: Tenant) -> None:
    await tenant.client.login()
    await tenant.fake.down()
    with pytest.raises(NotSent):
        await tenant.insert(reservation())
    await tenant.fake.up()
    assert await tenant.insert(reservation()) > 0
    assert tenant.fake.calls("InsertReservation") == 1


async def test_a_create_that_meets_an_expired_session_is_done_once(tenant: Tenant) -> None:
    await tenant.open()
    tenant.fake.expire_sessions()
    await tenant.open()
    assert tenant.fake.account("agency").logins == 2
    assert len(await tenant.stop_sale_ids()) == 2


async def test_a_session_that_expires_at_once_is_refused_and_nothing_was_done(
    tenant: Tenant,
) -> None:
    tenant.fake.faults.add(Fault(kind=FaultKind.EXPIRE_SESSION, operation="UpdateStopSale"))
    with pytest.raises(SessionRefused):
        await tenant.open()
    tenant.fake.faults.clear()
    assert await tenant.stop_sale_ids() == []


async def test_many_calls_at_once_share_one_login(tenant: Tenant) -> None:
    await asyncio.gather(*(tenant.insert(reservation(f"V{number}")) for number in range(40)))
    assert tenant.fake.account("agency").logins == 1
    assert len(tenant.fake.holdings("agency").vouchers) == 40


@pytest.mark.parametrize("how", LoginRefusal)
async def test_a_refused_login_asks_sedna_once(tenant: Tenant, how: LoginRefusal) -> None:
    tenant.fake.configure("agency", password="another", login_refusal=how)
    inserts = (tenant.insert(reservation()) for _ in range(3))
    outcomes = await asyncio.gather(*inserts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LoginRefused] * 3
    assert tenant.fake.calls("AgencyLogin") == 1
    assert tenant.fake.calls("InsertReservation") == 0


async def test_a_password_that_changes_under_a_session_is_a_refused_login(tenant: Tenant) -> None:
    tenant.fake.configure("agency", login_refusal=LoginRefusal.UNAUTHORISED)
    await tenant.client.login()
    tenant.fake.configure("agency", password="another")
    with pytest.raises(LoginRefused):
        await tenant.insert(reservation())


async def test_a_refusal_is_sednas_own_words(tenant: Tenant) -> None:
    with pytest.raises(RefusedBySedna, match="RoomTypeId 5 was not found in hotel 18"):
        await tenant.insert(reservation(), room_type_id=5)
    assert tenant.fake.holdings("agency").vouchers == {}


async def test_a_429_is_told_with_its_wait(tenant: Tenant) -> None:
    await tenant.client.login()
    tenant.fake.faults.add(Fault(kind=FaultKind.STATUS, status=429, retry_after="3"))
    with pytest.raises(Throttled) as caught:
        await tenant.insert(reservation())
    assert caught.value.retry_after == 3


async def test_a_login_or_a_list_that_fails_is_unavailable(tenant: Tenant) -> None:
    tenant.fake.faults.add(Fault(kind=FaultKind.STATUS, status=503))
    with pytest.raises(Unavailable):
        await tenant.insert(reservation())
    tenant.fake.faults.clear()
    await tenant.client.login()
    tenant.fake.faults.add(Fault(kind=FaultKind.CLOSE))
    with pytest.raises(Unavailable):
        await tenant.catalogue.hotels()


@pytest.mark.parametrize("missing", ["has_get_hotels", "has_get_hotel_list"])
async def test_an_account_with_only_one_call_for_hotels_has_its_hotels(
    tenant: Tenant, missing: str
) -> None:
    tenant.fake.configure("agency", **{missing: False})
    assert len(await tenant.catalogue.hotels()) == 2


async def test_loose_filters_do_not_make_another_voucher_ours(tenant: Tenant) -> None:
    tenant.fake.configure("agency", loose_filters=True)
    await tenant.insert(reservation("JNP 12", email_id=421))
    assert not await tenant.is_there(reservation("JNP 1"))
    await tenant.insert(reservation("JNP 1"))
    assert await tenant.is_there(reservation("JNP 1"))


async def test_the_trace_of_an_event_reaches_sedna(tenant: Tenant) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with Attempt(TraceContext(trace, "upstream=1")):
        await tenant.insert(reservation())
    (entry,) = tenant.fake.requests("InsertReservation")
    assert (entry.traceparent, entry.tracestate) == (trace, "upstream=1")
