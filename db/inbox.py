"""Registering: a whole poll's batch goes into `syncs` and `rejections` in one transaction.

Only when the block of :func:`registration` has ended may the offsets of the batch be committed.
What becomes of an identity that exists is decided by the caller, between `insert` and `renew`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from db import headers, sql
from db.errors import translated
from db.pool import Connection, Pool
from db.records import Arrival, Known, Message, Origin, Registered, Rejection

_QUERIES = sql.load("inbox")
_ADD_MESSAGES = sql.load("outbox")["add"]

Identity = tuple[str, str, str]


class Registration:
    """One open transaction; use it inside :func:`registration`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._places: dict[Identity, int] = {}  # the seq that `insert` gave each arrival

    async def insert(self, arrivals: Sequence[Arrival]) -> dict[Identity, Registered]:
        """Store new work; identities that exist are missing from the result.

        Args:
            arrivals: in the order of the topic, no identity twice.
        """
        rows = await self._connection.fetch(
            _QUERIES["insert"],
            [arrival.tenant_id for arrival in arrivals],
            [arrival.kind.value for arrival in arrivals],
            [arrival.email_id for arrival in arrivals],
            [arrival.voucher_no for arrival in arrivals],
            [arrival.stop_sale_id for arrival in arrivals],
            *_event_columns(arrivals),
        )
        placed = list(zip(arrivals, rows, strict=True))
        self._places |= {arrival.identity: row["seq"] for arrival, row in placed}
        return {
            arrival.identity: Registered(
                id=row["id"],
                seq=row["seq"],
                generation=1,
                registered_at=row["registered_at"],
            )
            for arrival, row in placed
            if row["id"] is not None
        }

    async def existing(self, identities: Sequence[Identity]) -> dict[Identity, Known]:
        """What is known of identities that `insert` left alone; locked until the end."""
        rows = await self._connection.fetch(
            _QUERIES["existing"],
            [tenant_id for tenant_id, _, _ in identities],
            [kind for _, kind, _ in identities],
            [business_key for _, _, business_key in identities],
        )
        return {
            (row["tenant_id"], row["kind"], row["business_key"]): Known(
                id=row["id"],
                state=row["state"],
                content_hash=row["content_hash"],
                event_id=row["event_id"],
                origin=Origin(
                    topic=row["origin_topic"],
                    partition=row["origin_partition"],
                    offset=row["origin_offset"],
                ),
                earlier_events=frozenset(row["earlier_events"]),
                in_doubt_since=row["in_doubt_since"],
            )
            for row in rows
        }

    async def renew(self, tries: Sequence[tuple[int, Arrival]]) -> dict[Identity, Registered]:
        """Try failed syncs anew with what has arrived, in the order that `insert` was given.

        Args:
            tries: pairs of (sync id, arrival that `insert` left alone).
        """
        arrivals = [arrival for _, arrival in tries]
        rows = await self._connection.fetch(
            _QUERIES["renew"],
            [sync_id for sync_id, _ in tries],
            [arrival.email_id for arrival in arrivals],
            *_event_columns(arrivals),
            [self._places[arrival.identity] for arrival in arrivals],
            [arrival.tenant_id for arrival in arrivals],
        )
        return {
            (row["tenant_id"], row["kind"], row["business_key"]): Registered(
                id=row["id"],
                seq=row["seq"],
                generation=row["generation"],
                registered_at=row["registered_at"],
                in_doubt_since=row["in_doubt_since"],
                doubted_payload=row["doubted_payload"],
                dispatch_token=row["dispatch_token"],
                sedna_rec_id=row["sedna_rec_id"],
                sedna_hotel_id=row["sedna_hotel_id"],
            )
            for row in rows
        }

    async def reject(self, rejections: Sequence[Rejection]) -> set[tuple[Origin, bytes]]:
        """Store events that could not be read; returns those that were not stored before."""
        rows = await self._connection.fetch(
            _QUERIES["reject"],
            [rejection.origin.topic for rejection in rejections],
            [rejection.origin.partition for rejection in rejections],
            [rejection.origin.offset for rejection in rejections],
            [rejection.timestamp for rejection in rejections],
            [rejection.key for rejection in rejections],
            [rejection.value for rejection in rejections],
            [headers.encode(rejection.headers) for rejection in rejections],
            [rejection.digest for rejection in rejections],
            [rejection.tenant_id for rejection in rejections],
            [rejection.event_id for rejection in rejections],
            [rejection.error_code for rejection in rejections],
            [rejection.error_message for rejection in rejections],
            [rejection.error_details for rejection in rejections],
        )
        return {
            (
                Origin(
                    topic=row["origin_topic"],
                    partition=row["origin_partition"],
                    offset=row["origin_offset"],
                ),
                row["digest"],
            )
            for row in rows
        }

    async def add_messages(self, messages: Sequence[Message]) -> int:
        """Put messages into the outbox; returns the first one's id."""
        rows = await self._connection.fetch(
            _ADD_MESSAGES,
            [message.kind.value for message in messages],
            [message.partition for message in messages],
            [message.tenant_id for message in messages],
            [message.topic for message in messages],
            [message.key for message in messages],
            [message.value for message in messages],
            [headers.encode(message.headers) for message in messages],
        )
        return min(int(row["id"]) for row in rows)


def _event_columns(arrivals: Sequence[Arrival]) -> tuple[list[Any], ...]:
    """What `insert` and `renew` both store of an event, column by column."""
    return (
        [arrival.payload for arrival in arrivals],
        [arrival.content_hash for arrival in arrivals],
        [arrival.event_id for arrival in arrivals],
        [arrival.event_time for arrival in arrivals],
        [arrival.traceparent for arrival in arrivals],
        [arrival.origin.topic for arrival in arrivals],
        [arrival.origin.partition for arrival in arrivals],
        [arrival.origin.offset for arrival in arrivals],
        [arrival.lane for arrival in arrivals],
    )


@asynccontextmanager
async def registration(pool: Pool) -> AsyncIterator[Registration]:
    """A transaction that is committed when the block ends, and rolled back if it raises.

    Raises:
        DatabaseUnavailable: nothing was stored, or, if the connection broke during the commit,
            perhaps all of it: register the batch again, which is harmless.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            yield Registration(connection)
