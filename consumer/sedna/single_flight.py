"""Does a piece of work once for all who want it at the same moment.

No task of its own: the first who comes does the work, the others wait for its result. It must never
let one caller's cancellation fail another.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Done(Generic[_T]):
    value: _T


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class SingleFlight(Generic[_T]):
    """One piece of work that many may ask for."""

    def __init__(self) -> None:
        #: Set while somebody works; None as its result means that whoever worked was cancelled.
        self._running: asyncio.Future[_Done[_T] | _Failed | None] | None = None
        #: How many are in :meth:`do`: who keeps it for them may forget it at 0.
        self.wanted = 0

    async def do(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `work` returns, or what somebody's who is at it already does.

        Raises what that work raised.
        """
        self.wanted += 1
        try:
            return await self._do(work)
        finally:
            self.wanted -= 1

    async def _do(self, work: Callable[[], Awaitable[_T]]) -> _T:
        while self._running is not None:
            match await asyncio.shield(self._running):
                case _Done(value):
                    return value
                case _Failed(error):
                    # One object for all who waited, and each would add its own stack to it.
                    raise error.with_traceback(None)
                case None:
                    continue  # whoever worked was cancelled: the first to wake takes over
        running = self._running = asyncio.get_running_loop().create_future()
        outcome: _Done[_T] | _Failed | None = None
        try:
            value = await work()
            outcome = _Done(value)
        except Exception as error:
            outcome = _Failed(error)
            raise
        finally:
            self._running = None
            running.set_result(outcome)
        return value
