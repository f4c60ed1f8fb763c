"""What holds of the fake Sedna's state whatever is done to it, and in whatever order."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from consumer.demo.fake import Account, Board, Hotel, Room
from consumer.demo.fake.state import FakeState, Moment
from consumer.demo.fake.stop_sales import StopSaleQuery

NAMES = ("north", "south")
VOUCHERS = ("V1", "V2", "V12")


def account(name: str, number: int) -> Account:
    return Account(
        name=name,
        username=name,
        password=name,
        operator_id=number,
        operator_code=name.upper(),
        hotels=(Hotel(id=18, name="The same in both", rooms=(Room(63, "STD"), Room(64, "FAM"))),),
        boards=(Board(1, "AI"),),
    )


class TwoAccounts(RuleBasedStateMachine):
    """Both accounts have the same hotel, vouchers and `RecordUser`s; a plain model counts along."""

    stop_sales = Bundle("stop_sales")

    @initialize()
    def start(self) -> None:
        self.state = FakeState([account("north", 1), account("south", 2)])
        self.requests = count(1)
        self.inserted: dict[str, list[tuple[str, int]]] = {name: [] for name in NAMES}
        self.recorded: dict[str, list[int]] = {name: [] for name in NAMES}

    def moment(self) -> Moment:
        number = next(self.requests)
        return Moment(request=number, monotonic_ns=number, wall=datetime(2026, 5, 1, tzinfo=UTC))

    @rule(name=st.sampled_from(NAMES), voucher=st.sampled_from(VOUCHERS), rooms=st.integers(1, 3))
    def insert(self, name: str, voucher: str, rooms: int) -> None:
        body = {
            "HotelId": 18,
            "RoomTypeId": 63,
            "BoardId": 1,
            "OperatorId": self.state.accounts[name].config.operator_id,
            "CheckinDate": "2026-07-01",
            "CheckOutDate": "2026-07-02",
            "Adult": 1,
            "Child": 0,
            "Voucher": voucher,
            "SourceId": f"source of {voucher}",
            "Customers": [{"Title": "Mr", "FirstName": "A", "LastName": "B"}],
        }
        at = self.moment()
        envelopes = self.state.accounts[name].insert([body] * rooms, voucher_no=voucher, at=at)
        assert all(envelope.ok for envelope in envelopes)
        self.inserted[name] += [(voucher, envelope.rec_id) for envelope in envelopes]

    @rule(name=st.sampled_from(NAMES), voucher=st.sampled_from(VOUCHERS))
    def cancel(self, name: str, voucher: str) -> None:
        had = any(held == voucher for held, _ in self.inserted[name])
        envelope = self.state.accounts[name].reservations.cancel(f"source of {voucher}")
        assert envelope.ok == had
        self.inserted[name] = [held for held in self.inserted[name] if held[0] != voucher]

    def body(self, name: str, *, rec_id: int, rooms: list[int], stop_type: int) -> dict[str, Any]:
        child = {"StopSaleId": rec_id, "State": 1}
        operator_id = self.state.accounts[name].config.operator_id
        return {
            "RecId": rec_id,
            "HotelId": 18,
            "BeginDate": "2026-08-01",
            "EndDate": "2026-08-02",
            "DeclareDate": "2026-05-01",
            "StopType": stop_type,
            "RecordUser": "sedna-sync:7",
            "Authority": 207,
            "OperatorRemark": f"{name.upper()},",
            "StopSaleRooms": [{**child, "RoomTypeId": room} for room in rooms],
            "StopSaleOperators": [{**child, "OperatorId": operator_id}] if rec_id else [],
        }

    @rule(target=stop_sales, name=st.sampled_from(NAMES))
    def step_1(self, name: str) -> tuple[str, int]:
        body = self.body(name, rec_id=0, rooms=[], stop_type=0)
        envelope = self.state.accounts[name].update_stop_sale(body, at=self.moment())
        assert envelope.ok
        self.recorded[name].append(envelope.rec_id)
        return name, envelope.rec_id

    @rule(
        made=stop_sales,
        rooms=st.lists(st.sampled_from([63, 64]), unique=True),
        stop_type=st.sampled_from([0, 1]),
        times=st.integers(1, 3),
    )
    def step_2_repeated_changes_nothing_more(
        self, made: tuple[str, int], rooms: list[int], stop_type: int, times: int
    ) -> None:
        name, rec_id = made
        body = self.body(name, rec_id=rec_id, rooms=rooms, stop_type=stop_type)
        own = self.state.accounts[name]
        record, held = own.stop_sales.records[rec_id], len(own.stop_sales.records)
        for _ in range(times):
            assert own.update_stop_sale(body, at=self.moment()).ok
            assert (record.body, record.complete, record.visible) == (body, True, True)
            assert record.children["StopSaleRooms"] == rooms
            assert len(own.stop_sales.records) == held

    @rule(made=consumes(stop_sales))
    def step_2_of_another_accounts_record_is_refused(self, made: tuple[str, int]) -> None:
        name, rec_id = made
        other = next(each for each in NAMES if each != name)
        before = self.state.accounts[name].stop_sales.records[rec_id].body
        body = self.body(other, rec_id=rec_id, rooms=[], stop_type=1)
        assert not self.state.accounts[other].update_stop_sale(body, at=self.moment()).ok
        assert self.state.accounts[name].stop_sales.records[rec_id].body is before

    @invariant()
    def each_account_finds_exactly_its_own(self) -> None:
        for name, held in self.inserted.items():
            own = self.state.accounts[name]
            for voucher in VOUCHERS:
                found = own.reservations.find(own.config, {"VoucherNo": voucher})
                assert [r.rec_id for r in found] == [i for v, i in held if v == voucher]
            records = own.stop_sales.find(StopSaleQuery())
            assert [record.rec_id for record in records] == self.recorded[name]

    @invariant()
    def no_two_records_share_an_id_and_no_two_commits_an_order(self) -> None:
        both = list(self.state.accounts.values())
        reservations = [record for own in both for record in own.reservations.records]
        stop_sales = [record for own in both for record in own.stop_sales.records.values()]
        ids = [r.rec_id for r in reservations] + [s.rec_id for s in stop_sales]
        assert len(set(ids)) == len(ids)
        inserts = {r.stamp.order for r in reservations}
        steps = [stamp.order for s in stop_sales for stamp in (s.stamp, *s.filled)]
        assert len(set(steps)) == len(steps)
        assert not inserts & set(steps)

    @invariant()
    def the_latest_complete_record_decides(self) -> None:
        for own in self.state.accounts.values():
            for room in (63, 64):
                about = [
                    record
                    for record in own.stop_sales.records.values()
                    if record.complete and room in (record.children["StopSaleRooms"] or [room])
                ]
                day = datetime(2026, 8, 2, tzinfo=UTC).date()
                closing = own.stop_sales.closing(
                    own.config, hotel_id=18, begin=day, end=day, room_type_ids=[room]
                )
                assert (closing is not None) == bool(about and about[-1].body["StopType"] == 0)


TwoAccounts.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTwoAccounts = TwoAccounts.TestCase
