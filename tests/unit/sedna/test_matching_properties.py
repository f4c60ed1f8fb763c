"""What must hold for any account and any name: the wrong hotel is worse than no hotel."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.sedna.folding import code_key, exact_key, name_words
from consumer.sedna.generic_words import is_generic
from consumer.sedna.matching import (
    Ambiguous,
    Found,
    Hotel,
    HotelIndex,
    How,
    NotFound,
    mapping_key,
)

TELLING = [
    "Rixos", "Güneş", "I\u015f\u0131k", "Ç\u0131rağan", "Şirin", "Mandarin", "Delphin",
    "Orenda", "Йод", "Öz", "Queen's", "Mir", "Amor", "Miramor",
]  # fmt: skip
DESCRIBING = [
    "Premium", "Park", "Palace", "Beach", "Resort", "Spa", "Belek", "Side", "2", "3", "Deluxe",
]  # fmt: skip
WORDS = TELLING + DESCRIBING
names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
accounts = st.lists(names, min_size=1, max_size=12).map(
    lambda found: [Hotel(number, name) for number, name in enumerate(found, start=1)]
)
PLAIN = str.maketrans("ğĞçÇşŞöÖüÜ\u0131İ", "gGcCsSoOuUiI")


@st.composite
def respelled(draw: st.DrawFn, name: str) -> str:
    """Write a name in another way that a person would read as the same name."""
    words = draw(st.permutations(name.split()))
    other = f"{draw(st.sampled_from([' ', '-', '  ', ' & ', ', ']))}".join(words)
    change = draw(st.sampled_from(["upper", "lower", "turkish upper", "plain", "none"]))
    match change:
        case "upper":
            other = other.upper()
        case "lower":
            other = other.lower()
        case "turkish upper":
            other = other.replace("i", "İ").replace("\u0131", "I").upper()
        case "plain":
            other = other.translate(PLAIN)
        case _:
            pass
    before, after = draw(
        st.sampled_from([("", ""), ("Hotel ", ""), ("", " OTELİ"), ("", " 5*"), ("", " (★★★)")])
    )
    return before + other + after


@given(accounts, names)
def test_the_hotel_found_has_every_word_of_the_name(hotels: list[Hotel], name: str) -> None:
    match = HotelIndex(hotels).find(name)
    if isinstance(match, Found) and match.how is How.PARTIAL:
        words = name_words(name)
        assert Counter(words) <= Counter(name_words(match.hotel.name))
        assert not all(is_generic(word) for word in words)
    elif isinstance(match, Found):
        same_words = mapping_key(name) == mapping_key(match.hotel.name)
        same_letters = "".join(name_words(name)) == "".join(name_words(match.hotel.name))
        assert same_words or same_letters


@given(st.data(), accounts)
def test_another_spelling_never_finds_another_hotel(
    data: st.DataObject, hotels: list[Hotel]
) -> None:
    hotel = data.draw(st.sampled_from(hotels))
    match HotelIndex(hotels).find(data.draw(respelled(hotel.name))):
        case Found(found, how):
            assert found.id == hotel.id
            assert how in {How.EXACT, How.NORMALISED}
        case Ambiguous(candidates):
            # Only where the account itself has the same name twice.
            assert len({candidate.id for candidate in candidates}) > 1
        case NotFound():
            raise AssertionError(hotel.name)


@given(accounts, names, names)
def test_a_new_hotel_in_the_account_never_turns_an_answer_into_another_old_hotel(
    hotels: list[Hotel], sibling: str, name: str
) -> None:
    before = HotelIndex(hotels).find(name)
    after = HotelIndex([*hotels, Hotel(999, sibling)]).find(name)
    if isinstance(after, Found) and after.hotel.id != 999:
        assert after == before


@given(st.data(), accounts)
def test_a_word_dropped_from_names_that_differ_by_it_finds_neither(
    data: st.DataObject, hotels: list[Hotel]
) -> None:
    stem = data.draw(names)
    one, other = data.draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=2, unique=True))
    hotels = [
        *(hotel for hotel in hotels if name_words(hotel.name) != name_words(stem)),
        Hotel(101, f"{stem} {one}"),
        Hotel(102, f"{stem} {other}"),
    ]
    match = HotelIndex(hotels).find(stem)
    if isinstance(match, Found):
        # Then another hotel has exactly this name.
        assert match.hotel.id not in {101, 102}
        assert match.how is not How.PARTIAL


@given(accounts, st.text(max_size=400))
def test_no_text_raises_and_none_finds_a_hotel_that_shares_no_word(
    hotels: list[Hotel], text: str
) -> None:
    match = HotelIndex(hotels).find(text)
    if isinstance(match, Found):
        assert name_words(text)


@given(st.text())
@example("v e")
def test_a_folded_text_folds_to_itself(text: str) -> None:
    assert exact_key(exact_key(text)) == exact_key(text)
    assert mapping_key(mapping_key(text)) == mapping_key(text)
    assert code_key(code_key(text)) == code_key(text)


@given(accounts, names)
def test_an_answer_does_not_depend_on_the_order_of_the_catalogue(
    hotels: list[Hotel], name: str
) -> None:
    assert HotelIndex(hotels).find(name) == HotelIndex(reversed(hotels)).find(name)
