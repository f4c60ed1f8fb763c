"""What a chaos run publishes is reproducible, of all kinds, and means what it says."""

from collections import Counter

from consumer.sedna.matching import Found, Hotel, HotelIndex
from schemas.kinds import Kind
from tests.chaos.workload import SPELLINGS, Event, workload
from tests.support.events import HOTELS

TENANTS = [f"tenant-{number:02}" for number in range(4)]


def events(seed: int = 1) -> list[Event]:
    return workload(seed=seed, duration=100.0, rate=20.0, tenants=TENANTS)


def test_a_seed_gives_the_same_bytes() -> None:
    assert events(3) == events(3)
    assert events(3) != events(4)


def test_every_spelling_is_of_its_hotel_and_no_other() -> None:
    index = HotelIndex([Hotel(number, name) for number, name in HOTELS])
    for hotel_id, names in SPELLINGS.items():
        for name in names:
            found = index.find(name)
            assert isinstance(found, Found), name
            assert found.hotel.id == hotel_id, name


def test_all_kinds_of_events_come() -> None:
    made = events()
    assert len(made) == 2000
    expected = Counter((each.meaning.kind, each.meaning.expect) for each in made)
    assert expected.keys() == {
        (Kind.RESERVATION, "synced"),
        (Kind.STOP_SALE, "synced"),
        (Kind.RESERVATION, "failed:hotel_not_found"),
        (Kind.RESERVATION, "failed:board_unknown"),
        (Kind.RESERVATION, "failed:room_type_unknown"),
        (Kind.STOP_SALE, "failed:hotel_not_found"),
        (Kind.RESERVATION, "rejected"),
    }
    contents: dict[tuple[str, Kind, str], list[str]] = {}
    for each in made:
        meaning = each.meaning
        contents.setdefault((meaning.tenant, meaning.kind, meaning.item), []).append(
            meaning.content
        )
    several = [those for those in contents.values() if len(those) > 1]
    assert any(len(set(those)) == 1 for those in several)
    assert any(len(set(those)) > 1 for those in several)


def test_no_two_events_have_the_same_bytes_and_they_come_over_the_whole_time() -> None:
    made = events()
    assert len({each.value for each in made}) == len(made)
    times = [each.at for each in made]
    assert times == sorted(times)
    assert times[0] < 5.0
    assert times[-1] > 95.0
