"""What happens to a sync between coming into its lane and leaving it.

It says which lane a sync belongs into, has the attempt made, asks for the verdict, has it settled,
and then lets the lane go on, wait, or be held.
"""

import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from structlog.stdlib import BoundLogger

from consumer.accounts import Accounts, TenantNotConfigured
from consumer.ahead import Way
from consumer.attempt import Attempt, NotOurs, NotOurTurn, OtherLane, Tools
from consumer.clock import Clock
from consumer.credentials import CannotDecrypt
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.logs import get_logger, traceback_of
from consumer.outcome import Blocked, Outcome, Paused, Refused, Unknown
from consumer.overtaken import overtaken_by
from consumer.persistence import GroupCommit, persistently
from consumer.resolving import hotel_if_cached
from consumer.sedna.errors import AccountPaused
from consumer.sedna.matching import Hotel
from consumer.settled import ids
from consumer.settler import Settler
from consumer.sync import UNRESOLVED_LANE, Sync, reservation_lane, stop_sale_lane
from consumer.tracing import Attempt as AttemptTrace
from consumer.tracing import Tracing
from consumer.verdict import (
    Failed,
    InDoubt,
    Policy,
    Postponed,
    RetryAt,
    Synced,
    Verdict,
    Waits,
    decide,
)
from db import work
from db.pool import Pool
from db.records import Mark, ResolvedLane, StepOne
from schemas.inbound import StopSaleCreated
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

_log = get_logger(__name__)

#: Seconds that the first mark of a group waits for others.
_LINGER = 0.003
#: Seconds until a refused mark is asked for again: an earlier one of the lane is pending elsewhere.
_TURN_SECONDS = 1.0
#: Seconds until an account that cannot be used is looked at again; a change of settings wakes it.
_UNUSABLE_SECONDS = 30.0
#: Seconds until a sync is looked at again whose tenant's breaker has closed just now, or changed.
_PAUSED_SECONDS = 1.0


class NotYet(Exception):
    """The account's request rate lets no further attempt begin before `at`, on `elapsed`."""

    def __init__(self, at: float) -> None:
        super().__init__(f"at {at}")
        self.at = at


class Processor:
    """Works on the syncs that the dispatcher takes from the lanes."""

    def __init__(
        self,
        *,
        pool: Pool,
        lanes: Lanes,
        accounts: Accounts,
        settler: Settler,
        leases: Leases,
        owner: str,
        clock: Clock,
        policy: Policy,
        tracing: Tracing,
        clear_way: Callable[[Sync], Awaitable[Way]],
        on_room: Callable[[], None],
        on_let_go: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._lanes = lanes
        self._accounts = accounts
        self._settler = settler
        self._leases = leases
        self._clock = clock
        self._policy = policy
        self._tracing = tracing
        self._clear_way = clear_way
        self._on_room = on_room  # a sync has left the lanes, or waits in them: others may come in
        self._on_let_go = on_let_go  # one has left that is not done: it is to be looked for
        self._jitter = jitter
        self._lanes_to_store: dict[int, ResolvedLane] = {}  # by sync id
        self._marks = GroupCommit(self._mark_group, what="marking", linger=_LINGER)
        self._owner = owner
        self._tokens = itertools.count()
        self._tools = Tools(
            mark=self._mark,
            may_send=lambda sync: leases.may_send(sync.lease),
            record_step_one=self._record_step_one,
            in_lane=self._in_lane,
            overtaken_by=partial(overtaken_by, pool),
            now=clock.now,
            elapsed=clock.elapsed,
            doubt_window=timedelta(seconds=policy.doubt_window),
        )
        self._steps = GroupCommit(self._step_group, what="storing step 1", linger=_LINGER)

    async def mark(self) -> None:
        """Write dispatch marks, until cancelled."""
        await self._marks.run()

    async def store_steps(self) -> None:
        """Write the records that step 1 of stop sales made, until cancelled."""
        await self._steps.run()

    # -- into a lane --------------------------------------------------------------------------

    def admit(self, sync: Sync) -> None:
        """Put a sync into its lane; no I/O."""
        self._lanes.add(sync, self._lane_for(sync))

    def _lane_for(self, sync: Sync) -> str:
        if sync.kind is Kind.RESERVATION:
            return reservation_lane(sync.voucher_no or "")
        if sync.in_doubt_since is not None and sync.stored_lane is not None:
            # It waits there for word from Sedna, and must not hold up other hotels meanwhile.
            return sync.stored_lane
        # Behind one that is not resolved yet, since that may be of the same hotel.
        if self._lanes.has_lane(sync.tenant_id, UNRESOLVED_LANE):
            return UNRESOLVED_LANE
        account = self._accounts.cached(sync.tenant_id)
        if account is None or not isinstance(sync.data, StopSaleCreated):
            return UNRESOLVED_LANE
        hotel = hotel_if_cached(account, sync.data)
        return UNRESOLVED_LANE if hotel is None else self._stop_sale_lane(sync, hotel)

    def _stop_sale_lane(self, sync: Sync, hotel: Hotel) -> str:
        lane = stop_sale_lane(hotel.id)
        if sync.stored_lane != lane:
            # Stored together with the next mark of any sync, and so before any later one's.
            self._lanes_to_store[sync.id] = ResolvedLane(
                sync_id=sync.id,
                tenant_id=sync.tenant_id,
                generation=sync.generation,
                lane=lane,
                holding=sync.lease.holding,
            )
            sync.stored_lane = lane
        return lane

    # -- out of a lane ------------------------------------------------------------------------

    async def process(self, sync: Sync) -> None:
        """Make one attempt at a sync that was taken from its lane, and see to what follows."""
        if not self._leases.holds(sync.lease):
            self._let_go(sync)
            return
        with self._tracing.attempt(sync) as trace:
            try:
                await self._process(sync, trace)
            except NotYet as early:
                self._lanes.hold(sync.tenant_id, early.at)
                self._lanes.put_back(sync)
            except (NotOurs, NotOurTurn, OtherLane) as error:
                trace.gave_way(error)
                sync.waiting_since = self._clock.now()
                await self._give_way(sync, error)

    async def _give_way(self, sync: Sync, error: NotOurs | NotOurTurn | OtherLane) -> None:
        match error:
            case NotOurs():
                self._let_go(sync)
            case NotOurTurn():
                await self._wait_for_turn(sync)
            case OtherLane(hotel=hotel):
                self._lanes.move(sync, self._stop_sale_lane(sync, hotel))
            case never:
                assert_never(never)

    async def _process(self, sync: Sync, trace: AttemptTrace) -> None:
        started_at = self._clock.now()
        outcome = await self._attempt(sync)
        self._lanes.landed(sync)
        finished_at = self._clock.now()
        verdict = decide(
            outcome,
            attempt=sync.attempts + 1,
            age=finished_at - sync.registered_at,
            doubt_since=sync.in_doubt_since if sync.doubted else None,
            now=finished_at,
            policy=self._policy,
            jitter=self._jitter(),
        )
        trace.came_to(verdict)
        sync.waiting_since = finished_at
        await self._follow(sync, verdict, started_at, finished_at)

    async def _attempt(self, sync: Sync) -> Outcome:
        try:
            account = await self._accounts.get(sync.tenant_id)
        except TenantNotConfigured as error:
            if sync.doubted:
                return Unknown(f"Sedna could not be asked: {error}")
            return Refused(ErrorCode.TENANT_NOT_CONFIGURED, str(error))
        except (CannotDecrypt, ValueError) as error:
            return Blocked(str(error), _UNUSABLE_SECONDS)
        try:
            account.gate.check()
        except AccountPaused as error:
            return Paused(str(error))
        at = account.gate.admit()
        if at is not None:
            raise NotYet(at)
        attempt = Attempt(sync, account, self._tools, admitted=True)
        with account:
            try:
                return await attempt.run()
            except (NotOurs, NotOurTurn, OtherLane):
                raise
            except Exception as error:  # noqa: BLE001  # what one event brings out is its own
                # and must not end the service of all others; it is shown, and never re-sent.
                shown = traceback_of(error, account.client.conceal)
                _line(sync).error("unexpected_error", exception=shown)
                return attempt.after(error)
            finally:
                attempt.turn_over()

    async def _follow(
        self, sync: Sync, verdict: Verdict, started_at: datetime, finished_at: datetime
    ) -> None:
        if isinstance(verdict, Postponed):
            _line(sync).warning("postponed", until=verdict.at.isoformat(), reason=verdict.reason)
            self._park(sync, verdict.at)
            return
        if isinstance(verdict, Waits):
            self._wait_for_tenant(sync)
            return
        with self._tracing.settling(sync, verdict):
            settled = await self._settler.settle(
                sync, verdict, started_at=started_at, finished_at=finished_at
            )
        if not settled:
            _line(sync).warning("settled_elsewhere", verdict=type(verdict).__name__)
            self._let_go(sync)
            return
        sync.attempts += 1
        if not isinstance(verdict, InDoubt):
            sync.token = None
        match verdict:
            case Synced() | Failed():
                self._leave(sync)
            case RetryAt(at=at, reason=reason):
                _line(sync).warning(
                    "will_retry", at=at.isoformat(), reason=reason, attempts=sync.attempts
                )
                sync.next_attempt_at = at
                self._park(sync, at)
            case InDoubt(since=since, look_at=look_at, reason=reason):
                _line(sync).error(
                    "in_doubt",
                    since=since.isoformat(),
                    look_at=look_at.isoformat(),
                    reason=reason,
                )
                sync.in_doubt_since = since
                sync.next_attempt_at = look_at
                self._park(sync, look_at)
            case never:
                assert_never(never)

    def _park(self, sync: Sync, until: datetime) -> None:
        wait = (until - self._clock.now()).total_seconds()
        self._wait(sync, max(wait, 0.0))

    def _wait(self, sync: Sync, seconds: float) -> None:
        self._lanes.park(sync, self._clock.elapsed() + seconds)
        self._on_room()

    def _leave(self, sync: Sync) -> None:
        self._lanes_to_store.pop(sync.id, None)
        self._lanes.finish(sync)
        self._on_room()

    def _let_go(self, sync: Sync) -> None:
        """Forget a sync that is somebody else's, or has become another than we know."""
        _line(sync).info("let_go")
        self._leave(sync)
        self._on_let_go()

    def _wait_for_tenant(self, sync: Sync) -> None:
        account = self._accounts.cached(sync.tenant_id)
        if account is not None and account.gate.breaker.is_open(self._clock.elapsed()):
            self._lanes.put_back(sync)  # it comes with all others of its tenant
        else:
            self._wait(sync, _PAUSED_SECONDS)

    async def _wait_for_turn(self, sync: Sync) -> None:
        marked = await persistently(
            lambda: work.is_marked_by_other(self._pool, sync.id, sync.tenant_id, token=sync.token),
            what="asking after a refused mark",
        )
        if marked is None:
            self._leave(sync)
        elif marked or not self._leases.holds(sync.lease):
            # Marked by somebody else, and so perhaps in doubt: to be loaded as such.
            self._let_go(sync)
        elif sync.kind is Kind.STOP_SALE and not sync.replayed and not sync.doubted:
            await self._wait_behind_replayed(sync)
        else:
            self._wait_for_others(sync)

    async def _wait_behind_replayed(self, sync: Sync) -> None:
        self._lanes.landed(sync)  # it takes no slot meanwhile
        way = await self._clear_way(sync)
        if not self._leases.holds(sync.lease):
            self._let_go(sync)
            return
        match way:
            case Way.SHORTER:
                self._lanes.put_back(sync)
            case Way.BEHIND_UNKNOWN:
                self._lanes.move(sync, UNRESOLVED_LANE)
            case Way.BLOCKED:
                self._wait_for_others(sync)
            case never:
                assert_never(never)

    def _wait_for_others(self, sync: Sync) -> None:
        _line(sync).info("waits_for_its_turn")
        self._wait(sync, _TURN_SECONDS)

    # -- what an attempt may ask for ----------------------------------------------------------

    def _in_lane(self, sync: Sync, hotel: Hotel) -> bool:
        return self._lanes.lane_of(sync) == stop_sale_lane(hotel.id)

    async def _mark(self, sync: Sync, hotel_id: int) -> float:
        if not await self._leases.sendable(sync.lease):
            raise NotOurs
        # Counted from before the mark was asked for, so never later than Postgres' own time of it.
        write_before = self._clock.elapsed() + self._policy.mark_lifetime
        mark = Mark(
            sync_id=sync.id,
            tenant_id=sync.tenant_id,
            generation=sync.generation,
            hotel_id=hotel_id,
            token=f"{self._owner}/{next(self._tokens)}",
            doubt_since=sync.in_doubt_since,
            holding=sync.lease.holding,
        )
        if not await self._marks.submit(mark):
            raise NotOurTurn
        sync.token = mark.token
        sync.hotel_id = hotel_id
        # If it was in doubt before, it is so no longer: it was proven absent.
        sync.in_doubt_since = sync.sent = None
        return write_before

    async def _mark_group(self, marks: Sequence[Mark]) -> Sequence[bool]:
        lanes = list(self._lanes_to_store.values())
        marked = await work.mark(self._pool, marks, lanes)
        for stored in lanes:
            # Unless it was resolved anew meanwhile.
            if self._lanes_to_store.get(stored.sync_id) is stored:
                del self._lanes_to_store[stored.sync_id]
        return [mark.sync_id in marked for mark in marks]

    async def _record_step_one(self, sync: Sync, rec_id: int, hotel_id: int) -> None:
        step = StepOne(
            sync_id=sync.id,
            tenant_id=sync.tenant_id,
            rec_id=rec_id,
            hotel_id=hotel_id,
            holding=sync.lease.holding,
        )
        if not await self._steps.submit(step):
            _line(sync).warning("taken_over_between_steps", rec_id=rec_id)
            raise NotOurs

    async def _step_group(self, steps: Sequence[StepOne]) -> Sequence[bool]:
        stored = await work.record_step_one(self._pool, steps)
        return [step.sync_id in stored for step in steps]


def _line(sync: Sync) -> BoundLogger:
    """A logger whose lines say which sync they are about."""
    return _log.bind(**ids(sync))
