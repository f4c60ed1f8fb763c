"""An attempt sends a create only while its mark is fresh, and asks first where there is doubt."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from consumer.accounts import Account
from consumer.attempt import Attempt, Tools
from consumer.bootstrap import AccountBuilder
from consumer.breaker import Reason
from consumer.clock import SystemClock
from consumer.credentials import Keyring
from consumer.demo.fake import FakeSedna
from consumer.outcome import Done, Outcome, Passing, Paused, Refused, Unknown
from consumer.sedna.matching import Hotel
from consumer.settings import Settings
from consumer.superseding import Notice, notice_of
from consumer.sync import Sync
from db.records import Origin, TenantSettings
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.support.events import account as fake_account
from tests.support.events import reservation_data, stop_sale_data

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEYS = f"k:{base64.b64encode(bytes(32)).decode()}"
FAR = 1e12


@dataclass
class Bench:
    """One account at a fake Sedna, and what the attempts asked of Postgres."""

    fake: FakeSedna
    account: Account
    now: datetime = NOW
    marked: list[int] = field(default_factory=list)
    first_steps: list[int] = field(default_factory=list)
    may_send: bool = True
    asked: list[int] = field(default_factory=list)  #: what has overtaken these
    later: Notice | None = None  #: and what is answered

    async def run(self, sync: Sync, *, write_before: float = FAR) -> Outcome:
        return await self.attempt(sync, write_before=write_before).run()

    def attempt(
        self,
        sync: Sync,
        *,
        write_before: float = FAR,
        on_mark: Callable[[], None] = lambda: None,
    ) -> Attempt:
        async def mark(sync: Sync, _hotel_id: int) -> float:
            self.marked.append(sync.id)
            sync.in_doubt_since = None
            on_mark()
            return write_before

        async def record_step_one(_sync: Sync, rec_id: int, _hotel_id: int) -> None:
            self.first_steps.append(rec_id)

        async def overtaken_by(sync: Sync, _data: StopSaleCreated, _hotel: Hotel) -> Notice | None:
            self.asked.append(sync.id)
            return self.later

        tools = Tools(
            mark=mark,
            may_send=lambda _sync: self.may_send,
            record_step_one=record_step_one,
            in_lane=lambda _sync, _hotel: True,
            overtaken_by=overtaken_by,
            now=lambda: self.now,
            elapsed=SystemClock().elapsed,
            doubt_window=timedelta(seconds=120),
        )
        return Attempt(sync, self.account, tools)

    def open_breaker(self, *, seconds: float) -> None:
        """As a request of somebody else's would."""
        self.account.gate.breaker.restore(
            Reason.FAILURES, failures=5, until=SystemClock().elapsed() + seconds
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    account = fake_account("a")
    settings = Settings(encryption_keys=KEYS, allow_private_addresses=True)
    sealed = Keyring.parse(KEYS).encrypt(account.password, tenant_id="a")
    async with FakeSedna(accounts=[account]) as fake:
        tenant = TenantSettings(
            tenant_id="a",
            sedna_api_url=fake.base_url,
            sedna_username=account.username,
            sedna_password_encrypted=sealed,
        )
        build = AccountBuilder(settings=settings, clock=SystemClock(), environ={})
        made = build(tenant, {})
        yield Bench(fake, made)
        await made.transport.aclose()


def sync(data: ReservationCreated | StopSaleCreated, *, doubt: datetime | None = None) -> Sync:
    is_reservation = isinstance(data, ReservationCreated)
    return Sync(
        id=1,
        tenant_id="a",
        kind=Kind.RESERVATION if is_reservation else Kind.STOP_SALE,
        seq=1,
        generation=1,
        data=data,
        email_id=data.email_id,
        voucher_no=data.voucher_no if isinstance(data, ReservationCreated) else None,
        stop_sale_id=data.stop_sale_id if isinstance(data, StopSaleCreated) else None,
        event_id="e1",
        event_time=None,
        trace=None,
        origin=Origin(topic="t", partition=0, offset=1),
        registered_at=NOW,
        stored_lane=None,
        in_doubt_since=doubt,
    )


def a_reservation() -> ReservationCreated:
    return ReservationCreated.from_json(json.dumps(reservation_data(1)))


def a_stop_sale() -> StopSaleCreated:
    return StopSaleCreated.from_json(json.dumps(stop_sale_data(1)))


@pytest.mark.parametrize("data", [a_reservation(), a_stop_sale()], ids=["reservation", "stop sale"])
async def test_nothing_is_sent_that_the_lease_might_not_outlive(
    bench: Bench, data: ReservationCreated | StopSaleCreated
) -> None:
    bench.may_send = False
    outcome = await bench.run(sync(data))
    assert isinstance(outcome, Passing)
    assert "lease" in outcome.reason
    assert bench.fake.calls("InsertReservation") == bench.fake.calls("UpdateStopSale") == 0


async def test_a_stop_sale_is_not_completed_that_the_lease_might_not_outlive(bench: Bench) -> None:
    half_done = sync(a_stop_sale())
    half_done.rec_id = 7
    bench.may_send = False
    assert isinstance(await bench.run(half_done), Passing)
    assert bench.fake.calls("UpdateStopSale") == 0


@pytest.mark.parametrize("data", [a_reservation(), a_stop_sale()], ids=["reservation", "stop sale"])
async def test_a_process_that_slept_between_mark_and_write_sends_nothing(
    bench: Bench, data: ReservationCreated | StopSaleCreated
) -> None:
    outcome = await bench.run(sync(data), write_before=SystemClock().elapsed() - 0.001)
    assert isinstance(outcome, Passing)
    assert "stood still" in outcome.reason
    assert bench.marked == [1]
    assert bench.fake.calls("InsertReservation") == bench.fake.calls("UpdateStopSale") == 0


@pytest.mark.parametrize("data", [a_reservation(), a_stop_sale()], ids=["reservation", "stop sale"])
async def test_what_is_marked_in_time_is_sent_once(
    bench: Bench, data: ReservationCreated | StopSaleCreated
) -> None:
    outcome = await bench.run(sync(data))
    assert isinstance(outcome, Done)
    assert not outcome.adopted
    held = bench.fake.holdings("a")
    assert sum(held.vouchers.values()) + sum(held.stop_sales.values()) == 1


@pytest.mark.parametrize("seconds", [100, -1], ids=["open", "half-open"])
@pytest.mark.parametrize("data", [a_reservation(), a_stop_sale()], ids=["reservation", "stop sale"])
async def test_an_attempt_that_the_breaker_overtakes_marks_and_sends_nothing(
    bench: Bench, data: ReservationCreated | StopSaleCreated, seconds: float
) -> None:
    other = ReservationCreated.from_json(json.dumps(reservation_data(6)))
    assert isinstance(await bench.run(sync(other)), Done)  # all lists are in memory
    bench.marked.clear()
    attempt = bench.attempt(sync(data))
    bench.open_breaker(seconds=seconds)
    assert isinstance(await attempt.run(), Paused)
    assert not bench.marked
    assert bench.fake.holdings("a").vouchers == {"V000006": 1}
    assert bench.fake.holdings("a").stop_sales == {}


@pytest.mark.parametrize("data", [a_reservation(), a_stop_sale()], ids=["reservation", "stop sale"])
async def test_what_is_marked_when_the_breaker_opens_is_sent_to_its_end(
    bench: Bench, data: ReservationCreated | StopSaleCreated
) -> None:
    attempt = bench.attempt(sync(data), on_mark=lambda: bench.open_breaker(seconds=100))
    assert isinstance(await attempt.run(), Done)
    held = bench.fake.holdings("a")
    assert sum(held.vouchers.values()) + sum(held.stop_sales.values()) == 1
    assert not held.incomplete_stop_sales


async def test_a_doubt_that_nobody_may_ask_about_stays_as_it_is(bench: Bench) -> None:
    doubted = sync(a_reservation(), doubt=NOW)
    attempt = bench.attempt(doubted)
    bench.open_breaker(seconds=100)
    assert isinstance(await attempt.run(), Paused)
    assert doubted.in_doubt_since == NOW
    assert bench.fake.journal.counts.total() == 0


async def test_who_is_in_doubt_asks_and_marks_nothing_before_absence_is_proven(
    bench: Bench,
) -> None:
    bench.now = NOW + timedelta(seconds=119)
    assert isinstance(await bench.run(sync(a_reservation(), doubt=NOW)), Unknown)
    assert isinstance(await bench.run(sync(a_stop_sale(), doubt=NOW)), Unknown)
    assert not bench.marked
    bench.now = NOW + timedelta(seconds=120)
    assert isinstance(await bench.run(sync(a_reservation(), doubt=NOW)), Done)
    assert isinstance(await bench.run(sync(a_stop_sale(), doubt=NOW)), Done)
    assert bench.fake.holdings("a").vouchers == {"V000001": 1}
    assert bench.fake.holdings("a").stop_sales == {"sedna-sync:1": 1}


async def test_what_sedna_has_is_adopted_at_once_and_not_marked(bench: Bench) -> None:
    await bench.run(sync(a_reservation()))
    await bench.run(sync(a_stop_sale()))
    bench.marked.clear()
    for data in (a_reservation(), a_stop_sale()):
        outcome = await bench.run(sync(data, doubt=NOW))
        assert isinstance(outcome, Done)
        assert outcome.adopted
    assert not bench.marked
    assert bench.fake.calls("InsertReservation") == 1


# -- replayed ones --------------------------------------------------------------------------------


def a_later_one() -> Notice:
    return notice_of(
        a_stop_sale(),
        sync_id=9,
        stop_sale_id=8,
        arrival=0,
        is_pending=False,
        hotel_ids=frozenset({102}),
    )


async def test_a_replayed_stop_sale_that_was_overtaken_is_refused_and_names_what_came_later(
    bench: Bench,
) -> None:
    bench.later = a_later_one()
    replayed = sync(a_stop_sale())
    replayed.of_replay = True
    outcome = await bench.run(replayed)
    assert isinstance(outcome, Refused)
    assert outcome.code is ErrorCode.SUPERSEDED
    assert outcome.details["superseded_by"] == {"stop_sale_id": 8, "sync_id": 9}
    assert outcome.details["hotel_id"] == 102
    assert "stop sale 8" in outcome.message
    assert "sedna-sync retry --id 1 --force" in outcome.message
    assert (bench.marked, bench.fake.calls("UpdateStopSale")) == ([], 0)


async def test_a_replayed_stop_sale_that_nothing_has_overtaken_is_sent(bench: Bench) -> None:
    replayed = sync(a_stop_sale())
    replayed.of_replay = True
    assert isinstance(await bench.run(replayed), Done)
    assert (bench.asked, bench.marked) == ([1], [1])


@pytest.mark.parametrize("which", ["live", "in doubt", "begun"])
async def test_what_is_live_or_was_perhaps_sent_is_not_asked_what_has_overtaken_it(
    bench: Bench, which: str
) -> None:
    bench.later = a_later_one()
    each = sync(a_stop_sale(), doubt=NOW - timedelta(hours=1) if which == "in doubt" else None)
    each.of_replay = which != "live"
    if which == "begun":
        begun = await bench.run(sync(a_stop_sale()))
        assert isinstance(begun, Done)
        each.rec_id = begun.rec_id
    outcome = await bench.run(each)
    assert isinstance(outcome, Done)
    assert bench.asked == []
