"""What a sync says of itself."""

from datetime import UTC, datetime

import pytest

from consumer.sync import Sync
from db.records import Origin, Stream
from schemas.kinds import Kind

LONG_AGO, NOW = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)


def sync(*, replayed: bool, event_time: datetime | None = LONG_AGO) -> Sync:
    return Sync(
        id=1,
        tenant_id="a",
        kind=Kind.RESERVATION,
        seq=1,
        generation=1,
        data=None,
        email_id=1,
        voucher_no="V1",
        stop_sale_id=None,
        event_id="e1",
        event_time=event_time,
        trace=None,
        origin=Origin(topic="reservation.created", partition=3, offset=1),
        registered_at=NOW,
        stored_lane=None,
        replayed=replayed,
    )


@pytest.mark.parametrize(
    "replayed, event_time, since",
    [(False, LONG_AGO, LONG_AGO), (False, None, NOW), (True, LONG_AGO, NOW), (True, None, NOW)],
)
def test_a_live_one_is_awaited_since_its_event_and_a_replayed_one_since_it_was_registered(
    event_time: datetime | None, since: datetime, *, replayed: bool
) -> None:
    assert sync(replayed=replayed, event_time=event_time).awaited_since == since


@pytest.mark.parametrize("replayed", [False, True])
def test_it_belongs_to_the_stream_of_its_class(*, replayed: bool) -> None:
    assert sync(replayed=replayed).stream == Stream(Kind.RESERVATION, 3, "a", replayed)
