"""Writes verdicts, in groups: status, attempt history and result event in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from pydantic_core import to_json

from consumer.persistence import GroupCommit
from consumer.sync import Sync
from consumer.verdict import Failed, InDoubt, RetryAt, Synced
from db import settlement
from db.pool import Pool
from db.records import Answer, Content, Settlement
from schemas.inbound import ReservationCreated, StopSaleCreated, content_hash
from schemas.inbound import to_json as to_payload
from schemas.outcomes import (
    ErrorCode,
    FailureError,
    Origin,
    SednaFailed,
    SednaSynced,
    result_event,
    settlement_event_id,
)
from schemas.storable import storable_json, storable_text

#: Seconds that the first of a group waits for others.
_LINGER = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Where results go."""

    synced: str
    failed: str


class Settler:
    """Turns verdicts into rows."""

    def __init__(
        self,
        *,
        pool: Pool,
        topics: Topics,
        on_answered: Callable[[int], None],
        on_settled: Callable[[Sync, ErrorCode | None], None],
    ) -> None:
        self._pool = pool
        self._topics = topics
        self._on_settled = on_settled  # called with what was answered, once it is committed
        self._on_answered = on_answered  # called with the first outbox id of a group
        self._group = GroupCommit(self._write, what="settling", linger=_LINGER)

    async def run(self) -> None:
        """Write groups, until cancelled."""
        await self._group.run()

    async def settle(
        self,
        sync: Sync,
        verdict: Synced | Failed | RetryAt | InDoubt,
        *,
        started_at: datetime,
        finished_at: datetime,
    ) -> bool:
        """Write a verdict; returns once it is committed.

        Returns:
            False if the sync was no longer ours to settle: somebody else has done it, or will.
        """
        row = self._row(sync, verdict, started_at, finished_at)
        settled = await self._group.submit(row)
        if settled and isinstance(verdict, Synced | Failed):
            answered = _answered(verdict, sync) if isinstance(verdict, Synced) else verdict
            self._on_settled(sync, answered.code if isinstance(answered, Failed) else None)
        return settled

    async def _write(self, rows: Sequence[Settlement]) -> Sequence[bool]:
        settled = await settlement.settle(self._pool, rows)
        if settled.first_outbox_id is not None:
            self._on_answered(settled.first_outbox_id)
        return [row.sync_id in settled.ids for row in rows]

    def _row(
        self,
        sync: Sync,
        verdict: Synced | Failed | RetryAt | InDoubt,
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
            case Synced(rec_id, hotel_id, adopted, conflict, _):
                return replace(
                    pending,
                    state="synced",
                    outcome="synced",
                    rec_id=rec_id,
                    hotel_id=hotel_id,
                    adopted=adopted,
                    answer=self._answer(sync, _answered(verdict, sync), finished_at),
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

    def _answer(self, sync: Sync, verdict: Synced | Failed, time: datetime) -> Answer:
        origin = Origin(
            event_id=sync.event_id,
            topic=sync.origin.topic,
            partition=sync.origin.partition,
            offset=sync.origin.offset,
        )
        result: SednaSynced | SednaFailed
        if isinstance(verdict, Synced):
            result = SednaSynced(
                kind=sync.kind,
                email_id=sync.email_id,
                stop_sale_id=sync.stop_sale_id,
                voucher_no=sync.voucher_no,
                attempts=sync.attempts + 1,
                origin=origin,
                sedna_rec_id=verdict.rec_id,
                sedna_hotel_id=verdict.hotel_id,
                adopted=verdict.adopted,
                message=verdict.message,
            )
        else:
            result = SednaFailed(
                kind=sync.kind,
                email_id=sync.email_id,
                stop_sale_id=sync.stop_sale_id,
                voucher_no=sync.voucher_no,
                attempts=sync.attempts + 1,
                origin=origin,
                error=FailureError(
                    code=verdict.code,
                    message=verdict.message,
                    details=dict(verdict.details),
                ),
            )
        event = result_event(
            result=result,
            tenant_id=sync.tenant_id,
            event_id=settlement_event_id(sync.id, sync.generation),
            time=time,
            traceparent=sync.traceparent,
        )
        topic = self._topics.synced if isinstance(verdict, Synced) else self._topics.failed
        return Answer(topic=topic, value=event.value, headers=tuple(event.headers))


def _answered(verdict: Synced, sync: Sync) -> Synced | Failed:
    """What the event is told: not that it is synced, if Sedna has what an earlier one asked for."""
    if not verdict.conflict:
        return verdict
    return Failed(
        ErrorCode.CONFLICT,
        f"{sync.item} is already in Sedna with other content (record {verdict.rec_id}), which "
        "stays as it is; change or cancel it in Sedna",
        {"state": "synced", "sedna_rec_id": verdict.rec_id},
    )


def _content(data: ReservationCreated | StopSaleCreated | None) -> Content | None:
    if data is None:
        return None
    return Content(
        email_id=data.email_id, payload=to_payload(data), content_hash=content_hash(data)
    )
