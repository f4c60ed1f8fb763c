"""The table "Events that were seen before", row by row, and how a batch is split into rounds."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.registration import Seen, compare, rounds
from db.records import Arrival, Known, Origin
from schemas.kinds import Kind

ORIGIN = Origin(topic="reservation.created", partition=3, offset=1207)
ARRIVAL = Arrival(
    tenant_id="agency-7",
    kind=Kind.RESERVATION,
    business_key="V1",
    email_id=42,
    voucher_no="V1",
    stop_sale_id=None,
    payload="{}",
    content_hash=b"same",
    event_id="e1",
    event_time=None,
    trace=None,
    origin=ORIGIN,
    lane="voucher:V1",
    fingerprint=b"bytes",
)
KNOWN = Known(
    id=1,
    state="pending",
    content_hash=b"same",
    event_id="e1",
    origin=ORIGIN,
    in_doubt_since=None,
    earlier_events=frozenset(),
    generation=1,
    error_code=None,
    replay_id=None,
    replayed=False,
)
#: Published a second time: elsewhere in the topic, and with an id of its own.
AGAIN = replace(ARRIVAL, origin=replace(ORIGIN, offset=1300), event_id="e2")
DOUBT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("in_doubt_since", [None, DOUBT])
@pytest.mark.parametrize("state", ["pending", "synced", "failed"])
def test_the_same_record_delivered_again_is_a_redelivery_whatever_became_of_it(
    state: str, in_doubt_since: datetime | None
) -> None:
    known = replace(KNOWN, state=state, in_doubt_since=in_doubt_since)
    assert compare(ARRIVAL, known) is Seen.REDELIVERY


@pytest.mark.parametrize(
    "state, in_doubt_since, same_content, other_content",
    [
        ("pending", None, Seen.DUPLICATE, Seen.CONFLICT),
        ("pending", DOUBT, Seen.DUPLICATE, Seen.CONFLICT),
        ("synced", None, Seen.DUPLICATE, Seen.CONFLICT),
        ("failed", None, Seen.NEW_TRY, Seen.NEW_TRY),
        ("failed", DOUBT, Seen.NEW_TRY, Seen.NEW_TRY),
    ],
)
def test_what_was_published_again_is_what_the_table_says(
    state: str, in_doubt_since: datetime | None, same_content: Seen, other_content: Seen
) -> None:
    known = replace(KNOWN, state=state, in_doubt_since=in_doubt_since)
    assert compare(AGAIN, known) is same_content
    assert compare(replace(AGAIN, content_hash=b"other"), known) is other_content


@pytest.mark.parametrize(
    "state, seen", [("pending", Seen.CONFLICT), ("synced", Seen.CONFLICT), ("failed", Seen.NEW_TRY)]
)
def test_other_content_at_the_same_place_is_of_a_topic_that_was_created_anew(
    state: str, seen: Seen
) -> None:
    assert compare(replace(ARRIVAL, content_hash=b"other"), replace(KNOWN, state=state)) is seen


@pytest.mark.parametrize(
    "state, seen",
    [("pending", Seen.DUPLICATE), ("synced", Seen.DUPLICATE), ("failed", Seen.NEW_TRY)],
)
def test_another_event_at_the_same_place_is_of_a_topic_that_was_created_anew(
    state: str, seen: Seen
) -> None:
    assert compare(replace(ARRIVAL, event_id="e2"), replace(KNOWN, state=state)) is seen


@pytest.mark.parametrize(
    "origin",
    [
        replace(ORIGIN, topic="reservation.created.v2"),
        replace(ORIGIN, partition=4),
        replace(ORIGIN, offset=1208),
    ],
)
def test_the_same_event_at_another_place_was_published_again(origin: Origin) -> None:
    arrival = replace(ARRIVAL, origin=origin)
    assert compare(arrival, replace(KNOWN, state="failed")) is Seen.NEW_TRY
    assert compare(arrival, KNOWN) is Seen.DUPLICATE


batches = st.lists(
    st.builds(
        lambda tenant, kind, key, offset: replace(
            ARRIVAL,
            tenant_id=tenant,
            kind=kind,
            business_key=key,
            origin=replace(ORIGIN, offset=offset),
        ),
        st.sampled_from(["a", "b"]),
        st.sampled_from(Kind),
        st.sampled_from(["1", "2", "3"]),
        st.integers(min_value=0, max_value=1000),
    ),
    max_size=40,
)


@given(batches)
def test_no_identity_is_twice_in_a_round(arrivals: list[Arrival]) -> None:
    for each in rounds(arrivals):
        assert each
        assert len({arrival.identity for arrival in each}) == len(each)


@given(batches)
def test_the_rounds_lose_nothing_and_add_nothing(arrivals: list[Arrival]) -> None:
    split = [id(arrival) for each in rounds(arrivals) for arrival in each]
    assert sorted(split) == sorted(map(id, arrivals))


@given(batches)
def test_the_order_of_the_topic_is_kept_within_a_round_and_of_an_identity_across_rounds(
    arrivals: list[Arrival],
) -> None:
    place = {id(arrival): number for number, arrival in enumerate(arrivals)}
    split = rounds(arrivals)
    for each in split:
        assert [place[id(a)] for a in each] == sorted(place[id(a)] for a in each)
    for identity in {arrival.identity for arrival in arrivals}:
        places = [place[id(a)] for each in split for a in each if a.identity == identity]
        assert places == sorted(places)


@given(batches)
def test_an_identity_that_comes_once_is_in_the_first_round(arrivals: list[Arrival]) -> None:
    split = rounds(arrivals)
    identities = [arrival.identity for arrival in arrivals]
    once = {identity for identity in identities if identities.count(identity) == 1}
    assert once <= {arrival.identity for arrival in (split[0] if split else [])}


def test_an_empty_batch_has_no_round() -> None:
    assert rounds([]) == []


@pytest.mark.parametrize("state", ["pending", "synced", "failed"])
def test_an_event_that_a_correction_has_replaced_is_no_news_when_it_is_read_again(
    state: str,
) -> None:
    older = replace(ARRIVAL, content_hash=b"older", event_id="e0")
    known = replace(KNOWN, state=state, earlier_events=frozenset({older.event}))
    assert compare(older, known) is Seen.REDELIVERY
    # The same content under a new id was published again.
    assert compare(replace(older, event_id="e9"), known) is not Seen.REDELIVERY
