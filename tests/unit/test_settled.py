"""The line of a settled sync: the same fields whatever came of it, by what was answered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.logs import _IDENTIFIERS
from consumer.settled import Settled, ids
from consumer.sync import Sync
from consumer.verdict import Failed, Synced
from db.records import Origin
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from schemas.trace import TraceContext

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SYNCED = Synced(77, 18, adopted=True, conflict=False, message="reservation V1 at Mandarin")
CONFLICT = Synced(77, 18, adopted=True, conflict=True, message="reservation V1 at Mandarin")
FAILED = Failed(ErrorCode.HOTEL_NOT_FOUND, "no hotel is called Nowhere")


def reservation(**changes: Any) -> Sync:
    fields: dict[str, Any] = {
        "id": 5,
        "tenant_id": "agency-7",
        "kind": Kind.RESERVATION,
        "seq": 5,
        "generation": 1,
        "data": None,
        "email_id": 42,
        "voucher_no": "V1",
        "stop_sale_id": None,
        "event_id": "e1",
        "event_time": NOW - timedelta(seconds=90),
        "trace": TraceContext(f"00-{TRACE}-00f067aa0ba902b7-01"),
        "origin": Origin(topic="reservation.created", partition=3, offset=9),
        "registered_at": NOW - timedelta(seconds=60),
        "stored_lane": None,
        "attempts": 2,
    }
    return Sync(**fields | changes)


def stop_sale(**changes: Any) -> Sync:
    of_a_stop_sale = {
        "kind": Kind.STOP_SALE,
        "email_id": None,
        "voucher_no": None,
        "stop_sale_id": 7,
        "trace": None,
    }
    return reservation(**of_a_stop_sale | changes)


def line(sync: Sync, verdict: Synced | Failed, *, now: datetime = NOW) -> dict[str, Any]:
    settled = Settled(
        sync=sync,
        verdict=verdict,
        attempts=2,
        started_at=NOW - timedelta(seconds=1.5),
        finished_at=NOW - timedelta(seconds=0.25),
    )
    return settled.line(now)


def test_a_synced_reservation_has_all_ids_and_what_came_of_it() -> None:
    assert line(reservation(), SYNCED) == {
        "event": "synced",
        "level": "info",
        "module": "consumer.settled",
        "tenant": "agency-7",
        "kind": "reservation",
        "sync": 5,
        "item": "reservation/42",
        "event_id": "e1",
        "email_id": 42,
        "voucher_no": "V1",
        "topic": "reservation.created",
        "partition": 3,
        "offset": 9,
        "trace_id": TRACE,
        "outcome": "synced",
        "code": None,
        "error": None,
        "rec_id": 77,
        "hotel_id": 18,
        "adopted": True,
        "attempts": 2,
        "duration": 90.0,
        "attempt_duration": 1.25,
    }


@pytest.mark.parametrize(
    "verdict", [SYNCED, CONFLICT, FAILED], ids=["synced", "conflict", "failed"]
)
@pytest.mark.parametrize("sync", [reservation(), stop_sale()], ids=["reservation", "stop sale"])
def test_every_outcome_has_the_same_fields(sync: Sync, verdict: Synced | Failed) -> None:
    assert line(sync, verdict).keys() == line(sync, SYNCED).keys()


def test_what_failed_has_its_code_and_reason_and_what_was_made_before() -> None:
    said = line(stop_sale(rec_id=66, hotel_id=18), FAILED)
    assert said["event"] == said["outcome"] == "failed"
    assert said["level"] == "warning"
    assert (said["code"], said["error"]) == ("hotel_not_found", "no hotel is called Nowhere")
    assert (said["rec_id"], said["hotel_id"], said["adopted"]) == (66, 18, False)


def test_a_sync_whose_event_is_answered_as_a_conflict_has_failed() -> None:
    said = line(reservation(), CONFLICT)
    assert (said["event"], said["outcome"], said["code"]) == ("failed", "failed", "conflict")
    assert "reservation/42 is already in Sedna" in said["error"]
    assert said["rec_id"] == 77


def test_ids_that_an_event_has_not_are_not_there() -> None:
    assert ids(stop_sale()).keys() == {
        "tenant", "kind", "sync", "item", "event_id", "stop_sale_id", "topic", "partition", "offset"
    }  # fmt: skip


def test_the_duration_of_replayed_work_begins_with_its_being_read_again() -> None:
    assert line(reservation(replayed=True), SYNCED)["duration"] == 60.0


def test_the_duration_is_never_below_zero_where_clocks_differ() -> None:
    assert line(reservation(), SYNCED, now=NOW - timedelta(days=1))["duration"] == 0.0


@pytest.mark.parametrize(
    "verdict", [SYNCED, CONFLICT, FAILED], ids=["synced", "conflict", "failed"]
)
def test_of_all_fields_the_reason_alone_is_a_text_that_could_hold_anything(
    verdict: Synced | Failed,
) -> None:
    """The log looks for secrets in this one, and not in names, ids, codes and numbers."""
    said = line(reservation(), verdict) | line(stop_sale(), verdict)
    texts = {name for name, value in said.items() if not isinstance(value, int | float | None)}
    assert texts - {"error", "level"} <= _IDENTIFIERS
