"""Which sync may run next: FIFO lanes, served round-robin over the tenants. Pure.

The laws it keeps:

* of one lane at most one sync is out at a time, and they go out in the order of `seq`;
* a tenant has at most its limit in flight, and all tenants together at most `max_in_flight`;
* a tenant that has something ready and room for it gets its turn before any other gets a second;
* a lane that is parked (for a retry, or in doubt) takes no slot and holds up no other lane.

What a caller may not assume: that a sync that was taken is sent (it can be parked again), or that
one that has landed is settled (its lane goes on only when it is finished).
"""

import heapq
from bisect import insort
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

from consumer.sync import Sync
from db.records import Stream


@dataclass(slots=True, eq=False)
class _Lane:
    key: str
    tenant: "_Tenant"
    syncs: deque[Sync] = field(default_factory=deque)
    out: Sync | None = None  # taken, and neither finished nor parked yet
    landed: bool = False  # the one that is out has given its slot back
    parked: bool = False  # the head waits for its time
    ticket: int = 0  # which entry of the timetable is this lane's; older ones are void


@dataclass(slots=True, eq=False)
class _Tenant:
    limit: int
    in_flight: int = 0
    lanes: dict[str, _Lane] = field(default_factory=dict)
    ready: deque[_Lane] = field(default_factory=deque)
    in_ring: bool = False


class Lanes:
    """All syncs in memory, by tenant and lane."""

    def __init__(self, *, max_in_flight: int, max_in_flight_per_tenant: int) -> None:
        self._max_in_flight = max_in_flight
        self._default_limit = max_in_flight_per_tenant
        self._limits: dict[str, int] = {}
        self._tenants: dict[str, _Tenant] = {}
        self._ring: deque[_Tenant] = deque()
        self._timetable: list[tuple[float, int, _Lane]] = []
        self._tickets = count(1)
        self._lane_of: dict[int, _Lane] = {}
        self._loaded: Counter[Stream] = Counter()
        self._parked: Counter[Stream] = Counter()
        self._out: dict[int, Sync] = {}
        self.in_flight = 0

    # -- what is there ------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, sync_id: int) -> bool:
        return sync_id in self._lane_of

    def loaded(self, stream: Stream) -> int:
        """How many syncs of a stream are in memory."""
        return self._loaded[stream]

    def runnable(self, stream: Stream) -> int:
        """How many of them do not stand in a parked lane."""
        return self._loaded[stream] - self._parked[stream]

    def limit(self, tenant_id: str) -> int:
        """How many of a tenant may be in flight."""
        return self._limits.get(tenant_id, self._default_limit)

    def has_lane(self, tenant_id: str, key: str) -> bool:
        """Whether a tenant's lane has anything in it."""
        tenant = self._tenants.get(tenant_id)
        return tenant is not None and key in tenant.lanes

    def lane_of(self, sync: Sync) -> str:
        """The key of the lane that a sync is in."""
        return self._lane_of[sync.id].key

    def out_of(self, streams: Collection[Stream]) -> list[Sync]:
        """Which syncs of these streams are out."""
        return [sync for sync in self._out.values() if sync.stream in streams]

    # -- coming in ----------------------------------------------------------------------------

    def set_limit(self, tenant_id: str, limit: int | None) -> None:
        """A tenant's own cap in flight; None goes back to the default."""
        if limit is None:
            self._limits.pop(tenant_id, None)
        else:
            self._limits[tenant_id] = limit
        tenant = self._tenants.get(tenant_id)
        if tenant is not None:
            tenant.limit = self.limit(tenant_id)
            self._enter_ring(tenant)

    def add(self, sync: Sync, key: str) -> bool:
        """Put a sync into a lane; False if it is in memory already."""
        if sync.id in self._lane_of:
            return False
        tenant = self._tenants.get(sync.tenant_id)
        if tenant is None:
            tenant = self._tenants[sync.tenant_id] = _Tenant(self.limit(sync.tenant_id))
        self._loaded[sync.stream] += 1
        self._append(tenant, key, sync)
        return True

    def _append(self, tenant: _Tenant, key: str, sync: Sync) -> None:
        lane = tenant.lanes.get(key)
        if lane is None:
            lane = tenant.lanes[key] = _Lane(key, tenant)
        self._lane_of[sync.id] = lane
        if lane.parked:
            self._parked[sync.stream] += 1
        if not lane.syncs or lane.syncs[-1].seq < sync.seq:
            lane.syncs.append(sync)
        else:
            # What a parked lane waits for stays at its head.
            insort(lane.syncs, sync, lo=1 if lane.parked else 0, key=lambda other: other.seq)
        if len(lane.syncs) == 1 and lane.out is None:
            self._make_ready(lane)

    # -- going out ----------------------------------------------------------------------------

    def take(self) -> Sync | None:
        """The next sync that may run, if there is one; it takes a slot."""
        if self.in_flight >= self._max_in_flight:
            return None
        while self._ring:
            tenant = self._ring.popleft()
            tenant.in_ring = False
            if not tenant.ready or tenant.in_flight >= tenant.limit:
                continue
            lane = tenant.ready.popleft()
            sync = lane.syncs.popleft()
            lane.out, lane.landed = sync, False
            self._out[sync.id] = sync
            tenant.in_flight += 1
            self.in_flight += 1
            self._enter_ring(tenant)
            return sync
        return None

    def landed(self, sync: Sync) -> None:
        """A sync's request has ended: its slot is free, its lane still waits for the settlement."""
        lane = self._lane_of[sync.id]
        if lane.out is not sync:
            raise RuntimeError(f"sync {sync.id} lands, but is not out")
        if not lane.landed:
            lane.landed = True
            lane.tenant.in_flight -= 1
            self.in_flight -= 1
            self._enter_ring(lane.tenant)

    def finish(self, sync: Sync) -> None:
        """A sync is settled, or no longer ours: its lane goes on."""
        lane = self._come_back(sync)
        self._forget(sync)
        self._go_on(lane)

    def park(self, sync: Sync, due: float) -> None:
        """A sync goes back to the head of its lane, and the lane waits.

        Args:
            sync: one that is out.
            due: when the lane is ready again, on the clock of :meth:`wake`.
        """
        lane = self._come_back(sync)
        lane.syncs.appendleft(sync)
        lane.parked = True
        for waiting in lane.syncs:
            self._parked[waiting.stream] += 1
        lane.ticket = next(self._tickets)
        heapq.heappush(self._timetable, (due, lane.ticket, lane))

    def move(self, sync: Sync, key: str) -> None:
        """A sync that is out turns out to belong into another lane; it queues there."""
        if self._lane_of[sync.id].key == key:
            raise ValueError(f"sync {sync.id} is in lane {key} already")
        lane = self._come_back(sync)
        self._append(lane.tenant, key, sync)
        self._go_on(lane)

    # -- waiting ------------------------------------------------------------------------------

    def wake(self, now: float) -> None:
        """Make ready what is due."""
        while self._timetable and self._timetable[0][0] <= now:
            _, ticket, lane = heapq.heappop(self._timetable)
            if lane.parked and lane.ticket == ticket:
                self._unpark(lane)

    def next_due(self) -> float | None:
        """When :meth:`wake` has something to do next."""
        while self._timetable:
            due, ticket, lane = self._timetable[0]
            if lane.parked and lane.ticket == ticket:
                return due
            heapq.heappop(self._timetable)
        return None

    def wake_tenant(self, tenant_id: str) -> None:
        """Make a tenant's waiting lanes ready at once."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return
        for lane in list(tenant.lanes.values()):
            if lane.parked:
                # What it waited for was decided under the settings of before.
                lane.syncs[0].next_attempt_at = None
                self._unpark(lane)

    def drop(self, streams: Collection[Stream]) -> None:
        """Forget what is not out of streams that are no longer ours."""
        for tenant_id in {stream.tenant_id for stream in streams}:
            tenant = self._tenants.get(tenant_id)
            if tenant is None:
                continue
            for lane in list(tenant.lanes.values()):
                self._drop_from(lane, streams)

    def _drop_from(self, lane: _Lane, streams: Collection[Stream]) -> None:
        gone = [sync for sync in lane.syncs if sync.stream in streams]
        if not gone:
            return
        if lane.parked:
            self._unpark(lane, ready=False)
        elif lane.out is None:
            lane.tenant.ready.remove(lane)
        lane.syncs = deque(sync for sync in lane.syncs if sync.stream not in streams)
        for sync in gone:
            self._forget(sync)
        if lane.out is None:
            self._go_on(lane)

    # -- the moves that all of these are made of ----------------------------------------------

    def _come_back(self, sync: Sync) -> _Lane:
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

    def _go_on(self, lane: _Lane) -> None:
        if lane.syncs:
            self._make_ready(lane)
        else:
            del lane.tenant.lanes[lane.key]

    def _make_ready(self, lane: _Lane) -> None:
        lane.tenant.ready.append(lane)
        self._enter_ring(lane.tenant)

    def _enter_ring(self, tenant: _Tenant) -> None:
        if not tenant.in_ring and tenant.ready and tenant.in_flight < tenant.limit:
            tenant.in_ring = True
            self._ring.append(tenant)

    def _unpark(self, lane: _Lane, *, ready: bool = True) -> None:
        lane.parked = False
        lane.ticket = 0
        for sync in lane.syncs:
            self._parked[sync.stream] -= 1
            if not self._parked[sync.stream]:
                del self._parked[sync.stream]
        if ready:
            self._make_ready(lane)
