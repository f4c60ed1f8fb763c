"""Order in a lane, and nothing else: stop sales of one hotel in the order of the topic."""

from itertools import combinations, pairwise

from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

LATENCY = 0.05
MANDARIN = 101
SPELLINGS = (
    {"hotel_name": "Mandarin Resort & Spa", "is_close": True},
    {"hotel_name": "MANDARIN RESORT AND SPA", "is_close": False},
    {"hotel_name": "Mandarin Spa ve Resort Otel", "is_close": True},
    {"hotel_name": "The Mandarin", "sedna_hotel_id": MANDARIN, "is_close": False},
)
#: What arrives for one hotel when its four events keep their order.
IN_ORDER = [(f"sedna-sync:{number}", step) for number in (1, 2, 3, 4) for step in (1, 2)]


async def publish(here: World) -> int:
    """Four stop sales of one hotel, and others before, between and behind them."""
    others = [("a", stop_sale("a", 100 + number)) for number in range(20) if number % 5]
    events = others[:4]
    for number, spelling in enumerate(SPELLINGS, start=1):
        events.append(("a", stop_sale("a", number, **spelling)))
        events += others[4 * (number - 1) + 4 : 4 * number + 4]
    await here.publish_stop_sales(events)
    await here.publish_reservations(("a", reservation("a", number)) for number in range(8))
    return len(events) + 8


def arrivals(here: World, hotel_id: int) -> list[tuple[str | None, int | None]]:
    return [
        (call.record_user, call.step)
        for call in here.fake.requests("UpdateStopSale")
        if call.hotel_id == hotel_id
    ]


async def test_stop_sales_of_one_hotel_keep_their_order_however_it_is_spelled(
    world: WorldFactory,
) -> None:
    async with world([account("a", latency_seconds=LATENCY)]) as here:
        await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 99, sedna_hotel_id=102))])
        await here.until_settled(1)  # the catalogue is in memory from here on
        total = await publish(here)
        await here.until_settled(1 + total)

        assert arrivals(here, MANDARIN) == IN_ORDER
        latest = list(here.fake.account("a").stop_sales.records.values())
        closes = [each.body["StopType"] for each in latest if each.body["HotelId"] == MANDARIN]
        assert closes == [0, 1, 0, 1]


async def test_they_keep_their_order_also_before_the_catalogue_is_known(
    world: WorldFactory,
) -> None:
    async with world([account("a", latency_seconds=LATENCY)]) as here:
        total = await publish(here)
        await here.start()
        await here.until_settled(total)

        assert arrivals(here, MANDARIN) == IN_ORDER


async def test_stop_sales_of_different_hotels_of_a_tenant_run_side_by_side(
    world: WorldFactory,
) -> None:
    async with world([account("a", latency_seconds=LATENCY)]) as here:
        total = await publish(here)
        await here.start()
        await here.until_settled(total)

        # A call takes at least its latency, so two that arrive within it overlap.
        calls = here.fake.requests("UpdateStopSale")
        assert any(
            one.hotel_id != other.hotel_id
            and abs(one.monotonic_ns - other.monotonic_ns) < LATENCY * 1e9
            for one, other in combinations(calls, 2)
        )
        for hotel_id in {call.hotel_id for call in calls}:
            of_hotel = [call for call in calls if call.hotel_id == hotel_id]
            assert all(
                later.monotonic_ns - earlier.monotonic_ns >= LATENCY * 1e9
                for earlier, later in pairwise(of_hotel)
            )
