"""Registers a batch: new work, rejections and what they are answered with, in one transaction."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from consumer.arrivals import Readable, Unreadable
from consumer.clock import Clock
from consumer.registration import Seen, compare, rounds
from consumer.sync import Sync, from_arrival
from db import inbox
from db.pool import Pool
from db.records import Arrival, Known, Message
from schemas.kinds import Kind
from schemas.outcomes import (
    ErrorCode,
    FailureError,
    Origin,
    SednaFailed,
    rejection_event_id,
    result_event,
)


@dataclass(slots=True)
class Registration:
    """What a batch has led to; true once the transaction is committed."""

    syncs: list[Sync] = field(default_factory=list)  #: work to do, new or tried anew
    seen: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    #: how many of each kind were `registered`, `duplicate`, `conflict` or `rejected`
    first_outbox_id: int | None = None  #: None: nothing was answered


class Registrar:
    """Writes batches into Postgres."""

    def __init__(
        self,
        *,
        pool: Pool,
        clock: Clock,
        topic_failed: str,
        topic_deadletter: str,
        on_seen: Callable[[Mapping[tuple[Kind, str], int]], None],
    ) -> None:
        self._on_seen = on_seen  # told `Registration.seen` of what is committed
        self._pool = pool
        self._clock = clock
        self._topic_failed = topic_failed
        self._topic_deadletter = topic_deadletter

    async def register(
        self, readable: Sequence[Readable], unreadable: Sequence[Unreadable]
    ) -> Registration:
        """Store a batch; registering it again changes nothing.

        Args:
            readable: in the order of the topics.
            unreadable: likewise.

        Raises:
            DatabaseUnavailable: register the batch again.
        """
        done = Registration()
        messages: list[Message] = []
        data = {id(each.arrival): each.data for each in readable}
        async with inbox.registration(self._pool) as transaction:
            for arrivals in rounds([each.arrival for each in readable]):
                places = await transaction.insert(arrivals)
                rest = [arrival for arrival in arrivals if arrival.identity not in places]
                if rest:
                    known = await transaction.existing([arrival.identity for arrival in rest])
                    tries, conflicts = self._sort(rest, known, done.seen)
                    messages += conflicts
                    if tries:
                        places |= await transaction.renew(tries)
                for arrival in arrivals:
                    place = places.get(arrival.identity)
                    if place is not None:
                        done.seen[arrival.kind, "registered"] += 1
                        done.syncs.append(from_arrival(arrival, data[id(arrival)], place))
            if unreadable:
                new = await transaction.reject([each.rejection for each in unreadable])
                for each in unreadable:
                    done.seen[each.kind, "rejected"] += 1
                    if (each.rejection.origin, each.rejection.digest) in new:
                        messages += self._answers(each)
            if messages:
                done.first_outbox_id = await transaction.add_messages(messages)
        self._on_seen(done.seen)
        done.syncs.sort(key=lambda sync: sync.seq)
        return done

    def _sort(
        self,
        arrivals: Sequence[Arrival],
        known: dict[inbox.Identity, Known],
        seen: Counter[tuple[Kind, str]],
    ) -> tuple[list[tuple[int, Arrival]], list[Message]]:
        """Tell new tries from conflicts; count the rest."""
        tries: list[tuple[int, Arrival]] = []
        conflicts: list[Message] = []
        for arrival in arrivals:
            row = known[arrival.identity]
            match compare(arrival, row):
                case Seen.NEW_TRY:
                    tries.append((row.id, arrival))
                case Seen.CONFLICT:
                    seen[arrival.kind, "conflict"] += 1
                    conflicts.append(self._conflict(arrival, row))
                case Seen.DUPLICATE | Seen.REDELIVERY:
                    seen[arrival.kind, "duplicate"] += 1
                case never:
                    assert_never(never)
        return tries, conflicts

    def _conflict(self, arrival: Arrival, row: Known) -> Message:
        what = (
            f"voucher {arrival.voucher_no}"
            if arrival.kind is Kind.RESERVATION
            else f"stop sale {arrival.stop_sale_id}"
        )
        return self._failed(
            SednaFailed(
                kind=arrival.kind,
                email_id=arrival.email_id,
                stop_sale_id=arrival.stop_sale_id,
                voucher_no=arrival.voucher_no,
                attempts=0,
                origin=Origin(
                    event_id=arrival.event_id,
                    topic=arrival.origin.topic,
                    partition=arrival.origin.partition,
                    offset=arrival.origin.offset,
                ),
                error=FailureError(
                    code=ErrorCode.CONFLICT,
                    message=(
                        f"{what} is already {row.state} with other content, which stays as it is; "
                        f"change or cancel it in Sedna"
                    ),
                    details={"state": row.state, "first_event_id": row.event_id},
                ),
            ),
            tenant_id=arrival.tenant_id,
            digest=arrival.content_hash,
            traceparent=arrival.traceparent,
        )

    def _answers(self, unreadable: Unreadable) -> list[Message]:
        rejection = unreadable.rejection
        origin = rejection.origin
        stamp = (
            b""
            if rejection.timestamp is None
            else str(round(rejection.timestamp.timestamp() * 1000)).encode()
        )
        dead_letter = Message(
            kind=unreadable.kind,
            partition=origin.partition,
            tenant_id=rejection.tenant_id,
            topic=self._topic_deadletter,
            key=rejection.key,
            value=rejection.value,
            headers=(
                *rejection.headers,
                ("x-origin-topic", origin.topic.encode()),
                ("x-origin-partition", str(origin.partition).encode()),
                ("x-origin-offset", str(origin.offset).encode()),
                ("x-origin-timestamp", stamp),
                ("x-error-code", rejection.error_code.encode()),
                ("x-error-message", rejection.error_message.encode()),
            ),
        )
        if rejection.tenant_id is None:
            return [dead_letter]
        is_reservation = unreadable.kind is Kind.RESERVATION
        failed = self._failed(
            SednaFailed(
                kind=unreadable.kind,
                email_id=unreadable.item_id if is_reservation else None,
                stop_sale_id=None if is_reservation else unreadable.item_id,
                attempts=0,
                origin=Origin(
                    event_id=rejection.event_id,
                    topic=origin.topic,
                    partition=origin.partition,
                    offset=origin.offset,
                ),
                error=FailureError(
                    code=ErrorCode.INVALID_EVENT,
                    message=rejection.error_message,
                    details={"problems": list(unreadable.details)},
                ),
            ),
            tenant_id=rejection.tenant_id,
            digest=rejection.digest,
            traceparent=unreadable.traceparent,
        )
        return [dead_letter, failed]

    def _failed(
        self, result: SednaFailed, *, tenant_id: str, digest: bytes, traceparent: str | None
    ) -> Message:
        origin = result.origin
        event = result_event(
            result=result,
            tenant_id=tenant_id,
            event_id=rejection_event_id(origin.topic, origin.partition, origin.offset, digest),
            time=self._clock.now(),
            traceparent=traceparent,
        )
        return Message(
            kind=result.kind,
            partition=origin.partition,
            tenant_id=tenant_id,
            topic=self._topic_failed,
            key=event.key,
            value=event.value,
            headers=tuple(event.headers),
        )
