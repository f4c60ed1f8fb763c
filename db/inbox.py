"""Registering: a whole poll's batch goes into `syncs` and `rejections` in one transaction.

Only when the block of :func:`registration` has ended may the offsets of the batch be committed.
What becomes of an identity that exists is decided by the caller, between `insert` and `renew`.
Who only wants to know what is registered has :func:`look` and :func:`recognise`.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from db import headers, notices, sql
from db.errors import translated
from db.pool import Connection, Pool
from db.records import Arrival, Known, Message, Origin, Registered, Rejection, Stream
from schemas.kinds import Kind

_QUERIES = sql.load("inbox")
_ADD_MESSAGES = sql.load("outbox")["add"]

Identity = tuple[str, str, str]


class Registration:
    """One open transaction; use it inside :func:`registration`."""

    def __init__(self, connection: Connection, replay_id: int | None = None) -> None:
        self.connection = connection
        self._replay_id = replay_id
        self._places: dict[Identity, int] = {}  # the seq that `insert` gave each arrival

    async def insert(self, arrivals: Sequence[Arrival]) -> dict[Identity, Registered]:
        """Store new work; identities that exist are missing from the result.

        Args:
            arrivals: in the order of the topic, no identity twice.
        """
        rows = await self.connection.fetch(
            _QUERIES["insert"],
            [arrival.tenant_id for arrival in arrivals],
            [arrival.kind.value for arrival in arrivals],
            [arrival.email_id for arrival in arrivals],
            [arrival.voucher_no for arrival in arrivals],
            [arrival.stop_sale_id for arrival in arrivals],
            *_event_columns(arrivals),
            self._replay_id,
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
        rows = await self.connection.fetch(_QUERIES["existing"], *_columns(identities))
        return _known(rows)

    async def promote(self, syncs: Sequence[tuple[str, int]]) -> None:
        """Let pending work of a replay no longer give way; its owner is told.

        Args:
            syncs: (tenant id, sync id), whose events have come live as well.
        """
        rows = await self.connection.fetch(
            _QUERIES["promote"],
            [tenant_id for tenant_id, _ in syncs],
            [sync_id for _, sync_id in syncs],
        )
        await notices.tell(
            self.connection,
            (Stream(Kind(row["kind"]), row["origin_partition"], row["tenant_id"]) for row in rows),
        )

    async def add_conflicts(self, conflicts: Sequence[Arrival]) -> set[tuple[Origin, bytes]]:
        """Note events as answered with a conflict; returns (origin, digest) of what is new."""
        rows = await self.connection.fetch(
            _QUERIES["add_conflicts"],
            [arrival.origin.topic for arrival in conflicts],
            [arrival.origin.partition for arrival in conflicts],
            [arrival.origin.offset for arrival in conflicts],
            [arrival.content_hash for arrival in conflicts],
            [arrival.tenant_id for arrival in conflicts],
        )
        return _origins(rows)

    async def renew(self, tries: Sequence[tuple[int, Arrival]]) -> dict[Identity, Registered]:
        """Try failed syncs anew with what has arrived, in the order that `insert` was given.

        Args:
            tries: pairs of (sync id, arrival that `insert` left alone).
        """
        arrivals = [arrival for _, arrival in tries]
        rows = await self.connection.fetch(
            _QUERIES["renew"],
            [sync_id for sync_id, _ in tries],
            [arrival.email_id for arrival in arrivals],
            *_event_columns(arrivals),
            [self._places[arrival.identity] for arrival in arrivals],
            [arrival.tenant_id for arrival in arrivals],
            self._replay_id,
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
        rows = await self.connection.fetch(
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
        return _origins(rows)

    async def add_messages(self, messages: Sequence[Message]) -> int:
        """Put messages into the outbox; returns the first one's id."""
        rows = await self.connection.fetch(
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
        [None if arrival.trace is None else arrival.trace.parent for arrival in arrivals],
        [None if arrival.trace is None else arrival.trace.state for arrival in arrivals],
        [arrival.origin.topic for arrival in arrivals],
        [arrival.origin.partition for arrival in arrivals],
        [arrival.origin.offset for arrival in arrivals],
        [arrival.lane for arrival in arrivals],
        [arrival.fingerprint for arrival in arrivals],
    )


@asynccontextmanager
async def registration(pool: Pool, *, replay_id: int | None = None) -> AsyncIterator[Registration]:
    """A transaction that is committed when the block ends, and rolled back if it raises.

    Args:
        pool: the connections.
        replay_id: of the replay that registers; None: it comes live.

    Raises:
        DatabaseUnavailable: nothing was stored, or, if the connection broke during the commit,
            perhaps all of it: register the batch again, which is harmless.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            yield Registration(connection, replay_id)


# -- for who only looks ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What has become of some events whose rows were recognised."""

    state: str
    in_doubt: bool
    error_code: str | None
    places: Sequence[int]  #: of the events, in what was asked, from 0
    ids: Sequence[int]  #: of their syncs, in the same order


async def look(pool: Pool, identities: Sequence[Identity]) -> dict[Identity, Known]:
    """What is known of identities; nothing is locked."""
    with translated():
        return _known(await pool.fetch(_QUERIES["look"], *_columns(identities)))


async def recognise(
    pool: Pool, kind: Kind, topic: str, events: Sequence[tuple[str, str, int, int, bytes]]
) -> list[Standing]:
    """Which events are, to the byte, those that rows are made of.

    Args:
        pool: the connections.
        kind: of the topic.
        topic: that they came from.
        events: (tenant id, business key, partition, offset, fingerprint) of each; not none.
    """
    tenants, keys, partitions, offsets, fingerprints = zip(*events, strict=True)
    kinds = [kind.value] * len(events)
    with translated():
        rows = await pool.fetch(
            _QUERIES["recognise"], topic, tenants, kinds, keys, partitions, offsets, fingerprints
        )
    return [
        Standing(
            state=row["state"],
            in_doubt=row["in_doubt"],
            error_code=row["error_code"],
            places=[place - 1 for place in row["places"]],
            ids=row["ids"],
        )
        for row in rows
    ]


def _columns(identities: Sequence[Identity]) -> tuple[list[str], ...]:
    return (
        [tenant_id for tenant_id, _, _ in identities],
        [kind for _, kind, _ in identities],
        [business_key for _, _, business_key in identities],
    )


def _known(rows: Iterable[asyncpg.Record]) -> dict[Identity, Known]:
    return {
        (row["tenant_id"], row["kind"], row["business_key"]): Known(
            id=row["id"],
            state=row["state"],
            content_hash=row["content_hash"],
            event_id=row["event_id"],
            origin=_origin(row),
            earlier_events=frozenset(row["earlier_events"]),
            in_doubt_since=row["in_doubt_since"],
            generation=row["generation"],
            error_code=row["error_code"],
            replay_id=row["replay_id"],
            replayed=row["replayed"],
        )
        for row in rows
    }


def _origins(rows: Iterable[asyncpg.Record]) -> set[tuple[Origin, bytes]]:
    return {(_origin(row), row["digest"]) for row in rows}


def _origin(row: asyncpg.Record) -> Origin:
    return Origin(
        topic=row["origin_topic"],
        partition=row["origin_partition"],
        offset=row["origin_offset"],
    )
