"""When one tenant's next request may go out, so that its rate is kept. Pure.

The generic cell rate algorithm: turns are given in the order in which they are asked for, one each
`1 / rate` seconds, and after a quiet time a burst of them at once. The law it keeps: in any `t`
seconds at most `rate * t + burst` turns.
"""

import math

#: Of an interval: what rounding may cost a turn that is due.
_ROUNDING = 1e-6


class Pacer:
    """The turns of one tenant. Times are seconds on one clock that never goes back."""

    def __init__(self, rate: float) -> None:
        """Begin with a whole burst.

        Args:
            rate: requests per second, above zero. The burst is what a second allows, and at least
                one request.
        """
        self.interval = 1.0 / rate
        self.burst = max(1.0, rate)
        self._slack = (self.burst - 1.0) * self.interval
        self._next = -math.inf  # when the next turn would be, were there no burst

    def take(self, now: float) -> float:
        """Take the next turn; returns when it is, now or later."""
        following = max(self._next, now)
        self._next = following + self.interval
        return max(now, following - self._slack)

    def free(self, now: float) -> int:
        """How many turns are to be had at this moment."""
        room = (now + self._slack - max(self._next, now)) / self.interval
        return max(0, math.floor(room + _ROUNDING) + 1)

    def free_at(self, now: float) -> float:
        """When the next turn is to be had that is not to be had at this moment."""
        following = max(self._next, now) + self.free(now) * self.interval
        return max(now, following - self._slack)
