"""A retry must not close what was opened since, nor open what was closed."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.superseding import Later, Notice
from db.records import Origin

FAILED = Notice(
    sync_id=1,
    stop_sale_id=7,
    arrival=100,
    is_pending=False,
    hotel_ids=frozenset({18}),
    hotel_name="Mandarin Resort & Spa",
    first_day=date(2026, 12, 10),
    last_day=date(2026, 12, 20),
    rooms=frozenset(),
    boards=frozenset(),
)
LATER = replace(FAILED, sync_id=2, stop_sale_id=8, arrival=200)


def overtaken_by(failed: Notice, others: Iterable[Notice]) -> Notice | None:
    return Later(others).overtaking(failed)


def changed(notice: Notice, **changes: Any) -> Notice:
    return replace(notice, **changes)


def texts(*codes: str) -> frozenset[str]:
    return frozenset(codes)


def days(first: int, last: int) -> dict[str, date]:
    return {"first_day": date(2026, 12, first), "last_day": date(2026, 12, last)}


OVERTAKES: dict[str, dict[str, Any]] = {
    "the same in all": {},
    "under way": {"is_pending": True},
    "the first day only": days(1, 10),
    "the last day only": days(20, 31),
    "some days within": days(12, 13),
    "all days and more": days(1, 31),
    "one room of all": {"rooms": texts("STD")},
    "one board of all": {"boards": texts("AI")},
    "perhaps the same hotel": {"hotel_ids": frozenset({17, 18})},
    "another spelling of an id that is known": {"hotel_name": "Something else"},
}
DOES_NOT: dict[str, dict[str, Any]] = {
    "came before": {"arrival": 99},
    "itself": {"arrival": 100},
    "ended the day before": days(1, 9),
    "begins the day after": days(21, 31),
    "another hotel of the same name": {"hotel_ids": frozenset({19})},
}


@pytest.mark.parametrize("name", OVERTAKES)
def test_a_later_one_has_overtaken_where_it_shares_hotel_and_days(name: str) -> None:
    later = replace(LATER, **OVERTAKES[name])
    assert overtaken_by(FAILED, [later]) == later


@pytest.mark.parametrize("name", DOES_NOT)
def test_one_that_surely_concerns_nothing_of_it_has_not_overtaken(name: str) -> None:
    assert overtaken_by(FAILED, [replace(LATER, **DOES_NOT[name])]) is None


def place(offset: int, partition: int = 0) -> Origin:
    return Origin(topic="stopsale.created", partition=partition, offset=offset)


@pytest.mark.parametrize("replayed", ["failed", "other", "both"])
def test_one_that_was_read_again_came_where_it_stands_in_the_topic(replayed: str) -> None:
    failed = replace(FAILED, origin=place(9), of_replay=replayed in {"failed", "both"})
    other = replace(LATER, origin=place(5), of_replay=replayed in {"other", "both"})
    assert overtaken_by(failed, [other]) is None
    behind = replace(other, sync_id=3, origin=place(10))
    assert overtaken_by(failed, [other, behind]) == behind


def test_what_came_live_goes_by_when_it_came_since_a_topic_may_have_been_created_anew() -> None:
    other = replace(LATER, origin=place(5))
    assert overtaken_by(replace(FAILED, origin=place(9)), [other]) == other


def test_of_different_partitions_the_topic_says_nothing() -> None:
    other = replace(LATER, origin=place(5, partition=1), of_replay=True)
    assert overtaken_by(replace(FAILED, origin=place(9)), [other]) == other


def test_of_several_the_last_one_is_named() -> None:
    last = replace(LATER, sync_id=4, arrival=300)
    assert overtaken_by(FAILED, [LATER, last, replace(LATER, arrival=250)]) == last


@pytest.mark.parametrize(
    "one, other, shared",
    [
        (texts("STD"), texts("DLX"), False),
        (texts("STD"), texts("std "), True),
        (texts("STD", "DLX"), texts("SUI", "DLX"), True),
        # A code and a name can mean the same room.
        (texts("DLX"), texts("Deluxe"), True),
        (texts("STDSV"), texts("Standard Sea View"), True),
        (texts("1001"), texts("2001"), False),
        (texts("***"), texts("DLX"), True),
        (texts(), texts("DLX"), True),
        (texts(), texts(), True),
    ],
)
@pytest.mark.parametrize("scope", ["rooms", "boards"])
def test_rooms_and_boards_are_kept_apart_only_where_they_surely_differ(
    scope: str, one: frozenset[str], other: frozenset[str], *, shared: bool
) -> None:
    failed = changed(FAILED, **{scope: one})
    later = changed(LATER, **{scope: other})
    assert (overtaken_by(failed, [later]) is not None) is shared


@pytest.mark.parametrize(
    "boards", [(texts("AI"), texts("UAI"), False), (texts("HB"), texts("HB+"), True)]
)
def test_one_scope_that_surely_differs_is_enough(
    boards: tuple[frozenset[str], frozenset[str], bool],
) -> None:
    ours, theirs, shared = boards
    failed = replace(FAILED, rooms=texts("STD"), boards=ours)
    later = replace(LATER, rooms=texts("STD"), boards=theirs)
    assert (overtaken_by(failed, [later]) is not None) is shared


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("Mandarin Resort & Spa", "spa ve MANDARİN Resort Otel", True),
        ("Mandarin", "Mandarin Resort & Spa", True),
        ("Mandarin Resort & Spa Belek", "Mandarin Resort", True),
        ("Sun Prime", "Sunprime Beach", True),
        ("Lara Premium Belek", "Lara Park Belek", False),
        ("Hotel", "Mandarin", True),
    ],
)
@pytest.mark.parametrize("known", ["neither", "failed", "later"])
def test_where_a_hotel_is_not_known_names_differ_only_if_each_has_a_word_of_its_own(
    one: str, other: str, *, same: bool, known: str
) -> None:
    nobody: frozenset[int] = frozenset()
    failed = replace(
        FAILED, hotel_name=one, hotel_ids=FAILED.hotel_ids if known == "failed" else nobody
    )
    later = replace(
        LATER, hotel_name=other, hotel_ids=LATER.hotel_ids if known == "later" else nobody
    )
    assert (overtaken_by(failed, [later]) is not None) is same


# -- for any two ----------------------------------------------------------------------------------

CODES = ["STD", "DLX", "SUI", "Deluxe", "Standard", "AI", "HB", "HB+", "***"]
NAMES = ["Lara", "Lara Park", "Lara Premium", "Park Lara", "Mandarin", "Otel", "Laraparkotel"]
scopes = st.frozensets(st.sampled_from(CODES), max_size=3)
FIRST = date(2026, 12, 1)


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    begin = draw(st.integers(0, 20))
    return Notice(
        sync_id=draw(st.integers(1, 9)),
        stop_sale_id=draw(st.integers(1, 9)),
        arrival=draw(st.integers(1, 6)),
        is_pending=draw(st.booleans()),
        hotel_ids=draw(st.frozensets(st.integers(1, 3), max_size=2)),
        hotel_name=draw(st.sampled_from(NAMES)),
        first_day=FIRST + timedelta(days=begin),
        last_day=FIRST + timedelta(days=begin + draw(st.integers(0, 10))),
        rooms=draw(scopes),
        boards=draw(scopes),
    )


@given(notices(), st.lists(notices(), max_size=6))
def test_what_has_overtaken_came_later_and_touches_a_day(
    failed: Notice, all_: list[Notice]
) -> None:
    by = overtaken_by(failed, all_)
    if by is not None:
        assert by in all_
        assert by.arrival > failed.arrival
        assert max(by.first_day, failed.first_day) <= min(by.last_day, failed.last_day)


@given(notices(), notices())
def test_of_two_never_each_has_overtaken_the_other(one: Notice, other: Notice) -> None:
    assert overtaken_by(one, [other]) is None or overtaken_by(other, [one]) is None


@given(notices(), notices())
def test_whether_two_touch_does_not_depend_on_which_of_them_failed(
    one: Notice, other: Notice
) -> None:
    first, second = replace(one, arrival=1), replace(other, arrival=2)
    swapped = overtaken_by(replace(other, arrival=1), [replace(one, arrival=2)])
    assert (overtaken_by(first, [second]) is None) is (swapped is None)


@given(notices(), notices())
def test_to_concern_more_never_saves_one_from_being_overtaken(one: Notice, other: Notice) -> None:
    if overtaken_by(one, [other]) is not None:
        wider = {"rooms": frozenset[str](), "boards": frozenset[str]()}
        wider_days = {"first_day": FIRST - timedelta(days=1)}
        assert overtaken_by(changed(one, **wider, **wider_days), [other]) is not None
        assert overtaken_by(one, [changed(other, **wider)]) is not None


@given(notices(), st.lists(notices(), max_size=6), notices())
def test_another_one_more_never_saves_one_from_being_overtaken(
    failed: Notice, all_: list[Notice], one_more: Notice
) -> None:
    if overtaken_by(failed, all_) is not None:
        assert overtaken_by(failed, [*all_, one_more]) is not None


@given(notices(), notices())
def test_the_same_hotel_the_same_days_and_everything_in_it_is_always_overtaken(
    one: Notice, other: Notice
) -> None:
    later = replace(
        one, sync_id=other.sync_id, arrival=one.arrival + 1, is_pending=other.is_pending,
        rooms=frozenset(),
    )  # fmt: skip
    assert overtaken_by(one, [later]) == later
