"""Writing to Postgres in groups, and not giving up on it while it is away.

What came of a request is known only here until it is written: so a write that fails in passing is
tried again with the same rows, for as long as it takes. All writes that go through here can be
repeated without harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from consumer.events import set_within
from consumer.logs import get_logger
from consumer.retry import backoff
from db.errors import DatabaseUnavailable

T = TypeVar("T")
Row = TypeVar("Row")
Answer = TypeVar("Answer")

_log = get_logger(__name__)

#: Seconds: the first wait for Postgres, and the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


async def persistently(
    write: Callable[[], Awaitable[T]], *, what: str, unless: asyncio.Event | None = None
) -> T:
    """Run a write until Postgres takes it.

    Args:
        write: can be repeated without harm.
        what: for the log, such as "settling".
        unless: once it is set, nothing is repeated any more.

    Raises:
        DatabaseUnavailable: Postgres is away, and `unless` is set.
        DatabaseError: Postgres refuses the write; repeating it would not help.
    """
    attempt = 0
    while True:
        try:
            return await write()
        except DatabaseUnavailable as error:
            attempt += 1
            wait = backoff(attempt, base=_FIRST_WAIT, cap=_LONGEST_WAIT, jitter=1.0)
            _log.warning("postgres_unavailable", what=what, error=str(error), retry_in=wait)
            await _sleep(wait, unless)
            if unless is not None and unless.is_set():
                raise


async def _sleep(seconds: float, unless: asyncio.Event | None) -> None:
    if unless is None:
        await asyncio.sleep(seconds)
    else:
        await set_within(unless, seconds)


class GroupCommit(Generic[Row, Answer]):
    """Gathers rows from many tasks and writes them together.

    A group goes out when it has `max_rows` rows or its first row has waited `linger` seconds, and
    never two groups at once: while one is written the next one gathers, so groups grow by
    themselves when Postgres is the slower side.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Row]], Awaitable[Sequence[Answer]]],
        *,
        what: str,
        linger: float,
        max_rows: int = 500,
    ) -> None:
        self._write = write
        self._what = what
        self._linger = linger  #: seconds
        self._max_rows = max_rows
        self._waiting: list[tuple[Row, asyncio.Future[Answer]]] = []
        self._some = asyncio.Event()
        self._full = asyncio.Event()

    async def submit(self, row: Row) -> Answer:
        """Write a row with its group; returns what was answered for it, once it is committed.

        Raises:
            DatabaseError: Postgres refuses the group.
        """
        written: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, written))
        self._some.set()
        if len(self._waiting) >= self._max_rows:
            self._full.set()
        return await written

    async def run(self) -> None:
        """Write groups, until cancelled."""
        while True:
            await self._some.wait()
            await self._gather()
            group = self._waiting[: self._max_rows]
            self._waiting = self._waiting[self._max_rows :]
            if not self._waiting:
                self._some.clear()
            await self._commit(group)

    async def _gather(self) -> None:
        if len(self._waiting) < self._max_rows:
            self._full.clear()
            await set_within(self._full, self._linger)

    async def _commit(self, group: list[tuple[Row, asyncio.Future[Answer]]]) -> None:
        rows = [row for row, _ in group]
        try:
            answers = await persistently(lambda: self._write(rows), what=self._what)
        except Exception as error:
            for _, written in group:
                if not written.done():
                    written.set_exception(error)
            raise
        for (_, written), answer in zip(group, answers, strict=True):
            if not written.done():
                written.set_result(answer)
