"""The demo's world: it says what the contract says, and nothing that contradicts itself."""

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from consumer.demo.world import DEMO_TENANTS, DemoEvent, DemoTenant, demo_events, expected_holdings
from consumer.sedna.codes import Code, CodeFound, CodeIndex
from consumer.sedna.matching import Ambiguous, Found, Hotel, HotelIndex, NotFound, resolve_hotel
from schemas.envelope import InvalidEvent, parse_event
from schemas.kinds import Kind

EVENTS = demo_events(7)
TENANTS = {tenant.tenant_id: tenant for tenant in DEMO_TENANTS}


def data_of(event: DemoEvent) -> dict[str, object]:
    value: dict[str, object] = json.loads(event.value)
    if any(name == "ce_id" for name, _ in event.headers):
        return value
    data = value["data"]
    assert isinstance(data, dict)
    return data


def readable() -> list[DemoEvent]:
    return [event for event in EVENTS if event.expect != "rejected"]


def test_the_same_seed_and_time_give_the_same_bytes_and_another_seed_others() -> None:
    assert demo_events(7) == EVENTS
    assert demo_events(8) != EVENTS
    assert demo_events(7, at=datetime(2027, 1, 1, tzinfo=UTC)) != EVENTS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_event_obeys_the_contract_unless_it_is_to_be_rejected(seed: int) -> None:
    for event in demo_events(seed):
        kind = Kind.RESERVATION if event.topic_kind == "reservation" else Kind.STOP_SALE
        if event.expect == "rejected":
            with pytest.raises(InvalidEvent):
                parse_event(kind, key=event.key, value=event.value, headers=event.headers)
            continue
        read = parse_event(kind, key=event.key, value=event.value, headers=event.headers)
        assert read.tenant_id == event.tenant_id


def test_every_kind_of_outcome_and_of_encoding_is_among_them() -> None:
    outcomes = Counter(event.expect for event in EVENTS)
    assert set(outcomes) == {
        "synced",
        "duplicate",
        "rejected",
        *(
            f"failed:{code}"
            for code in (
                "board_unknown",
                "conflict",
                "hotel_ambiguous",
                "hotel_not_found",
                "refused_by_sedna",
                "room_type_unknown",
                "tenant_not_configured",
            )
        ),
    }
    assert 180 <= len(EVENTS) <= 260
    names = [{name for name, _ in event.headers} for event in EVENTS]
    assert any("ce_id" in each for each in names)
    assert any("content-type" not in each for each in names)
    assert any("traceparent" in each for each in names)


def test_hotels_are_where_the_rules_of_matching_put_them() -> None:
    for event in readable():
        tenant, data = TENANTS.get(event.tenant_id), data_of(event)
        if tenant is None:
            continue
        index = HotelIndex(Hotel(hotel.id, hotel.name) for hotel in tenant.account.hotels)
        hotel_id = data.get("sedna_hotel_id")
        match = resolve_hotel(
            event_hotel_id=hotel_id if isinstance(hotel_id, int) else None,
            name=str(data["hotel_name"]),
            mappings={},
            index=index,
        )
        if event.expect == "failed:hotel_ambiguous":
            assert isinstance(match, Ambiguous), event.why
        elif event.expect == "failed:hotel_not_found":
            assert isinstance(match, NotFound), event.why
        else:
            assert isinstance(match, Found), (event.why, data["hotel_name"])
            assert event.hotel_id in (None, match.hotel.id)


def test_rooms_and_boards_are_known_unless_they_are_to_be_unknown() -> None:
    for event in readable():
        if event.topic_kind != "reservation" or event.hotel_id is None:
            continue
        account = TENANTS[event.tenant_id].account
        hotel, data = account.hotel(event.hotel_id), data_of(event)
        assert hotel is not None
        rooms = CodeIndex(Code(room.id, room.code, room.name) for room in hotel.rooms)
        boards = CodeIndex(Code(board.id, board.code, board.name) for board in account.boards)
        assert isinstance(rooms.find(str(data["room_type"])), CodeFound)
        assert isinstance(boards.find(str(data["board_type"])), CodeFound)


def test_no_ordinary_event_is_about_a_hotel_whose_name_is_told_apart_by_no_word() -> None:
    twins = {(tenant.tenant_id, hotel_id) for tenant in DEMO_TENANTS for hotel_id in tenant.twins}
    assert twins
    assert not twins & {(event.tenant_id, event.hotel_id) for event in EVENTS}


def test_what_is_expected_is_every_synced_event_once_and_nothing_else() -> None:
    holdings = expected_holdings(EVENTS)
    synced = [event for event in EVENTS if event.expect == "synced"]
    held = sum(len(each.vouchers) + len(each.stop_sales) for each in holdings.values())
    assert held == len(synced)
    assert all(event.hotel_id in _hotels(event) for event in synced)


def _hotels(event: DemoEvent) -> set[int]:
    return {hotel.id for hotel in TENANTS[event.tenant_id].account.hotels}


def test_a_duplicate_and_a_conflict_come_after_the_event_that_they_repeat() -> None:
    for number, event in enumerate(EVENTS):
        before = EVENTS[:number]
        if event.expect == "duplicate":
            assert [e.expect for e in before if e.value == event.value] == ["synced"]
        if event.expect == "failed:conflict":
            own = [e for e in before if e.tenant_id == event.tenant_id]
            assert [e.expect for e in own if e.voucher_no == event.voucher_no] == ["synced"]


@pytest.mark.parametrize("tenant", DEMO_TENANTS, ids=lambda tenant: tenant.tenant_id)
def test_one_hotel_is_closed_and_then_opened_under_another_spelling(tenant: DemoTenant) -> None:
    own = [e for e in EVENTS if e.tenant_id == tenant.tenant_id and e.topic_kind == "stop_sale"]
    about = [data_of(event) for event in own if event.hotel_id == tenant.reopened_hotel_id]
    assert [data["is_close"] for data in about] == [True, False]
    for first, second in pairwise(about):
        assert first["hotel_name"] != second["hotel_name"]
        assert first["date_from"] == second["date_from"]
    (again,) = expected_holdings(EVENTS)[tenant.tenant_id].open_again
    assert (again.hotel_id, again.date_from) == (tenant.reopened_hotel_id, about[0]["date_from"])


def test_tenants_differ_in_the_shape_of_their_replies_and_share_vouchers_and_hotel_names() -> None:
    assert len({tenant.account.shape for tenant in DEMO_TENANTS}) == len(DEMO_TENANTS)
    vouchers = [set(each.vouchers) for each in expected_holdings(EVENTS).values()]
    assert {"JNP123456", "JNP1234567"} <= set.intersection(*vouchers)
    names = [{hotel.name for hotel in tenant.account.hotels} for tenant in DEMO_TENANTS]
    assert set.intersection(*names) == {"Mandarin Resort & Spa"}
