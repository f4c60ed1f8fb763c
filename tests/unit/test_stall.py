"""What counts as a stalled consumer, and what does not."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.stall import Place, StallDetector

ONE, OTHER = ("reservation.created", 0), ("stopsale.created", 0)
LOOKS = 3

offsets = st.integers(min_value=0, max_value=20)


def detector() -> StallDetector:
    return StallDetector(looks=LOOKS)


def test_a_position_that_stands_still_before_records_has_stalled_after_enough_looks() -> None:
    dog = detector()
    found = [dog.look({ONE: Place(5, 9)}) for _ in range(LOOKS + 1)]
    assert found == [{}] * LOOKS + [{ONE: Place(5, 9)}]


@given(st.lists(offsets, min_size=1, max_size=30))
def test_a_position_at_the_end_never_stalls(ends: list[int]) -> None:
    dog = detector()
    assert not any(dog.look({ONE: Place(end, end)}) for end in ends)


@given(st.lists(st.integers(min_value=1, max_value=5), max_size=30), offsets)
def test_a_position_that_moves_between_any_two_looks_never_stalls(
    steps: list[int], start: int
) -> None:
    dog = detector()
    position = start
    for step in [0, *steps]:
        position += step
        assert not dog.look({ONE: Place(position, position + 100)})


@given(st.lists(st.tuples(offsets, offsets), max_size=40))
def test_only_looks_in_a_row_at_one_place_with_something_behind_it_count(
    seen: list[tuple[int, int]],
) -> None:
    dog = detector()
    for number, (position, end) in enumerate(seen):
        row = seen[max(0, number - LOOKS) : number + 1]
        expected = len(row) == LOOKS + 1 and all(
            each == position and its_end > each for each, its_end in row
        )
        assert bool(dog.look({ONE: Place(position, end)})) is expected


@given(st.integers(min_value=0, max_value=LOOKS))
def test_what_was_forgotten_begins_anew(before: int) -> None:
    dog = detector()
    for _ in range(before):
        dog.look({ONE: Place(5, 9)})
    dog.forget()
    assert [bool(dog.look({ONE: Place(5, 9)})) for _ in range(LOOKS + 1)] == [False] * LOOKS + [
        True
    ]


def test_a_partition_that_was_not_looked_at_in_between_begins_anew() -> None:
    dog = detector()
    for _ in range(LOOKS):
        dog.look({ONE: Place(5, 9)})
    dog.look({OTHER: Place(0, 0)})
    assert not dog.look({ONE: Place(5, 9)})


def test_one_partition_stalls_though_another_moves() -> None:
    dog = detector()
    for position in range(LOOKS):
        dog.look({ONE: Place(5, 9), OTHER: Place(position, 100)})
    assert dog.look({ONE: Place(5, 9), OTHER: Place(LOOKS, 100)}) == {ONE: Place(5, 9)}
