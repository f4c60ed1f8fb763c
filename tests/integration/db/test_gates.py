"""Breakers as Postgres remembers them: what the next owner goes on from, and what it forgets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from consumer.breaker import BreakerPolicy, Reason
from consumer.gate import AccountGate
from consumer.gates import Gates
from consumer.sedna.errors import AccountPaused, LoginRefused, SednaError, Throttled, Unavailable
from consumer.sedna.operations import Operation
from db import breakers, tenants
from db.errors import DatabaseUnavailable
from db.pool import Pool
from db.records import OpenBreaker, TenantSettings

COOL_DOWN = 30.0


@dataclass
class Clock:
    """Moves only when it is told to."""

    seconds: float = 1_000.0
    start: datetime = field(default_factory=lambda: datetime.now(UTC))

    def elapsed(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds - 1_000.0)


@dataclass
class Process:
    """The gates of one process, and what it was told."""

    pool: Pool
    clock: Clock
    shut: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    gates: Gates = field(init=False)

    def __post_init__(self) -> None:
        self.gates = Gates(
            pool=self.pool,
            clock=self.clock,
            policy=BreakerPolicy(failures=2, cool_down=COOL_DOWN, longest=300),
            on_shut=self._shut,
            on_open=self._open,
        )

    def _shut(self, tenant_id: str, until: float) -> None:
        self.told.append("shut")
        self.shut[tenant_id] = until

    def _open(self, tenant_id: str) -> None:
        self.told.append("open")
        del self.shut[tenant_id]

    async def gate(self) -> AccountGate:
        settings = await tenants.get(self.pool, "a")
        assert settings is not None
        return await self.gates.of(settings)

    async def fail(self, error: SednaError) -> AccountGate:
        gate = await self.gate()
        gate.enter(Operation.LOGIN)(error)
        return gate

    async def stored(self) -> OpenBreaker | None:
        """What is in the table once all is written."""
        await self.gates.aclose()
        return await breakers.get(self.pool, "a")


@pytest.fixture
async def start(pool: Pool) -> Callable[[], Process]:
    """Start a process; all have the same clock."""
    await change_settings(pool)
    clock = Clock()
    return lambda: Process(pool, clock)


async def change_settings(pool: Pool) -> None:
    await tenants.put(
        pool,
        TenantSettings(
            tenant_id="a",
            sedna_api_url="http://sedna.example/",
            sedna_username="u",
            sedna_password_encrypted=b"sealed",
        ),
    )


def blocked(gate: AccountGate) -> bool:
    try:
        gate.check()
    except AccountPaused:
        return True
    return False


async def test_a_breaker_that_opens_is_noted_with_its_reason_and_forgotten_when_it_closes(
    start: Callable[[], Process],
) -> None:
    here = start()
    gate = await here.fail(LoginRefused("wrong password"))
    row = await here.stored()
    assert row is not None
    assert (row.reason, row.last_error, row.failures) == ("login_refused", "wrong password", 1)
    assert row.open_until == here.clock.now() + timedelta(seconds=COOL_DOWN)
    assert here.shut == {"a": 1_030.0}

    here.clock.seconds += COOL_DOWN
    gate.enter(Operation.LOGIN)(None)
    assert await here.stored() is None
    assert here.told == ["shut", "open"]


async def test_the_next_process_goes_on_where_the_last_one_stopped(
    start: Callable[[], Process],
) -> None:
    first = start()
    await first.fail(LoginRefused("wrong password"))
    await first.stored()
    first.clock.seconds += 10

    second = start()
    gate = await second.gate()
    assert blocked(gate)
    assert second.shut["a"] == pytest.approx(1_030.0)
    with pytest.raises(AccountPaused, match="wrong password"):
        gate.enter(Operation.LOGIN)
    second.clock.seconds += 20.1
    gate.enter(Operation.LOGIN)(LoginRefused("still wrong"))
    row = await second.stored()
    assert row is not None
    # The second refusal in a row waits twice as long.
    assert row.failures == 2
    assert row.open_until == second.clock.now() + timedelta(seconds=2 * COOL_DOWN)


async def test_one_whose_time_is_over_begins_with_a_probe(start: Callable[[], Process]) -> None:
    first = start()
    await first.fail(Throttled("429", retry_after=100))
    await first.stored()
    first.clock.seconds += 200
    gate = await start().gate()
    assert not gate.breaker.closed
    gate.enter(Operation.BOARDS)
    with pytest.raises(AccountPaused):
        gate.enter(Operation.BOARDS)


async def test_a_change_of_settings_closes_it_and_what_the_old_ones_bring_is_not_heard(
    start: Callable[[], Process], pool: Pool
) -> None:
    here = start()
    old = await here.fail(LoginRefused("wrong password"))
    late = old.enter(Operation.INSERT_RESERVATION)
    await change_settings(pool)
    new = await here.gate()
    assert new is not old
    assert not blocked(new)
    assert here.told == ["shut", "open"]
    late(Throttled("429", retry_after=100))
    assert here.told == ["shut", "open"]
    assert await here.stored() is None


async def test_a_change_of_settings_while_nobody_runs_closes_it_as_well(
    start: Callable[[], Process], pool: Pool
) -> None:
    first = start()
    await first.fail(LoginRefused("wrong password"))
    await first.stored()
    await change_settings(pool)
    second = start()
    assert not blocked(await second.gate())
    assert second.told == []
    assert await second.stored() is None


async def test_what_is_read_again_without_a_change_stays_open(start: Callable[[], Process]) -> None:
    here = start()
    gate = await here.fail(LoginRefused("wrong password"))
    assert await here.gate() is gate
    assert here.gates.shut() == ["a"]
    assert here.told == ["shut"]


async def test_a_tenant_that_is_switched_off_is_not_held_back_from_failing(
    start: Callable[[], Process],
) -> None:
    here = start()
    await here.fail(LoginRefused("wrong password"))
    here.gates.drop("a")
    assert here.shut == {}
    assert not here.gates.is_shut("a")
    assert await here.stored() is None


async def test_the_last_state_wins_however_long_the_first_takes_to_be_written(
    start: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = start()
    put_open, writes = breakers.put_open, 0

    async def fails_at_first(*arguments: object, **more: object) -> None:
        nonlocal writes
        writes += 1
        if writes == 1:
            raise DatabaseUnavailable("gone for a moment")
        await put_open(*arguments, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr("consumer.gates.breakers.put_open", fails_at_first)
    gate = await here.fail(LoginRefused("wrong password"))
    await asyncio.sleep(0)  # the first write begins, and fails
    assert writes == 1
    for seconds in (30, 60, 120):
        here.clock.seconds += seconds
        gate.enter(Operation.LOGIN)(Unavailable("503") if seconds == 120 else LoginRefused("no"))
    row = await here.stored()
    assert row is not None
    assert row.reason == Reason.FAILURES
    assert row.last_error == "503"
    # One that failed, the same again, and the last: what lay between was never written.
    assert writes == 3
