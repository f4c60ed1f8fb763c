"""Group commits: rows go out together, one group at a time, and none is lost or written alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from consumer import persistence
from consumer.persistence import GroupCommit, persistently
from db.errors import DatabaseError, DatabaseUnavailable

#: Seconds; longer than any test, so that a group that goes out did so for another reason.
FOREVER = 3600.0


class Table:
    """Takes groups when it is told to, and answers each row with itself in words."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.errors: list[Exception] = []  # raised by the next writes
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Semaphore(0)
        self.at_once = self.most_at_once = 0

    async def write(self, rows: Sequence[int]) -> Sequence[str]:
        self.groups.append(list(rows))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.called.release()
        try:
            await self.open.wait()
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.at_once -= 1
        return [f"row {row}" for row in rows]


@contextlib.asynccontextmanager
async def running(
    table: Table, *, linger: float = 0.0, max_rows: int = 500
) -> AsyncIterator[GroupCommit[int, str]]:
    group = GroupCommit(table.write, what="testing", linger=linger, max_rows=max_rows)
    task = asyncio.create_task(group.run())
    try:
        yield group
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def submitted(group: GroupCommit[int, str], rows: Sequence[int]) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(group.submit(row)) for row in rows]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(persistence, "_LONGEST_WAIT", 0.002)


async def test_rows_submitted_together_go_out_together_and_each_gets_its_own_answer() -> None:
    table = Table()
    async with running(table) as group:
        assert await asyncio.gather(*submitted(group, range(50))) == [
            f"row {number}" for number in range(50)
        ]
    assert table.groups == [list(range(50))]


async def test_a_group_goes_out_at_once_when_it_is_full_and_never_has_more_rows() -> None:
    table = Table()
    async with running(table, linger=FOREVER, max_rows=10) as group:
        await asyncio.gather(*submitted(group, range(30)))
    assert table.groups == [list(range(10)), list(range(10, 20)), list(range(20, 30))]


async def test_a_group_that_is_not_full_goes_out_when_its_first_row_has_lingered() -> None:
    table = Table()
    async with running(table, linger=0.001, max_rows=10) as group:
        assert await group.submit(1) == "row 1"
    assert table.groups == [[1]]


async def test_a_row_waits_for_others_while_the_group_may_still_grow() -> None:
    table = Table()
    async with running(table, linger=FOREVER, max_rows=2) as group:
        (first,) = submitted(group, [1])
        await asyncio.sleep(0)
        assert table.groups == []
        await group.submit(2)
        await first
    assert table.groups == [[1, 2]]


async def test_while_one_group_is_written_the_next_one_gathers() -> None:
    table = Table()
    table.open.clear()
    async with running(table, max_rows=10) as group:
        (first,) = submitted(group, [0])
        await table.called.acquire()
        rest = submitted(group, range(1, 25))
        await asyncio.sleep(0)
        assert table.groups == [[0]]
        table.open.set()
        await asyncio.gather(first, *rest)
    assert table.groups == [[0], [*range(1, 11)], [*range(11, 21)], [*range(21, 25)]]
    assert table.most_at_once == 1


async def test_nobody_is_answered_before_the_group_is_written() -> None:
    table = Table()
    table.open.clear()
    async with running(table) as group:
        (task,) = submitted(group, [1])
        await table.called.acquire()
        assert not task.done()
        table.open.set()
        assert await task == "row 1"


async def test_while_postgres_is_away_the_same_rows_are_written_again_until_it_takes_them() -> None:
    table = Table()
    table.errors = [DatabaseUnavailable("gone"), DatabaseUnavailable("still gone")]
    async with running(table) as group:
        answers = await asyncio.gather(*submitted(group, range(3)))
    assert answers == ["row 0", "row 1", "row 2"]
    assert table.groups == [[0, 1, 2]] * 3


async def test_what_comes_while_postgres_is_away_follows_in_a_group_of_its_own() -> None:
    table = Table()
    table.open.clear()
    table.errors = [DatabaseUnavailable("gone")]
    async with running(table) as group:
        (first,) = submitted(group, [0])
        await table.called.acquire()
        rest = submitted(group, [1, 2])
        await asyncio.sleep(0)
        table.open.set()
        await asyncio.gather(first, *rest)
    assert table.groups == [[0], [0], [1, 2]]


async def test_a_refused_group_raises_for_each_submitter_and_stops_the_writer_loudly() -> None:
    table = Table()
    table.errors = [DatabaseError("a check refuses it")]
    group = GroupCommit(table.write, what="testing", linger=0.0)
    writer = asyncio.create_task(group.run())
    outcomes = await asyncio.gather(*submitted(group, range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["a check refuses it"] * 3
    with pytest.raises(DatabaseError, match="a check refuses it"):
        await writer
    assert table.groups == [[0, 1, 2]]


async def test_a_submitter_that_is_cancelled_takes_neither_its_row_nor_the_others_along() -> None:
    table = Table()
    async with running(table, linger=FOREVER, max_rows=3) as group:
        first, second = submitted(group, [1, 2])
        await asyncio.sleep(0)
        first.cancel()
        assert await group.submit(3) == "row 3"
        assert await second == "row 2"
    assert first.cancelled()
    assert table.groups == [[1, 2, 3]]


async def test_a_submitter_that_is_cancelled_during_the_write_leaves_the_others_their_answers() -> (
    None
):
    table = Table()
    table.open.clear()
    async with running(table) as group:
        first, second = submitted(group, [1, 2])
        await table.called.acquire()
        first.cancel()
        table.open.set()
        assert await second == "row 2"
        assert await group.submit(3) == "row 3"
    assert table.groups == [[1, 2], [3]]


async def test_a_refused_group_reaches_those_who_were_not_cancelled() -> None:
    table = Table()
    table.open.clear()
    table.errors = [DatabaseError("refused")]
    async with running(table) as group:
        first, second = submitted(group, [1, 2])
        await table.called.acquire()
        first.cancel()
        table.open.set()
        with pytest.raises(DatabaseError, match="refused"):
            await second


async def test_a_write_is_repeated_only_while_postgres_is_away() -> None:
    outcomes: list[Exception | str] = [
        DatabaseUnavailable("gone"),
        DatabaseUnavailable("gone"),
        "written",
    ]

    async def write() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert await persistently(write, what="testing") == "written"
    assert outcomes == []


async def test_a_write_that_postgres_refuses_is_not_repeated() -> None:
    tries = 0

    async def write() -> None:
        nonlocal tries
        tries += 1
        raise DatabaseError("refused")

    with pytest.raises(DatabaseError, match="refused"):
        await persistently(write, what="testing")
    assert tries == 1


async def test_the_waits_for_postgres_grow_up_to_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(persistence, "_FIRST_WAIT", 0.2)
    monkeypatch.setattr(persistence, "_LONGEST_WAIT", 5.0)
    waits: list[float] = []

    async def no_sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)

    async def write() -> None:
        if len(waits) < 8:
            raise DatabaseUnavailable("gone")

    await persistently(write, what="testing")
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
