"""What a look into Sedna says about a create whose outcome is unknown. Pure.

The laws it keeps:

* what is found is adopted, if it is one; of two nothing is guessed;
* absence counts only if the look began after the doubt window, and nothing of the answer was
  unreadable: a late commit can follow an empty look.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Adopt:
    """Sedna has the record."""

    rec_id: int


@dataclass(frozen=True, slots=True)
class Absent:
    """Sedna surely does not have it: it may be sent again."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nothing is proven; look again later."""

    reason: str


Conclusion = Adopt | Absent | Undecided


def conclude(
    matches: Collection[int],
    *,
    skipped: int,
    since: datetime,
    looked_at: datetime,
    doubt_window: timedelta,
) -> Conclusion:
    """Draw the conclusion of one look.

    Args:
        matches: the ids of the records that are the one in question.
        skipped: how many elements of the answer could not be read.
        since: when the create was sent at the latest.
        looked_at: when the look began.
        doubt_window: how long a commit may lag behind its request.
    """
    found = sorted(set(matches))
    if len(found) == 1:
        return Adopt(found[0])
    if found:
        listed = ", ".join(map(str, found[:10]))
        return Undecided(
            f"Sedna has {len(found)} records that could be it ({listed}): cancel all but one there"
        )
    if skipped:
        return Undecided(f"{skipped} records of Sedna's answer could not be read")
    if looked_at < since + doubt_window:
        return Undecided("Sedna does not have it yet, which proves nothing so soon")
    return Absent()
