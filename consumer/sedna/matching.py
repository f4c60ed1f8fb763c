"""Finds the hotel that an event means among the hotels of a tenant's Sedna account.

Pure: the catalogue is given, nothing is read. The wrong hotel is worse than no hotel, so this
module must never choose between two hotels that both fit, and never passes over a word of the
event's name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from rapidfuzz import fuzz, process

from consumer.sedna.folding import exact_key, joined, name_words
from consumer.sedna.generic_words import is_generic

#: So many candidates are shown to the person who decides.
_CANDIDATES: Final = 5
#: So many hotels get a full comparison after the quick one.
_SHORT_LIST: Final = 40
#: Answers that are kept; an index is immutable, so an answer never goes stale.
_REMEMBERED: Final = 1024
#: Longer names are no names; comparing them would only cost time.
_LONGEST_NAME: Final = 300


class How(StrEnum):
    """Which step found the hotel."""

    EVENT_ID = "event_id"
    MAPPING = "mapping"
    EXACT = "exact"
    NORMALISED = "normalised"
    PARTIAL = "partial"


class WhyNot(StrEnum):
    """Why no hotel was found."""

    NO_SUCH_NAME = "no_such_name"
    EVENT_ID_UNKNOWN = "event_id_unknown"
    MAPPED_ID_UNKNOWN = "mapped_id_unknown"


@dataclass(frozen=True, slots=True)
class Hotel:
    """A hotel of a Sedna account."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hotel that a person might have meant."""

    id: int
    name: str
    #: Similarity, 0 to 100.
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly this hotel."""

    hotel: Hotel
    how: How


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one hotel fits equally well."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No hotel fits; the candidates are only similar."""

    candidates: tuple[Candidate, ...]
    why: WhyNot = WhyNot.NO_SUCH_NAME


HotelMatch = Found | Ambiguous | NotFound


def mapping_key(name: str) -> str:
    """Return the key under which a tenant's own mapping of this name is stored and found.

    Order of words, case, accents and punctuation do not count. A name that says nothing ("Hotel")
    is its own key; a name that is blank or longer than 300 characters has none: "".
    """
    if len(name) > _LONGEST_NAME:
        return ""
    words = name_words(name)
    return " ".join(sorted(words)) if words else exact_key(name)


def resolve_hotel(
    *, event_hotel_id: int | None, name: str, mappings: Mapping[str, int], index: "HotelIndex"
) -> HotelMatch:
    """Find the hotel by the id in the event, else by the tenant's mapping, else by its name.

    An id that the account does not have is an error of the event or of the mapping: the name is
    then not tried, since two statements that contradict each other would be settled by a guess.
    `mappings` is keyed by `mapping_key`.
    """
    if event_hotel_id is not None:
        return index.find_id(event_hotel_id, name, how=How.EVENT_ID)
    key = mapping_key(name)
    mapped_id = mappings.get(key) if key else None
    if mapped_id is not None:
        return index.find_id(mapped_id, name, how=How.MAPPING)
    return index.find(name)


class HotelIndex:
    """The hotels of one account, ready to be searched; built once, never changed."""

    def __init__(self, hotels: Iterable[Hotel]) -> None:
        self._hotels: Final = tuple(hotels)
        self._by_id: Final[dict[int, Hotel]] = {}
        #: Positions in `_hotels` by key; one id may have several names, each its own position.
        self._exact: Final[dict[str, list[int]]] = {}
        self._by_words: Final[dict[str, list[int]]] = {}
        self._by_letters: Final[dict[str, list[int]]] = {}
        self._with_word: Final[dict[str, set[int]]] = {}
        self._with_pair: Final[dict[str, set[int]]] = {}
        names = [hotel.name if len(hotel.name) <= _LONGEST_NAME else "" for hotel in self._hotels]
        self._words: Final = tuple(name_words(name) for name in names)
        self._keys: Final = tuple(" ".join(sorted(words)) for words in self._words)
        self._remembered: Final[dict[str, HotelMatch]] = {}
        for position, (hotel, words) in enumerate(zip(self._hotels, self._words, strict=True)):
            self._by_id.setdefault(hotel.id, hotel)
            if key := exact_key(names[position]):
                self._exact.setdefault(key, []).append(position)
            if words:
                self._by_words.setdefault(self._keys[position], []).append(position)
                self._by_letters.setdefault(joined(words), []).append(position)
            for word in words:
                self._with_word.setdefault(word, set()).add(position)
            for left, right in pairwise(words):
                self._with_pair.setdefault(left + right, set()).add(position)

    def __len__(self) -> int:
        return len(self._hotels)

    @property
    def hotels(self) -> tuple[Hotel, ...]:
        """The hotels that it was built from."""
        return self._hotels

    def find_id(self, hotel_id: int, name: str, *, how: How) -> HotelMatch:
        """Return the hotel with this id, or candidates for its name if the account has no such."""
        hotel = self._by_id.get(hotel_id)
        if hotel is not None:
            return Found(hotel, how)
        why = WhyNot.MAPPED_ID_UNKNOWN if how is How.MAPPING else WhyNot.EVENT_ID_UNKNOWN
        return NotFound(self.similar(name), why)

    def find(self, name: str) -> HotelMatch:
        """Find a hotel by name: the equal name, else the equal folded name, else a partial match.

        A step at which more than one hotel fits ends the search as ambiguous; a laxer step never
        decides what a stricter one could not.
        """
        if len(name) > _LONGEST_NAME:
            return NotFound(())
        match = self._remembered.get(name)
        if match is None:
            match = self._search(name)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = match
        return match

    def similar(self, name: str, *, limit: int = _CANDIDATES) -> tuple[Candidate, ...]:
        """Return the hotels whose names are most like this one, best first."""
        words = name_words(name[:_LONGEST_NAME])
        if not words:
            return ()
        key = " ".join(sorted(words))
        quick = process.extract(key, self._keys, scorer=fuzz.ratio, limit=_SHORT_LIST)
        positions = {position for _, _, position in quick}
        positions |= self._contained_in(words)
        return self._ranked(words, positions, limit=limit)

    def _search(self, name: str) -> HotelMatch:
        exact = self._exact.get(exact_key(name))
        words = name_words(name)
        if exact:
            return self._one_of(set(exact), words, How.EXACT)
        if not words:
            return NotFound(())
        equal = {
            *self._by_words.get(" ".join(sorted(words)), ()),
            *self._by_letters.get(joined(words), ()),
        }
        if equal:
            return self._one_of(equal, words, How.NORMALISED)
        return self._search_partial(name, words)

    def _search_partial(self, name: str, words: tuple[str, ...]) -> HotelMatch:
        """Find the one hotel whose name has every word of the event's name.

        The other direction is no match: where the event's name has a word that the hotel's has
        not, that word may be what tells two hotels of a group apart, and the other one may not be
        in this account. The hotel is then a candidate; a person decides, once, with a mapping.
        """
        if all(is_generic(word) for word in words):
            return NotFound(self.similar(name))
        perhaps = self._fits_perhaps(words)
        if len({self._hotels[position].id for position in perhaps}) > 1:
            return Ambiguous(self._ranked(words, perhaps, limit=_CANDIDATES))
        needed = Counter(words)
        fits = {position for position in perhaps if needed <= Counter(self._words[position])}
        if not fits:
            return NotFound(self.similar(name))
        return self._one_of(fits, words, How.PARTIAL)

    def _fits_perhaps(self, words: tuple[str, ...]) -> set[int]:
        """Return the positions that have all words, if two neighbours may be written as one.

        For "Sun Prime" that is "Sun Prime Alara" and "Sunprime Beach" alike: the second is no
        match by itself, but makes the first one doubtful.
        """
        before: set[int] | None = None  # those that fit all but the last word; None: everything
        fits = self._with_either(words[0])
        for left, right in pairwise(words):
            merged = self._with_word.get(left + right, set())
            fits, before = (
                (fits & self._with_either(right)) | (merged if before is None else merged & before),
                fits,
            )
        return fits

    def _with_either(self, word: str) -> set[int]:
        pair = self._with_pair.get(word)
        single = self._with_word.get(word, set())
        return single | pair if pair else single

    def _contained_in(self, words: tuple[str, ...]) -> set[int]:
        """Return the positions of which every word is among these words."""
        available = Counter(words)
        telling = [word for word in available if not is_generic(word)]
        shared: set[int] = set().union(*(self._with_word.get(word, ()) for word in telling))
        return {position for position in shared if Counter(self._words[position]) <= available}

    def _one_of(self, positions: set[int], words: tuple[str, ...], how: How) -> HotelMatch:
        ids = {self._hotels[position].id for position in positions}
        if len(ids) == 1:
            return Found(self._by_id[ids.pop()], how)
        return Ambiguous(self._ranked(words, positions, limit=_CANDIDATES))

    def _ranked(
        self, words: tuple[str, ...], positions: set[int], *, limit: int
    ) -> tuple[Candidate, ...]:
        """Rank by the mean of two similarities: of whole names, and of the words they share."""
        key = " ".join(sorted(words))
        best: dict[int, Candidate] = {}
        for position in sorted(positions):
            hotel, other = self._hotels[position], self._keys[position]
            score = round((fuzz.ratio(key, other) + fuzz.token_set_ratio(key, other)) / 2, 1)
            known = best.get(hotel.id)
            if known is None or score > known.score:
                best[hotel.id] = Candidate(hotel.id, hotel.name, score)
        ranked = sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.id))
        return tuple(ranked[:limit])
