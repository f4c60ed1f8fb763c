"""Rooms and boards: the code or the name, strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna.codes import Code, CodeFound, CodeIndex, CodeUnknown

BOARDS = CodeIndex(
    [
        Code(1, "AI", "All Inclusive"),
        Code(2, "AI+", "All Inclusive Plus"),
        Code(37, "UAI", "Ultra All Inclusive"),
        Code(4, "BB", "Bed & Breakfast"),
        Code(5, "HB", "Half Board"),
        Code(6, "HB+", "Half Board"),
        Code(7, "ÖZEL", "Özel Pansiyon"),
    ]
)
ROOMS = CodeIndex(
    [
        Code(63, "STDSV", "Standard Room Sea View"),
        Code(64, "STD-LV", "Standard Room Land View"),
        Code(65, "FAM 2+1", "Family Room 2+1"),
        Code(66, "FAM 21", "Family Room No 21"),
        Code(67, "std", "Old Standard"),
        Code(68, "STD", "Standard Room"),
        Code(69, "", "Villa"),
    ]
)


@pytest.mark.parametrize(
    "index, text, found",
    [
        (BOARDS, "AI", 1),
        (BOARDS, " ai ", 1),
        (BOARDS, "a\u0131", 1),
        (BOARDS, "Aİ", 1),
        (BOARDS, "AI+", 2),
        (BOARDS, "A.I.", 1),
        (BOARDS, "all-inclusive", 1),
        (BOARDS, "ALL INCLUSIVE PLUS", 2),
        (BOARDS, "ULTRA ALL İNCLUSİVE", 37),
        (BOARDS, "Bed and Breakfast", 4),
        (BOARDS, "bed ve breakfast", 4),
        (BOARDS, "HB+", 6),
        (BOARDS, "ozel", 7),
        (BOARDS, "OZEL PANSİYON", 7),
        (ROOMS, "STDSV", 63),
        (ROOMS, "STD-SV", 63),
        (ROOMS, "STDLV", 64),
        (ROOMS, "Standard Room (Sea View)", 63),
        (ROOMS, "FAM 2+1", 65),
        (ROOMS, "fam 21", 66),
        (ROOMS, "STD", 68),
        (ROOMS, "std", 67),
        (ROOMS, "villa", 69),
    ],
)
def test_a_code_or_a_name_finds_its_id(index: CodeIndex, text: str, found: int) -> None:
    match = index.find(text)
    assert isinstance(match, CodeFound)
    assert match.code.id == found


@pytest.mark.parametrize(
    "index, text, ambiguous",
    [
        (BOARDS, "B&B", ()),
        (BOARDS, "AI++", ()),
        (BOARDS, "Inclusive", ()),
        (BOARDS, "All", ()),
        (BOARDS, "", ()),
        (BOARDS, "+", ()),
        (BOARDS, "Half Board", (5, 6)),
        (ROOMS, "Standard", ()),
        (ROOMS, "Std ", (67, 68)),
        (ROOMS, "Sea View Standard Room", ()),
        (ROOMS, "FAM 2 1", ()),
    ],
)
def test_what_is_not_one_code_is_unknown(
    index: CodeIndex, text: str, ambiguous: tuple[int, ...]
) -> None:
    match = index.find(text)
    assert isinstance(match, CodeUnknown)
    assert tuple(code.id for code in match.ambiguous) == ambiguous


def test_an_unknown_code_comes_with_the_known_ones() -> None:
    match = BOARDS.find("FB")
    assert isinstance(match, CodeUnknown)
    assert match.known == ("AI", "AI+", "BB", "HB", "HB+", "UAI", "ÖZEL")


def test_the_known_codes_shown_are_bounded() -> None:
    match = CodeIndex(Code(number, f"C{number}", "") for number in range(500)).find("x")
    assert isinstance(match, CodeUnknown)
    assert len(match.known) == 50


@given(
    st.lists(st.tuples(st.integers(1, 5), st.text(max_size=6), st.text(max_size=6))),
    st.text(max_size=6),
)
def test_a_code_found_is_never_one_of_two(codes: list[tuple[int, str, str]], text: str) -> None:
    every = [Code(*parts) for parts in codes]
    match = CodeIndex(every).find(text)
    if isinstance(match, CodeUnknown):
        assert len({code.id for code in match.ambiguous}) != 1
    else:
        assert match.code in every
        rivals = {code.id for code in every if code.code.strip() == text.strip()}
        assert not rivals or rivals == {match.code.id}
