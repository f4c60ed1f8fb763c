"""The result event of a settled sync: when it settles, and again from what is stored. Pure.

Both are written by one function, so that a second publication says what the first one did, under
the same id. It must never make up what is not known any more: then there is no result to repeat.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from consumer.verdict import Failed, Synced
from db import records
from db.records import Answer, StoredResult
from schemas.kinds import Kind
from schemas.outcomes import (
    ErrorCode,
    FailureError,
    Origin,
    SednaFailed,
    SednaSynced,
    result_event,
    result_headers,
    settlement_event_id,
)
from schemas.trace import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Where results go."""

    synced: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a result is about."""

    sync_id: int
    tenant_id: str
    kind: Kind
    email_id: int | None
    stop_sale_id: int | None
    voucher_no: str | None
    generation: int
    attempts: int  #: the one that settled it included
    event_id: str
    origin: records.Origin
    trace: TraceContext | None


def answered(verdict: Synced | Failed, item: str) -> Synced | Failed:
    """What the event is told: not that it is synced, if Sedna has what an earlier one asked for.

    Args:
        verdict: on the sync.
        item: how people know it.
    """
    if isinstance(verdict, Failed) or not verdict.conflict:
        return verdict
    return Failed(
        ErrorCode.CONFLICT,
        f"{item} is already in Sedna with other content (record {verdict.rec_id}), which "
        "stays as it is; change or cancel it in Sedna",
        {"state": "synced", "sedna_rec_id": verdict.rec_id},
    )


def answer(about: About, said: Synced | Failed, *, time: datetime, topics: Topics) -> Answer:
    """The result event of a settlement.

    Args:
        about: the sync.
        said: what :func:`answered` made of the verdict.
        time: when the last attempt ended; aware of its zone.
        topics: where it may go.
    """
    common = {
        "kind": about.kind,
        "email_id": about.email_id,
        "stop_sale_id": about.stop_sale_id,
        "voucher_no": about.voucher_no,
        "attempts": about.attempts,
        "origin": Origin(
            event_id=about.event_id,
            topic=about.origin.topic,
            partition=about.origin.partition,
            offset=about.origin.offset,
        ),
    }
    result: SednaSynced | SednaFailed
    if isinstance(said, Synced):
        result = SednaSynced(
            **common,
            sedna_rec_id=said.rec_id,
            sedna_hotel_id=said.hotel_id,
            adopted=said.adopted,
            message=said.message,
        )
    else:
        result = SednaFailed(
            **common,
            error=FailureError(code=said.code, message=said.message, details=dict(said.details)),
        )
    event = result_event(
        result=result,
        tenant_id=about.tenant_id,
        event_id=settlement_event_id(about.sync_id, about.generation),
        time=time,
        trace=about.trace,
    )
    topic = topics.synced if isinstance(said, Synced) else topics.failed
    return Answer(topic=topic, value=event.value, headers=tuple(event.headers))


def answer_again(stored: StoredResult, *, topics: Topics) -> Answer | None:
    """The result of a sync that was settled before.

    Returns:
        None: it was settled by hand, so that there never was a result, or not all of it is known.
    """
    if stored.event is not None:
        headers = tuple(result_headers(stored.trace))
        return Answer(topic=topics.failed, value=stored.event, headers=headers)
    said = _said(stored)
    if said is None:
        return None
    about = About(
        sync_id=stored.sync_id,
        tenant_id=stored.tenant_id,
        kind=stored.kind,
        email_id=stored.email_id,
        stop_sale_id=stored.stop_sale_id,
        voucher_no=stored.voucher_no,
        generation=stored.generation,
        attempts=stored.attempts,
        event_id=stored.event_id,
        origin=stored.origin,
        trace=stored.trace,
    )
    return answer(about, said, time=stored.settled_at, topics=topics)


def _said(stored: StoredResult) -> Synced | Failed | None:
    if stored.state == "synced":
        if stored.rec_id is None or stored.hotel_id is None:
            return None
        what = (
            f"reservation {stored.voucher_no}"
            if stored.kind is Kind.RESERVATION
            else f"stop sale {stored.stop_sale_id}"
        )
        return Synced(
            rec_id=stored.rec_id,
            hotel_id=stored.hotel_id,
            adopted=stored.adopted,
            conflict=False,
            # Of what was settled before the text was kept, only the event's own words are known.
            message=stored.message or f"{what} at {stored.hotel_name}",
        )
    try:
        code = ErrorCode(stored.error_code or "")
    except ValueError:
        return None
    return Failed(code, stored.error_message or "", json.loads(stored.error_details or "{}"))
