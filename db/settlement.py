"""Settling: status, attempt history and result event of a group of attempts, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass

from db import headers, leases, sql
from db.errors import translated
from db.pool import Pool
from db.records import Settlement

_QUERIES = sql.load("settlement")
_SETTLE, _SETTLED_BEFORE = _QUERIES["settle"], _QUERIES["settled_before"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a group commit wrote."""

    ids: frozenset[int]  #: the syncs that it settled; the others were no longer ours to settle
    first_outbox_id: int | None  #: None: it answered nothing


async def settle(pool: Pool, settlements: Sequence[Settlement]) -> Settled:
    """Write a group of settlements, no sync twice, all or nothing.

    Raises:
        DatabaseUnavailable: keep the settlements and write them again. If the connection broke
            during the commit they may be written already; then writing them again changes nothing.
    """
    answers = [settlement.answer for settlement in settlements]
    restored = [settlement.restored for settlement in settlements]
    with translated():
        row = await pool.fetchrow(
            _SETTLE,
            [settlement.sync_id for settlement in settlements],
            [settlement.tenant_id for settlement in settlements],
            [settlement.generation for settlement in settlements],
            [settlement.attempt for settlement in settlements],
            [settlement.state for settlement in settlements],
            [settlement.outcome for settlement in settlements],
            [settlement.next_attempt_at for settlement in settlements],
            [settlement.in_doubt_since for settlement in settlements],
            [settlement.rec_id for settlement in settlements],
            [settlement.hotel_id for settlement in settlements],
            [settlement.adopted for settlement in settlements],
            [settlement.error_code for settlement in settlements],
            [settlement.error_message for settlement in settlements],
            [settlement.error_details for settlement in settlements],
            [settlement.started_at for settlement in settlements],
            [settlement.finished_at for settlement in settlements],
            [answer and answer.topic for answer in answers],
            [answer and answer.value for answer in answers],
            [answer and headers.encode(answer.headers) for answer in answers],
            [content and content.email_id for content in restored],
            [content and content.payload for content in restored],
            [content and content.content_hash for content in restored],
            [settlement.token for settlement in settlements],
            *leases.columns([settlement.holding for settlement in settlements]),
            [settlement.message for settlement in settlements],
            [settlement.answered_otherwise for settlement in settlements],
        )
    if row is None:
        return Settled(frozenset(), None)
    return Settled(frozenset(row["settled"] or ()), row["first_outbox_id"])


async def settled_before(pool: Pool, settlements: Sequence[Settlement]) -> frozenset[int]:
    """Which of these have settled their syncs already, when the reply to it was lost.

    Returns:
        Ids of syncs; none of one that another attempt has settled.
    """
    with translated():
        rows = await pool.fetch(
            _SETTLED_BEFORE,
            [settlement.sync_id for settlement in settlements],
            [settlement.tenant_id for settlement in settlements],
            [settlement.generation for settlement in settlements],
            [settlement.attempt for settlement in settlements],
            [settlement.started_at for settlement in settlements],
        )
    return frozenset(row["sync_id"] for row in rows)
