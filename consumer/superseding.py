"""Whether a failed stop sale was overtaken by a later one. Pure.

Sent after it, the failed one would close what was opened since, or open what was closed. So the law
that this keeps: of two that could concern the same room on the same day, the one that came later
has overtaken the other, unless they surely do not. It is sure of hotels by their ids in Sedna; by
their names it says "not the same" only where each has a word that the other has not. Rooms and
boards are known here as the hotel wrote them: they surely differ where no text of the one could be
short for a text of the other.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from consumer.sedna.folding import code_key, joined, name_words


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


def overtaken_by(failed: Notice, others: Iterable[Notice]) -> Notice | None:
    """Which of the others has overtaken the failed one: the last of them to come, or none."""
    return max(
        (other for other in others if _overtakes(other, failed)),
        key=lambda other: other.arrival,
        default=None,
    )


def _overtakes(other: Notice, failed: Notice) -> bool:
    return (
        other.arrival > failed.arrival
        and other.first_day <= failed.last_day
        and failed.first_day <= other.last_day
        and _perhaps_same_hotel(other, failed)
        and _perhaps_share(other.rooms, failed.rooms)
        and _perhaps_share(other.boards, failed.boards)
    )


def _perhaps_same_hotel(one: Notice, other: Notice) -> bool:
    if one.hotel_ids and other.hotel_ids:
        return bool(one.hotel_ids & other.hotel_ids)
    ours, theirs = name_words(one.hotel_name), name_words(other.hotel_name)
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
