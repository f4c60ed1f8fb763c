"""Which tenant is next: caps in flight, turns, and tenants that have to wait as a whole. Pure.

The laws it keeps:

* a tenant has at most its limit in flight, and all tenants together at most `max_in_flight`;
* a tenant that has something ready and room for it gets its turn before any other gets a second,
  whether that is live or replayed;
* at its turn a lane is taken in which a live sync waits, at the head or behind it, if one is ready;
  else one that holds only replayed ones. So replayed work waits for its tenant's live work and for
  nothing else: it goes on wherever there is room that no live lane is ready for, and live work that
  comes more slowly than it is done leaves such room again and again, however steadily it comes;
* a tenant that is paused gets no turn, one that is probed only while nothing of it is in flight,
  one that is held back none before its time; none of them holds up another tenant.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from consumer.tenant_lanes import Lane, Ready, Tenant


class Turns:
    """All tenants, in the order of their turns."""

    def __init__(self, *, max_in_flight: int, max_in_flight_per_tenant: int) -> None:
        self._max_in_flight = max_in_flight
        self._default_limit = max_in_flight_per_tenant
        self._limits: dict[str, int] = {}
        self._tenants: dict[str, Tenant] = {}
        self._ring: deque[Tenant] = deque()
        self._paused: dict[str, Tenant] = {}
        self._timetable: list[tuple[float, int, Tenant]] = []
        self._numbers = count()
        #: No head that waits in a paused tenant is older than this; None: none waits.
        self.oldest_paused: datetime | None = None
        self.in_flight = 0

    def find(self, tenant_id: str) -> Tenant | None:
        """A tenant, if anything was ever told of it."""
        return self._tenants.get(tenant_id)

    def tenant(self, tenant_id: str) -> Tenant:
        """A tenant."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = self._tenants[tenant_id] = Tenant(self.limit(tenant_id))
        return tenant

    def limit(self, tenant_id: str) -> int:
        """How many of a tenant may be in flight."""
        return self._limits.get(tenant_id, self._default_limit)

    def set_limit(self, tenant_id: str, limit: int | None) -> None:
        """A tenant's own cap in flight; None goes back to the default."""
        if limit is None:
            self._limits.pop(tenant_id, None)
        else:
            self._limits[tenant_id] = limit
        tenant = self._tenants.get(tenant_id)
        if tenant is not None:
            tenant.limit = self.limit(tenant_id)
            self.enter(tenant)

    # -- turns --------------------------------------------------------------------------------

    def next_lane(self) -> Lane | None:
        """Take the lane whose turn it is, and a slot for it."""
        if self.in_flight >= self._max_in_flight:
            return None
        while self._ring:
            tenant = self._ring.popleft()
            tenant.in_ring = False
            if tenant.ready and tenant.has_room:
                lane = tenant.ready.take()
                self._depart(tenant)
                self.enter(tenant)
                return lane
        return None

    def ready(self, lane: Lane) -> None:
        """A lane has something that may run."""
        lane.tenant.ready.add(lane)
        self.notice(lane)
        self.enter(lane.tenant)

    def grown(self, lane: Lane) -> None:
        """A lane that is ready has got one more: perhaps another head, or its first live one."""
        lane.tenant.ready.hasten(lane)
        self.notice(lane)

    def back(self, tenant: Tenant) -> None:
        """A slot is free."""
        tenant.in_flight -= 1
        self.in_flight -= 1
        self.enter(tenant)

    def enter(self, tenant: Tenant) -> None:
        """Give a tenant its place among the others, if it has something that may be taken."""
        if not tenant.in_ring and tenant.ready and tenant.has_room:
            tenant.in_ring = True
            self._ring.append(tenant)

    def _depart(self, tenant: Tenant) -> None:
        tenant.in_flight += 1
        self.in_flight += 1

    # -- tenants that wait --------------------------------------------------------------------

    def pause(self, tenant_id: str, until: float) -> None:
        """Take nothing of a tenant until then, and from then on one at a time."""
        tenant = self._paused[tenant_id] = self.tenant(tenant_id)
        tenant.paused, tenant.probed, tenant.paused_until = True, False, until
        tenant.oldest = None
        for lane in tenant.ready:
            self.notice(lane)
        self._schedule(until, tenant)

    def resume(self, tenant_id: str) -> None:
        """Neither pause nor probe a tenant any longer."""
        tenant = self.tenant(tenant_id)
        self._paused.pop(tenant_id, None)
        tenant.paused, tenant.probed, tenant.oldest = False, False, None
        self.enter(tenant)

    def hold(self, tenant_id: str, until: float) -> None:
        """Take nothing of a tenant until then."""
        tenant = self.tenant(tenant_id)
        if tenant.held and until <= tenant.held_until:
            return
        tenant.held, tenant.held_until = True, until
        self._schedule(until, tenant)

    def release(self, tenant: Tenant) -> None:
        """No longer hold a tenant."""
        tenant.held = False
        self.enter(tenant)

    def wake(self, now: float) -> None:
        """Let those take their turns whose time has come."""
        while self._timetable and self._timetable[0][0] <= now:
            _, _, tenant = heapq.heappop(self._timetable)
            if tenant.held and tenant.held_until <= now:
                tenant.held = False
            if tenant.paused and tenant.paused_until <= now:
                tenant.paused, tenant.probed, tenant.oldest = False, True, None
            self.enter(tenant)

    def next_due(self) -> float | None:
        """When :meth:`wake` has something to do next."""
        return self._timetable[0][0] if self._timetable else None

    def _schedule(self, due: float, tenant: Tenant) -> None:
        heapq.heappush(self._timetable, (due, next(self._numbers), tenant))

    def overdue(self, before: datetime) -> Iterator[Lane]:
        """Take the lanes of paused tenants whose head is that old, with a slot for each.

        As many as there are slots. It looks only where something is due, so that looking often
        costs little.

        Args:
            before: as old is what was registered at this time or earlier.
        """
        if self.oldest_paused is None or before < self.oldest_paused:
            return
        if self.in_flight >= self._max_in_flight:
            return
        for tenant in self._paused.values():
            if (
                tenant.oldest is not None
                and tenant.oldest <= before
                and tenant.in_flight < tenant.limit
            ):
                yield from self._overdue_of(tenant, before)
        oldest = (tenant.oldest for tenant in self._paused.values())
        self.oldest_paused = min((each for each in oldest if each is not None), default=None)

    def _overdue_of(self, tenant: Tenant, before: datetime) -> Iterator[Lane]:
        lanes, tenant.ready, tenant.oldest = tenant.ready, Ready(), None
        for lane in lanes:
            if (
                lane.syncs[0].registered_at <= before
                and tenant.in_flight < tenant.limit
                and self.in_flight < self._max_in_flight
            ):
                self._depart(tenant)
                yield lane
            else:
                tenant.ready.add(lane)
                self.notice(lane)

    def notice(self, lane: Lane) -> None:
        """A lane has another head."""
        tenant = lane.tenant
        if not tenant.paused or not lane.syncs:
            return
        since = lane.syncs[0].registered_at
        if tenant.oldest is None or since < tenant.oldest:
            tenant.oldest = since
        if self.oldest_paused is None or since < self.oldest_paused:
            self.oldest_paused = since
