"""Writes verdicts, in groups: status, attempt history and result event in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, assert_never

from pydantic_core import to_json

from consumer.persistence import GroupCommit
from consumer.results import About, Topics, answer, answered
from consumer.settled import Settled
from consumer.sync import Sync
from consumer.verdict import Failed, InDoubt, RetryAt, Synced
from db import settlement
from db.pool import Pool
from db.records import Answer, Content, Settlement
from schemas.inbound import ReservationCreated, StopSaleCreated, content_hash
from schemas.inbound import to_json as to_payload
from schemas.storable import storable_json, storable_text

#: Seconds that the first of a group waits for others.
_LINGER = 0.005

#: Their messages can be anywhere in the outbox.
_SOMEWHERE = 1

Settling = Synced | Failed | RetryAt | InDoubt


class _Work(NamedTuple):
    sync: Sync
    verdict: Settling
    row: Settlement


class Settler:
    """Turns verdicts into rows."""

    def __init__(
        self,
        *,
        pool: Pool,
        topics: Topics,
        on_answered: Callable[[int], None],
        on_settled: Callable[[Sequence[Settled]], None],
    ) -> None:
        self._pool = pool
        self._topics = topics
        self._on_settled = on_settled  # called with those that a group has settled for good
        self._on_answered = on_answered  # called with the first outbox id of a group
        self._group = GroupCommit(self._write, what="settling", linger=_LINGER)

    async def run(self) -> None:
        """Write groups, until cancelled."""
        await self._group.run()

    async def settle(
        self,
        sync: Sync,
        verdict: Settling,
        *,
        started_at: datetime,
        finished_at: datetime,
    ) -> bool:
        """Write a verdict; returns once it is committed.

        Returns:
            False if the sync was no longer ours to settle: somebody else has done it, or will.
        """
        row = self._row(sync, verdict, started_at, finished_at)
        return await self._group.submit(_Work(sync, verdict, row))

    async def _write(self, group: Sequence[_Work]) -> Sequence[bool]:
        written = await settlement.settle(self._pool, [work.row for work in group])
        if written.first_outbox_id is not None:
            self._on_answered(written.first_outbox_id)
        before = await self._settled_before(
            [work.row for work in group if work.sync.id not in written.ids]
        )
        is_written = [work.sync.id in written.ids | before for work in group]
        self._on_settled(
            [
                Settled(
                    sync=sync,
                    verdict=verdict,
                    attempts=row.attempt,
                    started_at=row.started_at,
                    finished_at=row.finished_at,
                )
                for (sync, verdict, row), settled in zip(group, is_written, strict=True)
                if settled and isinstance(verdict, Synced | Failed)
            ]
        )
        return is_written

    async def _settled_before(self, refused: Sequence[Settlement]) -> frozenset[int]:
        final = [row for row in refused if row.state != "pending"]
        if not final:
            return frozenset()
        # Where the reply to a commit was lost it is written again, which Postgres refuses: they are
        # not somebody else's.
        before = await settlement.settled_before(self._pool, final)
        if before:
            self._on_answered(_SOMEWHERE)
        return before

    def _row(
        self,
        sync: Sync,
        verdict: Settling,
        started_at: datetime,
        finished_at: datetime,
    ) -> Settlement:
        pending = Settlement(
            sync_id=sync.id,
            tenant_id=sync.tenant_id,
            generation=sync.generation,
            token=sync.token,
            holding=sync.lease.holding,
            attempt=sync.attempts + 1,
            state="pending",
            outcome="retry",
            started_at=started_at,
            finished_at=finished_at,
        )
        match verdict:
            case Synced(rec_id, hotel_id, adopted, conflict, message):
                return replace(
                    pending,
                    state="synced",
                    outcome="synced",
                    rec_id=rec_id,
                    hotel_id=hotel_id,
                    adopted=adopted,
                    answer=self._answer(sync, answered(verdict, sync.item), finished_at),
                    message=storable_text(message),
                    answered_otherwise=conflict,
                    restored=_content(sync.sent) if conflict else None,
                )
            case Failed(code, message, details):
                return replace(
                    pending,
                    state="failed",
                    outcome="failed",
                    # Who tries it again, by whatever way, begins with the question.
                    in_doubt_since=sync.in_doubt_since if sync.doubted else None,
                    error_code=code.value,
                    error_message=storable_text(message),
                    error_details=to_json(storable_json(details)).decode(),
                    answer=self._answer(sync, verdict, finished_at),
                )
            case RetryAt(at, reason):
                return replace(pending, next_attempt_at=at, error_message=storable_text(reason))
            case InDoubt(since, look_at, reason):
                return replace(
                    pending,
                    outcome="in_doubt",
                    in_doubt_since=since,
                    next_attempt_at=look_at,
                    error_message=storable_text(reason),
                )
            case never:
                assert_never(never)

    def _answer(self, sync: Sync, said: Synced | Failed, time: datetime) -> Answer:
        return answer(_about(sync), said, time=time, topics=self._topics)


def _about(sync: Sync) -> About:
    return About(
        sync_id=sync.id,
        tenant_id=sync.tenant_id,
        kind=sync.kind,
        email_id=sync.email_id,
        stop_sale_id=sync.stop_sale_id,
        voucher_no=sync.voucher_no,
        generation=sync.generation,
        attempts=sync.attempts + 1,
        event_id=sync.event_id,
        origin=sync.origin,
        trace=sync.trace,
    )


def _content(data: ReservationCreated | StopSaleCreated | None) -> Content | None:
    if data is None:
        return None
    return Content(
        email_id=data.email_id, payload=to_payload(data), content_hash=content_hash(data)
    )
