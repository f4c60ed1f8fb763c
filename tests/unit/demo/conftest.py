"""Two accounts of a fake Sedna that tests of the fake share, and a client for each."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from consumer.demo.fake import Account, Board, FakeSedna, Hotel, Room

Builder = Callable[..., dict[str, Any]]


@pytest.fixture
def accounts() -> tuple[Account, Account]:
    north = Account(
        name="north",
        username="north",
        password="nørth & söuth+%",
        operator_id=571,
        operator_code="7STAR",
        hotels=(
            Hotel(id=18, name="Mandarin Resort & Spa", rooms=(Room(63, "STDSV"), Room(64, "FAM"))),
            Hotel(id=28, name="Şehrazat Otel", rooms=(Room(73, "STDSV"),)),
            Hotel(id=38, name="Eski Konak", active=False, refusal="Closed"),
        ),
        boards=(Board(1, "AI"), Board(37, "UAI")),
    )
    south = Account(
        name="south",
        username="south",
        password="other",
        operator_id=640,
        operator_code="SOUTH",
        hotels=(Hotel(id=7, name="Mandarin Resort & Spa", rooms=(Room(9, "STDSV"),)),),
        boards=(Board(5, "AI"),),
    )
    return north, south


@pytest.fixture
async def fake(accounts: tuple[Account, Account]) -> AsyncIterator[FakeSedna]:
    async with FakeSedna(accounts=accounts) as fake:
        yield fake


@pytest.fixture
async def stranger(fake: FakeSedna) -> AsyncIterator[httpx2.AsyncClient]:
    """Not logged in."""
    async with httpx2.AsyncClient(base_url=fake.base_url, verify=False) as client:
        yield client


@asynccontextmanager
async def _logged_in(fake: FakeSedna, name: str) -> AsyncIterator[httpx2.AsyncClient]:
    account = fake.account(name).config
    credentials = {"username": account.username, "password": account.password}
    async with httpx2.AsyncClient(
        base_url=fake.base_url, params=credentials, verify=False
    ) as client:
        reply = await client.get("/api/Integratiion/AgencyLogin")
        assert reply.json()["ErrorType"] == 0
        yield client


@pytest.fixture
async def north(fake: FakeSedna) -> AsyncIterator[httpx2.AsyncClient]:
    """Logged in as `north`; sends its credentials in every query, where few calls look at them."""
    async with _logged_in(fake, "north") as client:
        yield client


@pytest.fixture
async def south(fake: FakeSedna) -> AsyncIterator[httpx2.AsyncClient]:
    """Logged in as `south`."""
    async with _logged_in(fake, "south") as client:
        yield client


@pytest.fixture
def room() -> Builder:
    """One good element of an insert into `north`, with changes."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "HotelId": 18,
            "RoomTypeId": 63,
            "BoardId": 1,
            "OperatorId": 571,
            "CheckinDate": "2026-07-01",
            "CheckOutDate": "2026-07-08",
            "Adult": 2,
            "Child": 0,
            "Voucher": "V1",
            "SourceId": "sedna-sync-42",
            "SaleDate": "2026-05-01T00:00:00",
            "Amount": 1250.5,
            "Customers": [{"Title": "Mr", "FirstName": "ALİ", "LastName": "ÇELİK"}],
            **changes,
        }

    return build


@pytest.fixture
def stop_sale() -> Builder:
    """A good step 1 in `north`, with changes; with a `RecId` a good step 2."""

    def build(**changes: Any) -> dict[str, Any]:
        rec_id = changes.get("RecId", 0)
        child = {"StopSaleId": rec_id, "State": 1}
        return {
            "RecId": 0,
            "HotelId": 18,
            "BeginDate": "2026-08-01T00:00:00",
            "EndDate": "2026-08-03T00:00:00",
            "DeclareDate": "2026-05-01T00:00:00",
            "StopType": 0,
            "State": 1,
            "Active": 0,
            "RecordSource": 0,
            "RecordUser": "sedna-sync:7",
            "Authority": 207,
            "OperatorRemark": "7STAR,",
            "StopSaleRooms": [],
            "StopSaleOperators": [{**child, "OperatorId": 571}] if rec_id else [],
            "StopSaleBoards": [],
            "StopSaleMarkets": [],
            **changes,
        }

    return build
