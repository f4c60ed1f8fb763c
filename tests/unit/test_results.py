"""A result is the same event whenever it is published: as it settles, and again later."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consumer.results import About, Topics, answer, answer_again, answered
from consumer.verdict import Failed, Synced
from db.records import Origin, StoredResult
from schemas.examples import TRACEPARENT
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from schemas.trace import TraceContext

TOPICS = Topics(synced="the.synced", failed="the.failed")
NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, UTC)
ORIGIN = Origin(topic="reservation.created", partition=3, offset=17)
ABOUT = About(
    sync_id=7,
    tenant_id="a",
    kind=Kind.RESERVATION,
    email_id=42,
    stop_sale_id=None,
    voucher_no="V1",
    generation=2,
    attempts=3,
    event_id="e1",
    origin=ORIGIN,
    trace=TraceContext(TRACEPARENT),
)
STORED = StoredResult(
    sync_id=7,
    tenant_id="a",
    kind=Kind.RESERVATION,
    email_id=42,
    stop_sale_id=None,
    voucher_no="V1",
    generation=2,
    attempts=3,
    event_id="e1",
    origin=ORIGIN,
    trace=TraceContext(TRACEPARENT),
    state="synced",
    rec_id=823,
    hotel_id=18,
    adopted=True,
    error_code=None,
    error_message=None,
    error_details=None,
    message="reservation V1 at Mandarin",
    event=None,
    hotel_name="Mandarin Rsrt",
    settled_at=NOW,
)


def test_a_synced_one_is_published_again_as_it_was() -> None:
    said = Synced(823, 18, adopted=True, conflict=False, message="reservation V1 at Mandarin")
    assert answer_again(STORED, topics=TOPICS) == answer(ABOUT, said, time=NOW, topics=TOPICS)


def test_a_failed_one_is_published_again_as_it_was() -> None:
    details = {"candidates": [{"id": 1, "name": "Çamlıca", "score": 0.5}], "hotel_name": "x"}
    failed = Failed(ErrorCode.HOTEL_NOT_FOUND, "no hotel", details)
    stored = replace(
        STORED,
        state="failed",
        error_code="hotel_not_found",
        error_message="no hotel",
        error_details=json.dumps(details),
    )
    again = answer_again(stored, topics=TOPICS)
    assert again == answer(ABOUT, failed, time=NOW, topics=TOPICS)
    assert again is not None
    assert again.topic == "the.failed"


def test_an_answer_that_is_not_as_the_row_says_is_published_as_it_was_kept() -> None:
    conflict = answered(Synced(823, 18, adopted=True, conflict=True, message=""), "reservation/42")
    assert isinstance(conflict, Failed)
    first = answer(ABOUT, conflict, time=NOW, topics=TOPICS)
    assert answer_again(replace(STORED, event=first.value), topics=TOPICS) == first


def test_what_was_settled_before_its_text_was_kept_is_told_in_the_event_s_words() -> None:
    again = answer_again(replace(STORED, message=None), topics=TOPICS)
    assert again is not None
    assert json.loads(again.value)["data"]["message"] == "reservation V1 at Mandarin Rsrt"


@pytest.mark.parametrize(
    "changes",
    [
        {"rec_id": None},
        {"hotel_id": None},
        {"state": "failed", "error_code": None},
        {"state": "failed", "error_code": "by hand"},
    ],
)
def test_what_never_had_a_result_is_given_none(changes: dict[str, Any]) -> None:
    assert answer_again(replace(STORED, **changes), topics=TOPICS) is None
