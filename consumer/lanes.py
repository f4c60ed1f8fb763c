"""Which sync may run next: FIFO lanes, served round-robin over the tenants. Pure.

The laws it keeps, besides those of :mod:`consumer.turns`:

* of one lane at most one sync is out at a time, and they go out in the order of `seq`;
* a lane that is parked (for a retry, or in doubt) takes no slot and holds up no other lane.

What a caller may not assume: that a sync that was taken is sent (it can be parked again), or that
one that has landed is settled (its lane goes on only when it is finished).
"""

import heapq
from bisect import insort
from collections import Counter, deque
from collections.abc import Collection
from datetime import datetime
from itertools import count

from consumer.sync import Sync
from consumer.tenant_lanes import Lane, Tenant
from consumer.turns import Turns
from db.records import Stream


class Lanes:
    """All syncs in memory, by tenant and lane."""

    def __init__(self, *, max_in_flight: int, max_in_flight_per_tenant: int) -> None:
        self._turns = Turns(
            max_in_flight=max_in_flight, max_in_flight_per_tenant=max_in_flight_per_tenant
        )
        self._timetable: list[tuple[float, int, Lane]] = []
        self._tickets = count(1)
        self._lane_of: dict[int, Lane] = {}
        self._loaded: Counter[Stream] = Counter()
        self._parked: Counter[Stream] = Counter()
        self._out: dict[int, Sync] = {}

    # -- what is there ------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, sync_id: int) -> bool:
        return sync_id in self._lane_of

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return self._turns.in_flight

    def loaded(self, stream: Stream) -> int:
        """How many syncs of a stream are in memory."""
        return self._loaded[stream]

    def runnable(self, stream: Stream) -> int:
        """How many of them do not stand in a parked lane."""
        return self._loaded[stream] - self._parked[stream]

    def limit(self, tenant_id: str) -> int:
        """How many of a tenant may be in flight."""
        return self._turns.limit(tenant_id)

    def has_lane(self, tenant_id: str, key: str) -> bool:
        """Whether a tenant's lane has anything in it."""
        tenant = self._turns.find(tenant_id)
        return tenant is not None and key in tenant.lanes

    def lane_of(self, sync: Sync) -> str:
        """The key of the lane that a sync is in."""
        return self._lane_of[sync.id].key

    def key_of(self, sync_id: int) -> str:
        """Likewise, of a sync that is in memory."""
        return self._lane_of[sync_id].key

    def out_of(self, streams: Collection[Stream]) -> list[Sync]:
        """Which syncs of these streams are out."""
        return [sync for sync in self._out.values() if sync.stream in streams]

    # -- coming in ----------------------------------------------------------------------------

    def set_limit(self, tenant_id: str, limit: int | None) -> None:
        """A tenant's own cap in flight; None goes back to the default."""
        self._turns.set_limit(tenant_id, limit)

    def add(self, sync: Sync, key: str) -> bool:
        """Put a sync into a lane; False if it is in memory already."""
        if sync.id in self._lane_of:
            return False
        self._loaded[sync.stream] += 1
        self._append(self._turns.tenant(sync.tenant_id), key, sync)
        return True

    def _append(self, tenant: Tenant, key: str, sync: Sync) -> None:
        lane = tenant.lanes.get(key)
        if lane is None:
            lane = tenant.lanes[key] = Lane(key, tenant)
        self._lane_of[sync.id] = lane
        if lane.parked:
            self._parked[sync.stream] += 1
        _queue(sync, lane)
        if lane.out is not None:
            return
        if len(lane.syncs) == 1:
            self._turns.ready(lane)
        elif not lane.parked:
            self._turns.grown(lane)
        elif lane.syncs[0] is sync:
            # What it waited for is not its head, and may itself wait for this one.
            self._unpark(lane)

    # -- going out ----------------------------------------------------------------------------

    def take(self) -> Sync | None:
        """The next sync that may run, if there is one; it takes a slot."""
        lane = self._turns.next_lane()
        return None if lane is None else self._go_out(lane)

    def take_overdue(self, before: datetime) -> list[Sync]:
        """The heads of paused tenants' lanes that are too old to wait; they take slots.

        Args:
            before: too old is what was registered at this time or earlier.
        """
        return [self._go_out(lane) for lane in self._turns.overdue(before)]

    def oldest_paused(self) -> datetime | None:
        """When the oldest was registered that :meth:`take_overdue` may find; at the earliest."""
        return self._turns.oldest_paused

    def _go_out(self, lane: Lane) -> Sync:
        sync = lane.syncs.popleft()
        lane.live -= not sync.replayed
        lane.out, lane.landed = sync, False
        self._out[sync.id] = sync
        return sync

    def landed(self, sync: Sync) -> None:
        """A sync's request has ended: its slot is free, its lane still waits for the settlement."""
        lane = self._lane_of[sync.id]
        if lane.out is not sync:
            raise RuntimeError(f"sync {sync.id} lands, but is not out")
        if not lane.landed:
            lane.landed = True
            self._turns.back(lane.tenant)

    def finish(self, sync: Sync) -> None:
        """A sync is settled, or no longer ours: its lane goes on."""
        lane = self._come_back(sync)
        self._forget(sync)
        self._go_on(lane)

    def park(self, sync: Sync, due: float) -> None:
        """A sync goes back into its lane, and the lane waits.

        It waits for nothing if the sync is not its head any more, since an earlier one came in
        meanwhile: that one goes first, and the other's time is the caller's to look at again.

        Args:
            sync: one that is out.
            due: when the lane is ready again, on the clock of :meth:`wake`.
        """
        lane = self._come_back(sync)
        _queue(sync, lane)
        if lane.syncs[0] is not sync:
            self._turns.ready(lane)
            return
        lane.parked = True
        for waiting in lane.syncs:
            self._parked[waiting.stream] += 1
        lane.ticket = next(self._tickets)
        heapq.heappush(self._timetable, (due, lane.ticket, lane))

    def put_back(self, sync: Sync) -> None:
        """A sync that is out goes back into its lane, ready as it was before."""
        lane = self._come_back(sync)
        _queue(sync, lane)
        self._turns.ready(lane)

    def move(self, sync: Sync, key: str) -> None:
        """A sync that is out turns out to belong into another lane; it queues there."""
        if self._lane_of[sync.id].key == key:
            raise ValueError(f"sync {sync.id} is in lane {key} already")
        lane = self._come_back(sync)
        self._append(lane.tenant, key, sync)
        self._go_on(lane)

    # -- waiting ------------------------------------------------------------------------------

    def pause(self, tenant_id: str, until: float) -> None:
        """Take nothing of a tenant until then, and from then on one sync at a time."""
        self._turns.pause(tenant_id, until)

    def resume(self, tenant_id: str) -> None:
        """Neither pause nor probe a tenant any longer."""
        self._turns.resume(tenant_id)

    def hold(self, tenant_id: str, until: float) -> None:
        """Take nothing of a tenant until then."""
        self._turns.hold(tenant_id, until)

    def wake(self, now: float) -> None:
        """Make ready what is due."""
        self._turns.wake(now)
        while self._timetable and self._timetable[0][0] <= now:
            _, ticket, lane = heapq.heappop(self._timetable)
            if lane.parked and lane.ticket == ticket:
                self._unpark(lane)

    def next_due(self) -> float | None:
        """When :meth:`wake` has something to do next."""
        while self._timetable:
            _, ticket, lane = self._timetable[0]
            if lane.parked and lane.ticket == ticket:
                break
            heapq.heappop(self._timetable)
        times = [self._turns.next_due(), *(due for due, _, _ in self._timetable[:1])]
        return min((due for due in times if due is not None), default=None)

    def wake_tenant(self, tenant_id: str) -> None:
        """Make a tenant's waiting lanes ready at once."""
        tenant = self._turns.find(tenant_id)
        if tenant is None:
            return
        self._turns.release(tenant)
        for lane in list(tenant.lanes.values()):
            if lane.parked:
                # What it waited for was decided under the settings of before.
                lane.syncs[0].next_attempt_at = None
                self._unpark(lane)

    def drop(self, streams: Collection[Stream]) -> None:
        """Forget what is not out of streams that are no longer ours."""
        for tenant_id in {stream.tenant_id for stream in streams}:
            tenant = self._turns.find(tenant_id)
            if tenant is None:
                continue
            for lane in list(tenant.lanes.values()):
                self._drop_from(lane, streams)

    def _drop_from(self, lane: Lane, streams: Collection[Stream]) -> None:
        gone = [sync for sync in lane.syncs if sync.stream in streams]
        if not gone:
            return
        if lane.parked:
            self._unpark(lane, ready=False)
        elif lane.out is None:
            lane.tenant.ready.discard(lane)
        lane.syncs = deque(sync for sync in lane.syncs if sync.stream not in streams)
        lane.live = sum(not sync.replayed for sync in lane.syncs)
        for sync in gone:
            self._forget(sync)
        if lane.out is None:
            self._go_on(lane)

    # -- the moves that all of these are made of ----------------------------------------------

    def _come_back(self, sync: Sync) -> Lane:
        self.landed(sync)
        lane = self._lane_of[sync.id]
        lane.out = None
        del self._out[sync.id]
        return lane

    def _forget(self, sync: Sync) -> None:
        del self._lane_of[sync.id]
        self._loaded[sync.stream] -= 1
        if not self._loaded[sync.stream]:
            del self._loaded[sync.stream]

    def _go_on(self, lane: Lane) -> None:
        if lane.syncs:
            self._turns.ready(lane)
        else:
            del lane.tenant.lanes[lane.key]

    def _unpark(self, lane: Lane, *, ready: bool = True) -> None:
        lane.parked = False
        lane.ticket = 0
        for sync in lane.syncs:
            self._parked[sync.stream] -= 1
            if not self._parked[sync.stream]:
                del self._parked[sync.stream]
        if ready:
            self._turns.ready(lane)


def _queue(sync: Sync, lane: Lane) -> None:
    """Put a sync where its place is."""
    syncs = lane.syncs
    lane.live += not sync.replayed
    if not syncs or syncs[-1].seq < sync.seq:
        syncs.append(sync)
    else:
        insort(syncs, sync, key=lambda other: other.seq)
