"""What becomes of an event that is read again: the rules that a dry run and a real one share."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consumer.registration import Seen, compare_replayed
from consumer.replay.outcomes import Outcome, Tally, outcome_of
from db.records import Arrival, Known, Origin
from schemas.kinds import Kind
from tests.unit.test_registration import AGAIN, ARRIVAL, KNOWN

DOUBT = datetime(2026, 11, 22, tzinfo=UTC)
FAILED = replace(KNOWN, state="failed", error_code="hotel_not_found")
OTHER = replace(AGAIN, content_hash=b"other")
RUN = 17


def came(arrival: Arrival, known: Known) -> Outcome:
    return outcome_of(compare_replayed(arrival, known), known, replay_id=RUN)


@pytest.mark.parametrize("arrival", [ARRIVAL, AGAIN], ids=["redelivered", "published again"])
@pytest.mark.parametrize(
    "known, outcome",
    [
        (KNOWN, Outcome.PENDING),
        (replace(KNOWN, in_doubt_since=DOUBT), Outcome.IN_DOUBT),
        (replace(KNOWN, state="synced"), Outcome.SYNCED),
        (FAILED, Outcome.FAILED),
        (replace(FAILED, in_doubt_since=DOUBT), Outcome.FAILED),
    ],
)
def test_the_same_content_changes_nothing_however_it_stands(
    arrival: Arrival, known: Known, outcome: Outcome
) -> None:
    assert came(arrival, known) is outcome


@pytest.mark.parametrize("state", ["pending", "synced"])
def test_other_content_of_what_is_under_way_or_done_is_a_conflict(state: str) -> None:
    assert came(OTHER, replace(KNOWN, state=state)) is Outcome.CONFLICT


def test_a_correction_of_what_has_failed_that_was_never_read_is_a_new_try() -> None:
    assert came(OTHER, FAILED) is Outcome.CORRECTED


def test_what_stands_before_the_row_s_own_event_does_not_replace_it() -> None:
    earlier = replace(OTHER, origin=replace(ARRIVAL.origin, offset=ARRIVAL.origin.offset - 1))
    assert came(earlier, FAILED) is Outcome.CONFLICT


def test_of_other_partitions_nobody_knows_which_came_first() -> None:
    elsewhere = replace(OTHER, origin=Origin(topic="reservation.created", partition=9, offset=1))
    assert came(elsewhere, FAILED) is Outcome.CORRECTED


def test_what_a_correction_has_replaced_is_no_news() -> None:
    corrected = replace(FAILED, content_hash=b"corrected", earlier_events=frozenset({OTHER.event}))
    assert came(OTHER, corrected) is Outcome.FAILED


@pytest.mark.parametrize("state", ["pending", "synced", "failed"])
def test_what_this_run_has_registered_itself_is_a_duplicate_whatever_became_of_it(
    state: str,
) -> None:
    assert came(AGAIN, replace(KNOWN, state=state, replay_id=RUN)) is Outcome.DUPLICATE
    assert came(AGAIN, replace(KNOWN, replay_id=RUN - 1)) is Outcome.PENDING


def test_what_is_not_known_is_work() -> None:
    assert outcome_of(Seen.NEW, None, replay_id=RUN) is Outcome.CREATED


def test_a_tally_says_what_is_work_by_tenant_and_kind() -> None:
    tally = Tally()
    tally.add("a", Kind.RESERVATION, Outcome.CREATED)
    tally.add("a", Kind.RESERVATION, Outcome.RETRIED, events=2)
    tally.add("a", Kind.STOP_SALE, Outcome.CORRECTED)
    tally.add("b", Kind.RESERVATION, Outcome.SYNCED, events=9)
    tally.add(None, Kind.RESERVATION, Outcome.UNREADABLE)
    assert tally.to_do() == {("a", Kind.RESERVATION): 3, ("a", Kind.STOP_SALE): 1}
    assert tally.of(Outcome.SYNCED, Outcome.UNREADABLE) == 10
