"""What the directed scenes of this folder share: events with a meaning, and the judge's word."""

from collections.abc import Iterable, Sequence

from schemas.kinds import Kind
from tests.chaos.gather import gather
from tests.chaos.histories import Finding
from tests.chaos.judge import judge
from tests.chaos.workload import SYNCED, Event, Meaning
from tests.support.events import HOTELS, reservation
from tests.support.service import World

TENANT = "a"
#: A lease and a doubt window that a test can wait for.
SHORT = {
    "CONNECT_TIMEOUT": "1",
    "REQUEST_TIMEOUT": "1",
    "LEASE": "3",
    "DRAIN_TIMEOUT": "3",
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "0.5",
    "DOUBT_WINDOW": "3",
}


def voucher(number: int) -> str:
    """Of the reservation with this number."""
    return f"V{number:06}"


def reservations(numbers: Iterable[int]) -> list[Event]:
    """Good ones, each to be made once."""
    return [
        Event(
            at=0.0,
            meaning=Meaning(
                tenant=TENANT,
                kind=Kind.RESERVATION,
                item=voucher(number),
                content=str(number),
                expect=SYNCED,
                hotel_id=HOTELS[number % len(HOTELS)][0],
            ),
            key=TENANT.encode(),
            value=reservation(TENANT, number),
        )
        for number in numbers
    ]


async def publish(here: World, events: Iterable[Event]) -> None:
    """Publish them all, in this order."""
    await here.publish_reservations((TENANT, event.value) for event in events)


async def findings(here: World, events: Sequence[Event]) -> list[Finding]:
    """What the judge of the chaos runs has to say."""
    return judge(await gather(here, events))
