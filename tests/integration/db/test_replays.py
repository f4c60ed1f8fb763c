"""A replay's position moves with what it stands for, once, and only where nobody else moved it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from db import replays
from db.inbox import registration
from db.pool import Pool
from db.replays import Moved, Position
from schemas.kinds import Kind
from tests.integration.db.builders import (
    NOW,
    TENANT,
    inserted,
    reservation,
    rows,
    settle,
    settlement_of,
    stop_sale,
)

AT = Position(topic="t", partition=0, first=10, end=60, position=10)
OTHER = replace(AT, partition=1)
ONE = (TENANT, "reservation", "created", "")


async def advance(
    pool: Pool,
    replay_id: int,
    *moved: tuple[int, Position],
    counts: dict[tuple[str, str, str, str], int] | None = None,
) -> None:
    async with registration(pool) as transaction:
        await replays.advance(transaction.connection, replay_id, moved, counts or {})


async def test_a_run_is_taken_up_where_it_was_with_what_was_counted(pool: Pool) -> None:
    replay_id = await replays.begin(pool, '{"a": 1}', [AT, OTHER])
    moved = replace(AT, position=30, expired=3, last_offset=29, last_digest=b"x")
    await advance(pool, replay_id, (10, moved), counts={ONE: 5})
    await advance(pool, replay_id, (10, replace(OTHER, position=60)), counts={ONE: 2})
    assert await replays.positions(pool, replay_id) == [moved, replace(OTHER, position=60)]
    assert await replays.counts(pool, replay_id) == {ONE: 7}


async def test_who_finds_a_position_moved_by_another_writes_nothing_at_all(pool: Pool) -> None:
    replay_id = await replays.begin(pool, "{}", [AT, OTHER])
    await advance(pool, replay_id, (10, replace(AT, position=30)), counts={ONE: 5})

    async def late() -> None:
        async with registration(pool, replay_id=replay_id) as transaction:
            await transaction.insert([reservation()])
            moved = [(10, replace(OTHER, position=60)), (10, replace(AT, position=40))]
            await replays.advance(transaction.connection, replay_id, moved, {ONE: 9})

    with pytest.raises(Moved):
        await late()
    assert [each.position for each in await replays.positions(pool, replay_id)] == [30, 10]
    assert await replays.counts(pool, replay_id) == {ONE: 5}
    assert await rows(pool, "syncs") == []


async def test_what_a_replay_registers_says_so_and_gives_way(pool: Pool) -> None:
    async with registration(pool, replay_id=5) as transaction:
        await transaction.insert([reservation()])
    await inserted(pool, reservation("V2"))
    found = [
        (row["voucher_no"], row["replay_id"], row["replayed"]) for row in await rows(pool, "syncs")
    ]
    assert found == [("V1", 5, True), ("V2", None, False)]


async def test_the_last_run_that_was_told_the_same_is_found_an_open_one_first(pool: Pool) -> None:
    assert await replays.latest(pool, None) is None
    first = await replays.begin(pool, '{"a": 1}', [AT])
    second = await replays.begin(pool, '{"a": 1}', [AT])
    third = await replays.begin(pool, '{"a": 2}', [AT])
    await replays.finish(pool, second)

    async def latest(asked: str | None) -> tuple[int, bool] | None:
        run = await replays.latest(pool, asked)
        return None if run is None else (run.id, run.finished)

    assert await latest(None) == (third, False)
    assert await latest('{"a":  1}') == (first, False)
    await replays.finish(pool, first)
    assert await latest('{"a": 1}') == (second, True)
    assert await latest('{"a": 3}') is None
    run = await replays.by_id(pool, first)
    assert run is not None
    assert run.finished
    assert await replays.by_id(pool, third + 1) is None


async def test_results_are_those_of_settled_syncs_as_of_the_end_of_their_last_attempt(
    pool: Pool,
) -> None:
    done, failed, waiting = await inserted(
        pool, reservation("V1"), stop_sale(7), reservation("V3", offset=2)
    )
    ended = NOW + timedelta(seconds=3)
    await settle(
        pool,
        [
            settlement_of(done, rec_id=1, hotel_id=18, message="at Mandarin", finished_at=ended),
            settlement_of(
                failed,
                state="failed",
                error_code="hotel_not_found",
                error_message="none",
                error_details='{"x": 1}',
            ),
        ],
    )
    asked = [(TENANT, each.id) for each in (done, failed, waiting)]
    one, other = await replays.results(pool, asked)
    assert (one.sync_id, one.state, one.message, one.settled_at) == (
        done.id, "synced", "at Mandarin", ended,
    )  # fmt: skip
    assert (other.kind, other.error_code, other.error_details) == (
        Kind.STOP_SALE, "hotel_not_found", '{"x": 1}',
    )  # fmt: skip
    assert await replays.results(pool, [("somebody-else", done.id)]) == []


async def test_an_answer_that_the_row_does_not_tell_is_kept_with_it(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    conflict = settlement_of(place, rec_id=1, hotel_id=18, answered_otherwise=True)
    await settle(pool, [conflict])
    (stored,) = await replays.results(pool, [(TENANT, place.id)])
    assert conflict.answer is not None
    assert stored.event == conflict.answer.value


async def test_the_pace_is_that_of_successes_before_the_replay(pool: Pool) -> None:
    places = await inserted(pool, reservation("V1"), reservation("V2", offset=1), stop_sale(7))
    ended = [NOW + timedelta(seconds=seconds) for seconds in (1, 3, 10)]
    await settle(
        pool,
        [settlement_of(place, finished_at=end) for place, end in zip(places, ended, strict=True)],
    )
    assert await replays.pace(pool, [TENANT, "nobody"], before=None) == {
        (TENANT, Kind.RESERVATION): 2.0,
        (TENANT, Kind.STOP_SALE): 10.0,
    }
    replay_id = await replays.begin(pool, "{}", [AT])
    async with registration(pool, replay_id=replay_id) as transaction:
        many = [reservation(f"N{n}", offset=10 + n) for n in range(300)]
        await transaction.insert(many)
    assert await replays.pace(pool, [TENANT], before=None) == {}
    assert len(await replays.pace(pool, [TENANT], before=replay_id)) == 2


async def test_a_dry_run_s_memory_keeps_what_came_first_and_is_gone_with_it(
    pool: Pool, url: str
) -> None:
    async with replays.memory(url) as memory:
        was_empty = memory.is_empty
        await memory.remember({b"a": b"1"})
        await memory.remember({b"a": b"2", b"b": b"3"})
        assert (was_empty, memory.is_empty) == (True, False)
        assert await memory.recall([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"3"}
    assert await pool.fetchval("SELECT to_regclass('replay_memory')") is None
