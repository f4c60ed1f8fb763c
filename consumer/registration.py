"""What becomes of an event whose identity was seen before. Pure.

The table of the design, "Events that were seen before", in code.
"""

from collections.abc import Sequence
from enum import Enum, auto

from db.records import Arrival, Known


class Seen(Enum):
    """What an arrival is, next to the row that exists."""

    NEW = auto()  #: there is no row: it is work to do
    REDELIVERY = auto()  #: an event that the row is, or was, made of: nothing happens
    DUPLICATE = auto()  #: the same content again: nothing happens
    CONFLICT = auto()  #: other content for work that is under way or done: the row stays
    NEW_TRY = auto()  #: the work had failed: it is tried anew, with what this event says


def compare(arrival: Arrival, known: Known) -> Seen:
    """What an arrival means for the row of its identity."""
    same_content = arrival.content_hash == known.content_hash
    # Coordinates alone do not tell: a topic that was created anew counts from 0 again.
    if same_content and arrival.origin == known.origin and arrival.event_id == known.event_id:
        return Seen.REDELIVERY
    # What a correction has replaced is no news when a topic is read again.
    if arrival.event in known.earlier_events:
        return Seen.REDELIVERY
    if known.state == "failed":
        return Seen.NEW_TRY
    return Seen.DUPLICATE if same_content else Seen.CONFLICT


def compare_replayed(arrival: Arrival, known: Known) -> Seen:
    """The same where a topic is read again, by which nothing is published anew.

    So work that has failed stays failed; but an event that corrects it, and was never read, is news
    as it would have been live. And of two events that differ the one that stands later counts.
    """
    seen = compare(arrival, known)
    if seen is not Seen.NEW_TRY:
        return seen
    if arrival.content_hash == known.content_hash:
        return Seen.DUPLICATE
    return Seen.CONFLICT if _stands_before(arrival, known) else Seen.NEW_TRY


def _stands_before(arrival: Arrival, known: Known) -> bool:
    """Whether it stands before the row's own event, as far as Kafka orders the two."""
    ours, theirs = arrival.origin, known.origin
    same = (ours.topic, ours.partition) == (theirs.topic, theirs.partition)
    return same and ours.offset < theirs.offset


def rounds(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """Split a batch so that no round holds an identity twice, and order is kept within each.

    One statement cannot insert an identity and compare another arrival with what it inserted.
    """
    split: list[list[Arrival]] = []
    seen: dict[tuple[str, str, str], int] = {}
    for arrival in arrivals:
        turn = seen.get(arrival.identity, 0)
        seen[arrival.identity] = turn + 1
        if turn == len(split):
            split.append([])
        split[turn].append(arrival)
    return split
