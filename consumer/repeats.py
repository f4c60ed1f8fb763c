"""Decides which log lines are said, and counts the others: what repeats fast is bounded. Pure.

Of each kind of line and each one whom it is about (an event and its tenant, a logger and its text)
the first ones are said at once, then one now and then; whoever is flooded hides nobody else's. What
is left out is counted, and told with the next line that is said, or by `tell`:

    said + told as left out = all that there was to say

It must never wait, and never grow with what is said: of so many within one kind all further ones
share one allowance.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

#: Kinds that are told apart; the program has some fifty.
_MOST_KINDS: Final = 500


@dataclass(frozen=True, slots=True)
class Others:
    """Stands for all that there was no room for."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines that were not said."""

    kind: str
    about: Hashable
    count: int


@dataclass(slots=True)
class _Allowance:
    used_until: float  #: on the clock; so far in the future, so much of it is used up
    left_out: int = 0


_OTHERS: Final = Others()
_OTHER_KINDS: Final = ""


class Repeats:
    """The lines of one process."""

    def __init__(self, *, burst: int, every: float, most: int, clock: Callable[[], float]) -> None:
        """Build it.

        Args:
            burst: so many of one kind about one are said at once.
            every: seconds until one more may be.
            most: so many are told apart within one kind.
            clock: seconds since some moment.
        """
        self._ahead = (burst - 1) * every
        self._every = every
        self._most = most
        self._clock = clock
        self._kinds: dict[str, dict[Hashable, _Allowance]] = {}
        self._tidied: dict[str, float] = {}  # when each kind was last looked through for room

    def admit(self, kind: str, about: Hashable) -> int | None:
        """Ask for one line.

        Returns:
            None if it is to be left out, else how many like it were since the last that was said.
        """
        now = self._clock()
        allowance = self._allowance(kind, about, now)
        if not self._take(allowance, now):
            allowance.left_out += 1
            return None
        left_out, allowance.left_out = allowance.left_out, 0
        return left_out

    def tell(self, *, everything: bool = False) -> list[LeftOut]:
        """What was left out and not told yet; it is told by this, and takes the place of a line.

        Args:
            everything: also of those of whom no line may be said now.
        """
        now = self._clock()
        told = []
        for kind, allowances in self._kinds.items():
            for about, allowance in allowances.items():
                if allowance.left_out and (self._take(allowance, now) or everything):
                    told.append(LeftOut(kind, about, allowance.left_out))
                    allowance.left_out = 0
        for kind in list(self._kinds):
            self._tidy(kind, now)
        return told

    def _take(self, allowance: _Allowance, now: float) -> bool:
        used_until = max(allowance.used_until, now)
        if used_until - now > self._ahead:
            return False
        allowance.used_until = used_until + self._every
        return True

    def _allowance(self, kind: str, about: Hashable, now: float) -> _Allowance:
        allowances = self._kinds.get(kind)
        if allowances is None:
            if len(self._kinds) >= _MOST_KINDS:
                kind = _OTHER_KINDS
            allowances = self._kinds.setdefault(kind, {})
        allowance = allowances.get(about)
        if allowance is None:
            if len(allowances) >= self._most:
                self._make_room(kind, now)
                allowances = self._kinds.setdefault(kind, {})
            if len(allowances) >= self._most:
                about = _OTHERS
            allowance = allowances.setdefault(about, _Allowance(now))
        return allowance

    def _make_room(self, kind: str, now: float) -> None:
        # Looked through now and then only: the next one may find no room either.
        if now - self._tidied.get(kind, -self._every) >= self._every:
            self._tidied[kind] = now
            self._tidy(kind, now)

    def _tidy(self, kind: str, now: float) -> None:
        """Forget who has all of his allowance again: he is like one who was never seen."""
        allowances = self._kinds[kind]
        kept = {
            about: allowance
            for about, allowance in allowances.items()
            if allowance.left_out or allowance.used_until > now
        }
        if kept:
            self._kinds[kind] = kept
        else:
            del self._kinds[kind]
            self._tidied.pop(kind, None)
