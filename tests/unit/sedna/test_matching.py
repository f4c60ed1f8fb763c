"""The hotel that an event means: a table of names, and what must hold for any name."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from consumer.sedna.matching import (
    Ambiguous,
    Found,
    Hotel,
    HotelIndex,
    How,
    NotFound,
    WhyNot,
    mapping_key,
    resolve_hotel,
)

TABLE = Path(__file__).with_name("hotel_names.txt")


class Case(NamedTuple):
    text: str
    outcome: str
    ids: tuple[int, ...]


def read_table() -> tuple[list[Hotel], list[Case]]:
    hotels, cases = [], []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if hotel := re.fullmatch(r"(\d+) = (.+)", line):
            hotels.append(Hotel(int(hotel[1]), hotel[2]))
            continue
        left, _, right = line.partition(" => ")
        outcome, *ids = right.split()
        text = json.loads(left) if left.startswith('"') else left
        cases.append(Case(text, outcome, tuple(map(int, ids))))
    return hotels, cases


HOTELS, CASES = read_table()
INDEX = HotelIndex(HOTELS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text!r} is {case.outcome}")
def test_a_name_finds_what_the_table_says(case: Case) -> None:
    match INDEX.find(case.text):
        case Found(hotel, how):
            assert (how, (hotel.id,)) == (case.outcome, case.ids)
        case Ambiguous(candidates):
            assert case.outcome == "ambiguous"
            assert sorted(candidate.id for candidate in candidates) == sorted(case.ids)
        case NotFound(candidates, why):
            assert case.outcome == "none"
            assert why is WhyNot.NO_SUCH_NAME
            assert tuple(candidate.id for candidate in candidates)[: len(case.ids)] == case.ids


def test_the_table_is_large_and_holds_every_outcome() -> None:
    assert len(CASES) >= 90
    assert {case.outcome for case in CASES} == {
        "exact",
        "normalised",
        "partial",
        "ambiguous",
        "none",
    }


def test_candidates_are_at_most_five_and_best_first() -> None:
    many = HotelIndex(Hotel(number, f"Rixos Branch{number}") for number in range(20))
    match = many.find("Rixos")
    assert isinstance(match, Ambiguous)
    scores = [candidate.score for candidate in match.candidates]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 100 for score in scores)


def test_an_ambiguous_name_is_not_decided_by_a_laxer_step() -> None:
    # Both are equal after folding; only the first would fit as a part of nothing.
    index = HotelIndex([Hotel(1, "Şirin"), Hotel(2, "Sirin"), Hotel(3, "Sirin Beach")])
    assert isinstance(index.find("Sîrin"), Ambiguous)


def test_two_entries_of_one_hotel_are_not_ambiguous() -> None:
    index = HotelIndex([Hotel(1, "Sun Prime"), Hotel(1, "Sunprime Hotel")])
    assert index.find("SUN PRİME") == Found(Hotel(1, "Sun Prime"), How.EXACT)
    assert index.find("sun-prime") == Found(Hotel(1, "Sun Prime"), How.NORMALISED)


def test_another_spelling_in_two_words_makes_a_partial_match_doubtful() -> None:
    alone = HotelIndex([Hotel(1, "Mir Amor Alara")])
    beside = HotelIndex([Hotel(1, "Mir Amor Alara"), Hotel(2, "Miramor Kumul")])
    assert alone.find("Mir Amor") == Found(Hotel(1, "Mir Amor Alara"), How.PARTIAL)
    assert isinstance(beside.find("Mir Amor"), Ambiguous)
    assert isinstance(beside.find("Miramor"), Ambiguous)


def test_nothing_is_found_in_an_empty_account() -> None:
    assert HotelIndex([]).find("Mandarin") == NotFound(())


def test_a_hotel_without_a_name_is_found_by_its_id_only() -> None:
    index = HotelIndex([Hotel(1, ""), Hotel(2, "  ")])
    assert index.find("") == NotFound(())
    assert index.find_id(2, "x", how=How.EVENT_ID) == Found(Hotel(2, "  "), How.EVENT_ID)


def test_a_name_too_long_to_be_one_is_not_found() -> None:
    name = "Mandarin " * 100
    index = HotelIndex([Hotel(1, name), Hotel(2, "Mandarin")])
    assert index.find(name) == NotFound(())
    assert mapping_key(name) == ""


def test_the_id_in_the_event_comes_before_mapping_and_name() -> None:
    match = resolve_hotel(
        event_hotel_id=28,
        name="Mandarin",
        mappings={mapping_key("Mandarin"): 29},
        index=INDEX,
    )
    assert match == Found(Hotel(28, "Rixos Premium Belek"), How.EVENT_ID)


def test_an_id_that_the_account_does_not_have_is_not_replaced_by_the_name() -> None:
    match = resolve_hotel(event_hotel_id=999, name="Mandarin", mappings={}, index=INDEX)
    assert isinstance(match, NotFound)
    assert match.why is WhyNot.EVENT_ID_UNKNOWN
    assert match.candidates[0].id == 18


def test_the_tenants_mapping_comes_before_an_equal_name() -> None:
    match = resolve_hotel(
        event_hotel_id=None,
        name="Mandarin Resort & Spa",
        mappings={mapping_key("MANDARİN resort ve spa"): 31},
        index=INDEX,
    )
    assert match == Found(Hotel(31, "Rixos Sungate"), How.MAPPING)


def test_a_mapping_to_a_hotel_that_is_gone_is_said_and_not_passed_over() -> None:
    match = resolve_hotel(
        event_hotel_id=None,
        name="Mandarin Resort & Spa",
        mappings={mapping_key("Mandarin Resort & Spa"): 999},
        index=INDEX,
    )
    assert isinstance(match, NotFound)
    assert match.why is WhyNot.MAPPED_ID_UNKNOWN


def test_a_mapping_of_another_name_is_not_used() -> None:
    match = resolve_hotel(
        event_hotel_id=None, name="Mandarin", mappings={mapping_key("Rixos"): 28}, index=INDEX
    )
    assert match == Found(Hotel(18, "Mandarin Resort & Spa"), How.PARTIAL)


def test_an_empty_name_meets_no_mapping() -> None:
    match = resolve_hotel(event_hotel_id=None, name=" ", mappings={"": 18}, index=INDEX)
    assert isinstance(match, NotFound)


def test_a_name_that_says_nothing_can_be_mapped_without_meeting_another() -> None:
    keys = {mapping_key(name) for name in ("Hotel", "***", "Otel", "Mandarin", "Hotel Mandarin")}
    assert len(keys) == 4
    assert "" not in keys
