"""Whether a failed or replayed stop sale was overtaken by a later one. Pure.

Sent after it, that one would close what was opened since, or open what was closed. So the law
that this keeps: of two that could concern the same room on the same day, the one that came later
has overtaken the other, unless they surely do not. It is sure of hotels by their ids in Sedna; by
their names it says "not the same" only where each has a word that the other has not. Rooms and
boards are known here as the hotel wrote them: they surely differ where no text of the one could be
short for a text of the other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from consumer.sedna.folding import code_key, joined, name_words
from db.records import Origin
from schemas.inbound import StopSaleCreated


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A stop sale, as far as overtaking goes."""

    sync_id: int
    stop_sale_id: int
    arrival: int  #: the order in which they came
    is_pending: bool
    hotel_ids: frozenset[int]  #: which it may be of; empty: not known
    hotel_name: str  #: as the event has it
    first_day: date
    last_day: date  #: included
    rooms: frozenset[str]  #: empty: all
    boards: frozenset[str]  #: empty: all
    origin: Origin | None = None  #: where its event stands
    of_replay: bool = False  #: it was registered when its event was read again: `arrival` is late


def notice_of(
    data: StopSaleCreated,
    *,
    sync_id: int,
    stop_sale_id: int,
    arrival: int,
    is_pending: bool,
    hotel_ids: frozenset[int],
    origin: Origin | None = None,
    of_replay: bool = False,
) -> Notice:
    """A stop sale as an event has it."""
    return Notice(
        sync_id=sync_id,
        stop_sale_id=stop_sale_id,
        arrival=arrival,
        is_pending=is_pending,
        hotel_ids=hotel_ids,
        hotel_name=data.hotel_name,
        first_day=data.date_from,
        last_day=data.date_to,
        rooms=frozenset(data.room_types),
        boards=frozenset(data.board_types),
        origin=origin,
        of_replay=of_replay,
    )


def first_touching(notice: Notice, others: Iterable[Notice]) -> Notice | None:
    """The first of other stop sales of the same hotel that says something of the same rooms."""
    return next((other for other in others if _touch(notice, other)), None)


class Later:
    """Stop sales of one tenant that may have overtaken others; built once, asked for each."""

    def __init__(self, notices: Iterable[Notice]) -> None:
        self._of_hotel: dict[int, list[Notice]] = {}
        self._of_name: dict[str, list[Notice]] = {}
        self._unknown_of_name: dict[str, list[Notice]] = {}
        self._same_names: dict[tuple[str, str], bool] = {}
        for notice in sorted(notices, key=lambda each: each.arrival, reverse=True):
            self._of_name.setdefault(notice.hotel_name, []).append(notice)
            if not notice.hotel_ids:
                self._unknown_of_name.setdefault(notice.hotel_name, []).append(notice)
            for hotel_id in notice.hotel_ids:
                self._of_hotel.setdefault(hotel_id, []).append(notice)

    def overtaking(self, failed: Notice) -> Notice | None:
        """Which has overtaken the failed one: the last of them to come, or none."""
        found = (_first_overtaking(failed, some) for some in self._perhaps_of_its_hotel(failed))
        return max(
            (each for each in found if each is not None),
            key=lambda each: each.arrival,
            default=None,
        )

    def _perhaps_of_its_hotel(self, failed: Notice) -> Iterator[list[Notice]]:
        """By ids, where both are known; else by names."""
        for hotel_id in failed.hotel_ids:
            yield self._of_hotel.get(hotel_id, [])
        by_name = self._unknown_of_name if failed.hotel_ids else self._of_name
        for name, notices in by_name.items():
            names = (failed.hotel_name, name)
            if names not in self._same_names:
                self._same_names[names] = _perhaps_same_name(*names)
            if self._same_names[names]:
                yield notices


def _first_overtaking(failed: Notice, last_first: Iterable[Notice]) -> Notice | None:
    for other in last_first:
        if other.arrival <= failed.arrival:
            return None
        if _touch(failed, other) and not _stands_before(other, failed):
            return other
    return None


def _stands_before(one: Notice, other: Notice) -> bool:
    """Whether one came later only because it was read again: in the topic it stands before."""
    if not (one.of_replay or other.of_replay) or one.origin is None or other.origin is None:
        return False
    ours, theirs = one.origin, other.origin
    same = (ours.topic, ours.partition) == (theirs.topic, theirs.partition)
    return same and ours.offset < theirs.offset


def _touch(one: Notice, other: Notice) -> bool:
    """Whether two of one hotel could concern the same room on the same day."""
    return (
        other.first_day <= one.last_day
        and one.first_day <= other.last_day
        and _perhaps_share(other.rooms, one.rooms)
        and _perhaps_share(other.boards, one.boards)
    )


def _perhaps_same_name(one: str, other: str) -> bool:
    ours, theirs = name_words(one), name_words(other)
    return (
        Counter(ours) <= Counter(theirs)
        or Counter(theirs) <= Counter(ours)
        # "Sun Prime" and "Sunprime Beach"
        or joined(ours) in joined(theirs)
        or joined(theirs) in joined(ours)
    )


def _perhaps_share(one: frozenset[str], other: frozenset[str]) -> bool:
    if not one or not other:
        return True
    return any(_perhaps_same_code(left, right) for left in one for right in other)


def _perhaps_same_code(one: str, other: str) -> bool:
    """Whether two texts could mean one room or board: "DLX" and "Deluxe" could."""
    short, long = sorted((code_key(one), code_key(other)), key=len)
    if not short:
        return True
    rest = iter(long)
    return short[0] == long[0] and all(letter in rest for letter in short)
