"""Lanes: order within, independence between, caps, and turns."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.lanes import Lanes
from consumer.sync import Sync
from db.records import Origin
from schemas.kinds import Kind

START = datetime(2026, 11, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sync(
    number: int,
    tenant: str = "t",
    partition: int = 0,
    registered_at: datetime = START,
    *,
    replayed: bool = False,
) -> Sync:
    return Sync(
        id=number,
        tenant_id=tenant,
        kind=Kind.RESERVATION,
        seq=number,
        generation=1,
        data=None,
        email_id=number,
        voucher_no=f"V{number}",
        stop_sale_id=None,
        event_id=f"e{number}",
        event_time=None,
        trace=None,
        origin=Origin(topic="reservation.created", partition=partition, offset=number),
        registered_at=registered_at,
        stored_lane=None,
        replayed=replayed,
    )


def taken(lanes: Lanes) -> list[int]:
    out = []
    while (each := lanes.take()) is not None:
        out.append(each.id)
    return out


def lanes_of(*entries: tuple[int, str, str], total: int = 100, each: int = 100) -> Lanes:
    lanes = Lanes(max_in_flight=total, max_in_flight_per_tenant=each)
    for number, tenant, lane in entries:
        lanes.add(sync(number, tenant), lane)
    return lanes


def test_one_sync_of_a_lane_is_out_at_a_time() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "a"), (3, "t", "b"))
    assert taken(lanes) == [1, 3]


def test_a_lane_goes_on_only_when_the_one_that_is_out_is_finished() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "a"))
    first = lanes.take()
    assert first is not None
    lanes.landed(first)
    assert lanes.take() is None
    lanes.finish(first)
    assert taken(lanes) == [2]


def test_landing_frees_the_slot_for_another_lane() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"), each=1)
    first = lanes.take()
    assert first is not None
    assert lanes.take() is None
    lanes.landed(first)
    assert taken(lanes) == [2]


def test_tenants_take_turns() -> None:
    lanes = lanes_of(
        *((n, "big", f"l{n}") for n in range(1, 6)), (6, "small", "x"), (7, "other", "y")
    )
    assert taken(lanes)[:3] == [1, 6, 7]


def test_a_tenant_stays_within_its_own_cap() -> None:
    lanes = lanes_of(*((n, "t", f"l{n}") for n in range(1, 6)), each=10)
    lanes.set_limit("t", 2)
    assert taken(lanes) == [1, 2]
    lanes.set_limit("t", None)
    assert taken(lanes) == [3, 4, 5]


def test_all_tenants_stay_within_the_common_cap() -> None:
    lanes = lanes_of(*((n, f"t{n}", "l") for n in range(1, 6)), total=3)
    assert taken(lanes) == [1, 2, 3]


def test_a_parked_lane_takes_no_slot_and_holds_up_no_other() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "a"), (3, "t", "b"), each=1)
    first = lanes.take()
    assert first is not None
    lanes.park(first, due=10.0)
    assert taken(lanes) == [3]
    assert lanes.next_due() == 10.0


def test_a_parked_lane_comes_back_when_it_is_due_with_the_same_head() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "a"))
    first = lanes.take()
    assert first is not None
    lanes.park(first, due=10.0)
    lanes.wake(9.9)
    assert lanes.take() is None
    lanes.wake(10.0)
    assert taken(lanes) == [1]


def test_a_change_of_settings_wakes_what_waits_for_a_time() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "other", "a"))
    for _ in range(2):
        each = lanes.take()
        assert each is not None
        lanes.park(each, due=10.0)
    lanes.wake_tenant("t")
    assert taken(lanes) == [1]


def test_a_late_comer_with_an_earlier_place_goes_before_those_that_wait() -> None:
    lanes = lanes_of((5, "t", "a"), (7, "t", "a"), (6, "t", "a"))
    order = []
    while (each := lanes.take()) is not None:
        order.append(each.id)
        lanes.finish(each)
    assert order == [5, 6, 7]


def test_a_late_comer_with_an_earlier_place_goes_before_what_is_parked() -> None:
    # Postgres refuses the mark of the later one for as long as the earlier one is pending.
    lanes = lanes_of((5, "t", "a"))
    later = lanes.take()
    assert later is not None
    lanes.park(later, due=10.0)
    lanes.add(sync(3, "t"), "a")
    earlier = lanes.take()
    assert earlier is not None
    assert earlier.id == 3
    lanes.finish(earlier)
    assert taken(lanes) == [5]


@pytest.mark.parametrize("comes_back", ["park", "put_back"])
def test_what_comes_back_queues_behind_an_earlier_one_that_came_meanwhile(comes_back: str) -> None:
    lanes = lanes_of((5, "t", "a"), (7, "t", "a"))
    later = lanes.take()
    assert later is not None
    lanes.add(sync(3, "t"), "a")
    if comes_back == "park":
        lanes.park(later, due=10.0)
    else:
        lanes.put_back(later)
    order = []
    while (each := lanes.take()) is not None:
        order.append(each.id)
        lanes.finish(each)
    assert order == [3, 5, 7]


def test_a_sync_that_is_in_memory_is_not_added_again() -> None:
    lanes = lanes_of((1, "t", "a"))
    assert not lanes.add(sync(1), "a")
    assert taken(lanes) == [1]


def test_a_sync_moves_to_another_lane_and_its_old_lane_goes_on() -> None:
    lanes = lanes_of((1, "t", "?"), (2, "t", "?"), (3, "t", "hotel"))
    first = lanes.take()
    assert first is not None
    lanes.move(first, "hotel")
    # Before 3 in its new lane, since its place is the earlier one.
    assert taken(lanes) == [1, 2]


def test_dropping_a_stream_leaves_what_is_out_and_forgets_the_rest() -> None:
    lanes = Lanes(max_in_flight=10, max_in_flight_per_tenant=10)
    lanes.add(sync(1), "a")
    lanes.add(sync(2), "a")
    lanes.add(sync(3, partition=1), "b")
    first = lanes.take()
    assert first is not None
    lanes.drop([first.stream])
    assert 2 not in lanes
    assert lanes.out_of([first.stream]) == [first]
    assert taken(lanes) == [3]
    lanes.finish(first)
    assert 1 not in lanes


def test_landing_what_is_not_out_is_refused() -> None:
    lanes = lanes_of((1, "t", "a"))
    with pytest.raises(RuntimeError, match="not out"):
        lanes.landed(sync(1))


def test_nothing_is_taken_of_a_paused_tenant_and_others_go_on() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"), (3, "other", "a"), total=1)
    lanes.pause("t", until=10.0)
    lanes.add(sync(4, "t"), "c")
    first = lanes.take()
    assert first is not None
    assert first.id == 3
    lanes.finish(first)
    assert lanes.take() is None
    assert lanes.next_due() == 10.0


def test_after_a_pause_one_is_taken_at_a_time() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"))
    lanes.pause("t", until=10.0)
    lanes.wake(9.9)
    assert taken(lanes) == []
    lanes.wake(10.0)
    probe = lanes.take()
    assert probe is not None
    assert lanes.take() is None
    lanes.landed(probe)
    assert taken(lanes) == [2]


def test_a_probe_waits_for_what_was_in_flight_before_the_pause() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"))
    before = lanes.take()
    assert before is not None
    lanes.pause("t", until=10.0)
    lanes.wake(10.0)
    assert lanes.take() is None
    lanes.landed(before)
    assert taken(lanes) == [2]


def test_a_tenant_that_is_resumed_goes_on_at_once_with_all_it_may() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"))
    lanes.pause("t", until=10.0)
    lanes.resume("t")
    assert taken(lanes) == [1, 2]


def test_a_pause_can_become_longer_and_the_old_time_is_void() -> None:
    lanes = lanes_of((1, "t", "a"))
    lanes.pause("t", until=10.0)
    lanes.pause("t", until=20.0)
    lanes.wake(10.0)
    assert taken(lanes) == []
    lanes.wake(20.0)
    assert taken(lanes) == [1]


def test_what_is_put_back_is_the_head_of_its_lane_again() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "a"))
    first = lanes.take()
    assert first is not None
    lanes.landed(first)
    lanes.put_back(first)
    assert lanes.in_flight == 0
    assert taken(lanes) == [1]


def test_of_a_tenant_that_is_held_nothing_is_taken_before_its_time() -> None:
    lanes = lanes_of((1, "t", "a"), (2, "t", "b"), (3, "other", "a"))
    lanes.hold("t", until=10.0)
    assert taken(lanes) == [3]
    lanes.wake(10.0)
    assert taken(lanes) == [1, 2]


def test_a_change_of_settings_ends_a_hold() -> None:
    lanes = lanes_of((1, "t", "a"))
    lanes.hold("t", until=10.0)
    lanes.wake_tenant("t")
    assert taken(lanes) == [1]


def overdue(lanes: Lanes, before: datetime) -> list[int]:
    return [each.id for each in lanes.take_overdue(before)]


def test_what_is_too_old_is_taken_also_of_a_paused_tenant() -> None:
    lanes = Lanes(max_in_flight=10, max_in_flight_per_tenant=10)
    for number, lane in ((1, "a"), (2, "a"), (3, "b"), (4, "c")):
        lanes.add(sync(number, registered_at=at(number)), lane)
    lanes.pause("t", until=10.0)
    lanes.add(sync(5, registered_at=at(0)), "d")
    assert lanes.oldest_paused() == at(0)
    assert overdue(lanes, at(-1)) == []
    assert overdue(lanes, at(3)) == [1, 3, 5]
    assert lanes.oldest_paused() == at(4)
    assert overdue(lanes, at(3)) == []
    assert lanes.in_flight == 3


def test_nothing_is_too_old_where_it_may_be_tried() -> None:
    lanes = Lanes(max_in_flight=10, max_in_flight_per_tenant=10)
    lanes.add(sync(1, registered_at=at(0)), "a")
    assert overdue(lanes, at(100)) == []
    lanes.pause("t", until=10.0)
    lanes.resume("t")
    assert overdue(lanes, at(100)) == []
    assert taken(lanes) == [1]


def test_what_is_too_old_comes_in_the_order_of_its_lane_and_as_slots_allow() -> None:
    lanes = Lanes(max_in_flight=2, max_in_flight_per_tenant=10)
    for number, lane in ((1, "a"), (2, "a"), (3, "b"), (4, "c")):
        lanes.add(sync(number, registered_at=at(0)), lane)
    lanes.pause("t", until=10.0)
    gone = []
    while batch := lanes.take_overdue(at(0)):
        assert len(batch) <= 2
        for each in batch:
            gone.append(each.id)
            lanes.finish(each)
    assert sorted(gone) == [1, 2, 3, 4]
    assert gone.index(1) < gone.index(2)
    assert lanes.oldest_paused() is None


def test_an_older_one_that_comes_to_the_head_of_a_paused_lane_is_noticed() -> None:
    lanes = Lanes(max_in_flight=10, max_in_flight_per_tenant=10)
    lanes.add(sync(2, registered_at=at(50)), "a")
    lanes.pause("t", until=10.0)
    lanes.add(sync(1, registered_at=at(1)), "a")
    assert overdue(lanes, at(1)) == [1]


def mixed(*entries: tuple[int, str, bool], each: int = 100) -> Lanes:
    """Lanes of one tenant, of (number, lane, whether it is replayed)."""
    lanes = Lanes(max_in_flight=100, max_in_flight_per_tenant=each)
    for number, lane, replayed in entries:
        lanes.add(sync(number, replayed=replayed), lane)
    return lanes


def test_a_live_lane_goes_before_all_replayed_ones_of_its_tenant() -> None:
    lanes = mixed((1, "a", True), (2, "b", True), (3, "c", False), (4, "d", False))
    assert taken(lanes) == [3, 4, 1, 2]


def test_of_one_lane_the_replayed_one_that_came_first_goes_first() -> None:
    lanes = mixed((1, "a", True), (2, "a", False), each=1)
    order = []
    while (each := lanes.take()) is not None:
        order.append(each.id)
        lanes.finish(each)
    assert order == [1, 2]


def test_a_lane_in_which_a_live_one_waits_goes_before_replayed_lanes() -> None:
    lanes = mixed((1, "a", True), (2, "b", True), (3, "b", True), (4, "b", False), each=1)
    order = []
    while (each := lanes.take()) is not None:
        order.append(each.id)
        lanes.finish(each)
    assert order == [2, 3, 4, 1]


def test_once_the_live_one_has_left_its_lane_is_a_replayed_one_again() -> None:
    lanes = mixed((1, "a", False), (2, "a", True), (3, "b", True), (4, "c", False), each=1)
    order = []
    while (each := lanes.take()) is not None:
        order.append(each.id)
        lanes.finish(each)
    assert order == [1, 4, 3, 2]


@pytest.mark.parametrize("comes_back", ["park", "put_back"])
def test_a_live_one_that_comes_back_makes_its_lane_live_again(comes_back: str) -> None:
    lanes = mixed((1, "a", True), (2, "b", False), each=1)
    live = lanes.take()
    assert live is not None
    assert live.id == 2
    if comes_back == "park":
        lanes.park(live, due=1.0)
        lanes.wake(1.0)
    else:
        lanes.put_back(live)
    assert taken(lanes) == [2]


def test_a_live_one_that_moves_hastens_the_lane_that_it_comes_into() -> None:
    lanes = mixed((1, "a", True), (2, "b", True), (3, "?", False), each=1)
    live = lanes.take()
    assert live is not None
    lanes.move(live, "b")
    assert taken(lanes) == [2]


def test_a_lane_whose_live_one_is_dropped_is_a_replayed_one_again() -> None:
    lanes = mixed((1, "a", True), (2, "a", False), (3, "b", False))
    lanes.add(sync(4, partition=1), "c")
    lanes.drop([sync(0).stream])
    assert taken(lanes) == [4, 1]


def test_tenants_take_turns_whether_their_work_is_live_or_replayed() -> None:
    lanes = Lanes(max_in_flight=100, max_in_flight_per_tenant=100)
    for number in range(1, 4):
        lanes.add(sync(number, "backfill", replayed=True), f"l{number}")
    for number in range(4, 7):
        lanes.add(sync(number, "live"), f"l{number}")
    assert taken(lanes) == [1, 4, 2, 5, 3, 6]


def test_dropping_the_replayed_stream_leaves_the_live_one() -> None:
    lanes = mixed((1, "a", True), (2, "a", False), (3, "b", True))
    lanes.drop([sync(0, replayed=True).stream])
    assert [number in lanes for number in (1, 2, 3)] == [False, True, False]
    assert taken(lanes) == [2]


@given(
    limit=st.integers(2, 4),
    arrivals=st.lists(st.integers(0, 3), min_size=40, max_size=40),
    hotels=st.lists(st.integers(0, 5), min_size=20, max_size=20),
)
def test_live_work_that_leaves_room_starves_no_replayed_work(
    limit: int, arrivals: list[int], hotels: list[int]
) -> None:
    """However live work comes, if there is less of it than there are slots, a replay goes on."""
    lanes = Lanes(max_in_flight=100, max_in_flight_per_tenant=limit)
    for number, hotel in enumerate(hotels, start=1):
        lanes.add(sync(number, replayed=True), f"hotel:{hotel}")
    number, left = 100, len(hotels)
    for coming in arrivals:
        for _ in range(min(coming, limit - 1)):
            number += 1
            lanes.add(sync(number), f"lane {number}")
        out = []
        while (each := lanes.take()) is not None:
            out.append(each)
        done = sum(each.replayed for each in out)
        assert done or not left
        left -= done
        for each in out:
            lanes.finish(each)
    assert not left


class LanesMachine(RuleBasedStateMachine):
    """Any run of moves keeps the laws; checked against plain bookkeeping."""

    total, each = 4, 2

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes(max_in_flight=self.total, max_in_flight_per_tenant=self.each)
        self.number = 0
        self.now = 0.0
        self.age: dict[int, datetime] = {}
        self.replayed: set[int] = set()
        self.queues: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.lane_of: dict[int, tuple[str, str]] = {}
        self.out: dict[int, Sync] = {}
        self.landed: set[int] = set()
        self.parked: dict[tuple[str, str], float] = {}
        self.paused: dict[str, float] = {}
        self.probed: set[str] = set()
        self.held: dict[str, float] = {}

    def may_take(self, tenant: str) -> bool:
        if tenant in self.paused or tenant in self.held:
            return False
        flying = [n for n in self.out if n not in self.landed]
        own = sum(self.lane_of[n][0] == tenant for n in flying)
        return own < (1 if tenant in self.probed else self.each) and len(flying) < self.total

    def idle(self) -> list[tuple[str, str]]:
        return [
            key
            for key, queue in self.queues.items()
            if queue and queue[0] not in self.out and key not in self.parked
        ]

    @rule(
        tenant=st.sampled_from("abc"),
        lane=st.sampled_from("xyz"),
        partition=st.integers(0, 1),
        replayed=st.booleans(),
    )
    def add(self, tenant: str, lane: str, partition: int, *, replayed: bool) -> None:
        self.number += 1
        self.comes_in(self.number, tenant, lane, partition, replayed=replayed)

    @precondition(lambda self: self.number)
    @rule(
        data=st.data(),
        tenant=st.sampled_from("abc"),
        lane=st.sampled_from("xyz"),
        partition=st.integers(0, 1),
        replayed=st.booleans(),
    )
    def add_late(
        self, data: st.DataObject, tenant: str, lane: str, partition: int, *, replayed: bool
    ) -> None:
        number = -data.draw(st.integers(1, 99))
        if number not in self.age:
            self.comes_in(number, tenant, lane, partition, replayed=replayed)

    def comes_in(
        self, number: int, tenant: str, lane: str, partition: int, *, replayed: bool
    ) -> None:
        key = (tenant, lane)
        registered_at = at(number % 7)
        self.lanes.add(sync(number, tenant, partition, registered_at, replayed=replayed), lane)
        self.age[number] = registered_at
        if replayed:
            self.replayed.add(number)
        self.queues_up(number, key)

    def queues_up(self, number: int, key: tuple[str, str]) -> None:
        queue = self.queues[key]
        out = [each for each in queue if each in self.out]
        queue[:] = out + sorted([number, *(each for each in queue if each not in self.out)])
        self.lane_of[number] = key
        if queue[0] == number:
            # The lane waits no longer: what it waited for is not its head.
            self.parked.pop(key, None)

    def comes_back(self, number: int) -> bool:
        """Whether it is the head of its lane again."""
        del self.out[number]
        self.landed.discard(number)
        queue = self.queues[self.lane_of[number]]
        queue.sort()
        return queue[0] == number

    @rule()
    def take(self) -> None:
        each = self.lanes.take()
        if each is None:
            # Nothing is taken only where nothing could be.
            assert not any(self.may_take(tenant) for tenant, _ in self.idle())
            return
        tenant, lane = self.lane_of[each.id]
        assert self.may_take(tenant)
        # Live before replayed, where the order of the lane allows it.
        assert self.is_live((tenant, lane)) or not any(
            self.is_live(key) for key in self.idle() if key[0] == tenant
        )
        self.goes_out(each)

    def is_live(self, key: tuple[str, str]) -> bool:
        return any(number not in self.replayed for number in self.queues[key])

    def goes_out(self, each: Sync) -> None:
        key = self.lane_of[each.id]
        assert self.queues[key][0] == each.id
        assert key not in self.parked
        assert each.id not in self.out
        self.out[each.id] = each

    @rule(seconds=st.integers(0, 7))
    def take_overdue(self, seconds: int) -> None:
        before = at(seconds)
        due = {self.queues[key][0]: key[0] for key in self.idle() if key[0] in self.paused}
        due = {number: tenant for number, tenant in due.items() if self.age[number] <= before}
        for each in self.lanes.take_overdue(before):
            assert due.pop(each.id) in self.paused
            self.goes_out(each)
        # What is left has no slot; and what is not due yet is known to be there.
        flying = [n for n in self.out if n not in self.landed]
        for tenant in due.values():
            own = sum(self.lane_of[n][0] == tenant for n in flying)
            assert own >= self.each or len(flying) >= self.total
        waiting = [self.age[self.queues[key][0]] for key in self.idle() if key[0] in self.paused]
        oldest = self.lanes.oldest_paused()
        assert not waiting or (oldest is not None and oldest <= min(waiting))

    @rule(tenant=st.sampled_from("abc"), wait=st.integers(0, 5))
    def pause(self, tenant: str, wait: int) -> None:
        self.lanes.pause(tenant, self.now + wait)
        self.paused[tenant] = self.now + wait
        self.probed.discard(tenant)

    @rule(tenant=st.sampled_from("abc"))
    def resume(self, tenant: str) -> None:
        self.lanes.resume(tenant)
        self.paused.pop(tenant, None)
        self.probed.discard(tenant)

    @rule(tenant=st.sampled_from("abc"), wait=st.integers(0, 5))
    def hold(self, tenant: str, wait: int) -> None:
        self.lanes.hold(tenant, self.now + wait)
        self.held[tenant] = max(self.held.get(tenant, 0.0), self.now + wait)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.out)))
        self.lanes.put_back(self.out[number])
        self.comes_back(number)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.out)))
        self.lanes.landed(self.out[number])
        self.landed.add(number)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.out)))
        self.lanes.finish(self.out.pop(number))
        self.landed.discard(number)
        self.queues[self.lane_of.pop(number)].pop(0)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), lane=st.sampled_from("xyz"))
    def move(self, data: st.DataObject, lane: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.out)))
        tenant, before = self.lane_of[number]
        if lane == before:
            return
        self.lanes.move(self.out.pop(number), lane)
        self.landed.discard(number)
        self.queues[tenant, before].remove(number)
        self.queues_up(number, (tenant, lane))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), wait=st.integers(0, 5))
    def park(self, data: st.DataObject, wait: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.out)))
        due = self.now + wait
        self.lanes.park(self.out[number], due)
        if self.comes_back(number):
            self.parked[self.lane_of[number]] = due

    @rule(seconds=st.integers(0, 3))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.lanes.wake(self.now)
        self.parked = {k: due for k, due in self.parked.items() if due > self.now}
        self.held = {tenant: due for tenant, due in self.held.items() if due > self.now}
        self.probed |= {tenant for tenant, due in self.paused.items() if due <= self.now}
        self.paused = {tenant: due for tenant, due in self.paused.items() if due > self.now}

    @rule(tenant=st.sampled_from("abc"))
    def wake_tenant(self, tenant: str) -> None:
        self.lanes.wake_tenant(tenant)
        self.parked = {k: due for k, due in self.parked.items() if k[0] != tenant}
        self.held.pop(tenant, None)

    @rule(partition=st.integers(0, 1), tenant=st.sampled_from("abc"), replayed=st.booleans())
    def drop(self, partition: int, tenant: str, *, replayed: bool) -> None:
        stream = sync(0, tenant, partition, replayed=replayed).stream
        self.lanes.drop([stream])
        for key, queue in self.queues.items():
            if key[0] != tenant:
                continue
            kept = [n for n in queue if n in self.lanes]
            if kept != queue and key in self.parked:
                # The lane is looked at afresh: what it waited for may be gone.
                del self.parked[key]
            for number in set(queue) - set(kept):
                assert number not in self.out
                del self.lane_of[number]
            self.queues[key] = kept

    @invariant()
    def caps_hold(self) -> None:
        flying = [n for n in self.out if n not in self.landed]
        assert self.lanes.in_flight == len(flying) <= self.total
        for tenant in "abc":
            assert sum(self.lane_of[n][0] == tenant for n in flying) <= self.each

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.lanes) == sum(map(len, self.queues.values()))
        for tenant in "abc":
            streams = [
                sync(0, tenant, partition, replayed=replayed).stream
                for partition in (0, 1)
                for replayed in (False, True)
            ]
            runnable = sum(map(self.lanes.runnable, streams))
            blocked = sum(len(self.queues[key]) for key in self.parked if key[0] == tenant)
            assert runnable == sum(map(self.lanes.loaded, streams)) - blocked


TestLanesKeepTheirLaws = LanesMachine.TestCase
TestLanesKeepTheirLaws.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
