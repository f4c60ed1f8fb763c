"""What is said of events that are not registered: failed results, and dead letters."""

from consumer.arrivals import Unreadable
from consumer.clock import Clock
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
from schemas.trace import TraceContext


class Refusals:
    """Writes these messages."""

    def __init__(self, *, clock: Clock, topic_failed: str, topic_deadletter: str) -> None:
        self._clock = clock
        self._topic_failed = topic_failed
        self._topic_deadletter = topic_deadletter

    def conflict(self, arrival: Arrival, row: Known) -> Message:
        """The failed result of an event that says other than what is there."""
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
                        if row.state != "failed"
                        else f"{what} has failed with other content, which a later event brought"
                    ),
                    details={"state": row.state, "first_event_id": row.event_id},
                ),
            ),
            tenant_id=arrival.tenant_id,
            digest=arrival.content_hash,
            trace=arrival.trace,
        )

    def dead_letter(self, unreadable: Unreadable) -> Message:
        """The record as it came, byte for byte."""
        rejection = unreadable.rejection
        origin = rejection.origin
        stamp = (
            b""
            if rejection.timestamp is None
            else str(round(rejection.timestamp.timestamp() * 1000)).encode()
        )
        return Message(
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

    def rejected(self, unreadable: Unreadable, tenant_id: str) -> Message:
        """The failed result of a record that could not be read, for whom its key names."""
        rejection = unreadable.rejection
        origin = rejection.origin
        is_reservation = unreadable.kind is Kind.RESERVATION
        return self._failed(
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
            tenant_id=tenant_id,
            digest=rejection.digest,
            trace=unreadable.trace,
        )

    def _failed(
        self, result: SednaFailed, *, tenant_id: str, digest: bytes, trace: TraceContext | None
    ) -> Message:
        origin = result.origin
        event = result_event(
            result=result,
            tenant_id=tenant_id,
            event_id=rejection_event_id(origin.topic, origin.partition, origin.offset, digest),
            time=self._clock.now(),
            trace=trace,
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
