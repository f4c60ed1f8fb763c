"""The API's share of the loop: a caller's request begins once the work leaves time for it.

The work runs in the same loop. So each request is charged with the time for which it keeps the
loop, whatever it does then, and while the share is used up others wait to begin: tenants take
turns, and each tenant's requests keep their order. What a request waits for, be it Postgres or an
outcome, is charged to nobody.

It must never hold up a request that has begun: that may hold a connection, or the lock of a row.
"""

import asyncio
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

_T = TypeVar("_T")

#: Of the loop's time: for callers, for probes, for each while the work has too much to do, and for
#: callers while it has nothing to do.
SHARE, PROBES, LEAST, IDLE = 0.25, 0.1, 0.05, 0.9
#: Seconds of the loop that the server takes for a request, which cannot be seen from here.
_SERVER = 0.0003
#: Seconds of the loop that may be taken at once after a rest: some ten requests.
_SAVED = 0.02
#: Seconds between two looks. One that is late by so much says that the loop is overworked, and that
#: holds for a while, since it has quiet moments then as well.
_TICK, _LATE, _WHILE = 0.005, 0.008, 0.1


class Share:
    """The account of the loop's time, and those who wait for some."""

    def __init__(
        self,
        share: float = SHARE,
        *,
        is_idle: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._share = share
        self._is_idle = is_idle  # whether there is no work that callers could hold up
        self._clock = clock  # seconds
        self._left = _SAVED  # seconds; below 0, so much was taken in advance
        self._overworked_until = float("-inf")
        self._is_looking = False
        #: By whose they are, in the order of the next turns.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def turn(self, whose: str) -> None:
        """Return once a request may begin.

        Args:
            whose: it is; those of different ones take turns.
        """
        if self._left > 0 and not self._waiting:
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(turn)
        await turn

    @types.coroutine
    def charged(self, request: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T]:
        """Run a request, step by step from one wait to the next, and charge each step."""
        raised: BaseException | None = None
        self._charge(_SERVER)
        while True:
            began = self._clock()
            try:
                awaited = request.send(None) if raised is None else request.throw(raised)
            except StopIteration as ended:
                result: _T = ended.value
                return result
            finally:
                self._charge(self._clock() - began)
            raised = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - the request's own, as any await's
                raised = error

    def _charge(self, seconds: float) -> None:
        self._left -= seconds
        if not self._is_looking:
            self._is_looking = True
            self._look_later()

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(_TICK, self._look, self._clock())

    def _look(self, since: float) -> None:
        """Add what has become free since then, until all of it is saved up."""
        now = self._clock()
        passed = now - since
        if passed >= _TICK + _LATE:
            self._overworked_until = now + _WHILE
        self._left = min(_SAVED, self._left + passed * self._share_at(now))
        self._let_in()
        self._is_looking = self._left < _SAVED
        if self._is_looking:
            self._look_later()

    def _share_at(self, now: float) -> float:
        if self._is_idle():
            return IDLE  # what is late then is late because of the callers themselves
        return LEAST if now < self._overworked_until else self._share

    def _let_in(self) -> None:
        if self._left > 0 and (turn := self._next()) is not None:
            turn.set_result(None)
            # One after the other: by then this one's first step is charged.
            asyncio.get_running_loop().call_soon(self._let_in)

    def _next(self) -> asyncio.Future[None] | None:
        while self._waiting:
            whose = next(iter(self._waiting))
            turns = self._waiting.pop(whose)
            turn = turns.popleft()
            if turns:
                self._waiting[whose] = turns  # behind all others
            if not turn.done():  # or he has given up
                return turn
        return None
