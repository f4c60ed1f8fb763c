"""Records of many partitions come out in one order: that of their time, and of each partition."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.merger import Merger

Partition = Sequence[int]  # the times of its records
Record = tuple[int, int, int]  # partition, place, time


def merged(partitions: Sequence[Partition], sizes: Sequence[int]) -> list[Record]:
    """Read all partitions, as many records at a time as `sizes` says in turn."""
    merger: Merger[int, Record] = Merger(range(len(partitions)))
    left = [[(p, n, time) for n, time in enumerate(times)] for p, times in enumerate(partitions)]
    out: list[Record] = []
    turn = 0
    while laggards := merger.laggards():
        for number in laggards:
            size = sizes[turn % len(sizes)]
            turn += 1
            taken, left[number] = left[number][:size], left[number][size:]
            merger.add(number, [(float(time), (p, n, time)) for p, n, time in taken])
            if not left[number]:
                merger.finish(number)
        out += merger.ready()
    return out + merger.ready()


PARTITIONS = st.lists(st.lists(st.integers(-1, 30), max_size=12), max_size=5)
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@given(PARTITIONS, SIZES)
def test_every_record_comes_out_once_and_each_partition_keeps_its_order(
    partitions: list[list[int]], sizes: list[int]
) -> None:
    out = merged(partitions, sizes)
    for number, times in enumerate(partitions):
        assert [place for p, place, _ in out if p == number] == list(range(len(times)))


@given(PARTITIONS.map(lambda found: [sorted(times) for times in found]), SIZES)
def test_no_record_comes_out_before_an_older_one_of_another_partition(
    partitions: list[list[int]], sizes: list[int]
) -> None:
    times = [time for _, _, time in merged(partitions, sizes)]
    assert times == sorted(times)


@given(PARTITIONS, SIZES)
def test_of_a_partition_that_is_ahead_no_more_is_asked_for(
    partitions: list[list[int]], sizes: list[int]
) -> None:
    merger: Merger[int, int] = Merger(range(len(partitions)))
    left = [list(times) for times in partitions]
    while laggards := merger.laggards():
        for number in laggards:
            assert merger.first_held(number) is None  # one poll's records at the most are held
            taken, left[number] = left[number][: sizes[0]], left[number][sizes[0] :]
            merger.add(number, [(float(time), time) for time in taken])
            if not left[number]:
                merger.finish(number)
        merger.ready()


def test_a_time_that_goes_back_does_not_hold_up_its_partition() -> None:
    assert merged([[100, 1], [50, 60]], [9]) == [(1, 0, 50), (1, 1, 60), (0, 0, 100), (0, 1, 1)]
