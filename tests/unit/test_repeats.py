"""What is said and what is left out: every line is counted, within bounds, each for itself."""

from collections import Counter
from collections.abc import Iterator, Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.repeats import LeftOut, Others, Repeats

EVERY = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


#: Steps of whole quarters of `EVERY`, so that sums of them are exact.
STEPS = st.integers(0, 30).map(lambda quarters: quarters * EVERY / 4)
#: Seconds until the next line, its kind, and whom it is about.
LINES = st.lists(
    st.tuples(STEPS, st.sampled_from("xyz"), st.sampled_from(["a", "b", None])), max_size=200
)


def repeats(clock: Clock, *, burst: int = 3, most: int = 100) -> Repeats:
    return Repeats(burst=burst, every=EVERY, most=most, clock=clock)


def say(
    limit: Repeats, clock: Clock, lines: Sequence[tuple[float, str, str | None]]
) -> Iterator[tuple[float, str, str | None, int | None]]:
    for step, kind, about in lines:
        clock.now += step
        yield clock.now, kind, about, limit.admit(kind, about)


@given(LINES, st.integers(1, 5), st.integers(1, 3), st.integers(0, 5))
@example([(0.0, "x", "a")] * 9, 3, 1, 2)
def test_what_is_said_and_what_is_told_as_left_out_is_all_that_there_was_to_say(
    lines: list[tuple[float, str, str | None]], burst: int, most: int, tell_after: int
) -> None:
    clock = Clock()
    limit = repeats(clock, burst=burst, most=most)
    said = told = 0
    for number, (_, _, _, left_out) in enumerate(say(limit, clock, lines)):
        if left_out is not None:
            said += 1
            told += left_out
        if tell_after and number % (tell_after * 7) == 0:
            told += sum(each.count for each in limit.tell())
    told += sum(each.count for each in limit.tell(everything=True))
    assert said + told == len(lines)
    assert limit.tell(everything=True) == []


@given(LINES, st.integers(1, 5))
def test_of_one_kind_about_one_no_more_is_said_in_any_time_than_the_burst_and_one_each_interval(
    lines: list[tuple[float, str, str | None]], burst: int
) -> None:
    clock = Clock()
    limit = repeats(clock, burst=burst)
    moments: dict[object, list[float]] = {}
    for number, (now, kind, about, left_out) in enumerate(say(limit, clock, lines)):
        if left_out is not None:
            moments.setdefault((kind, about), []).append(now)
        if number % 10 == 0:
            for each in limit.tell():
                moments.setdefault((each.kind, each.about), []).append(now)
    for said in moments.values():
        for first, since in enumerate(said):
            for last, until in enumerate(said[first:], first):
                assert last - first + 1 <= burst + (until - since) // EVERY


@given(LINES)
def test_what_is_said_about_one_never_depends_on_the_others(
    lines: list[tuple[float, str, str | None]],
) -> None:
    clock, alone_clock = Clock(), Clock()
    limit, alone = repeats(clock), repeats(alone_clock)
    for now, kind, about, left_out in say(limit, clock, lines):
        alone_clock.now = now
        if (kind, about) == ("x", "a"):
            assert alone.admit(kind, about) == left_out


def test_the_first_ones_are_said_at_once_and_the_next_says_how_many_were_left_out() -> None:
    clock = Clock()
    limit = repeats(clock)
    assert [limit.admit("x", "a") for _ in range(5)] == [0, 0, 0, None, None]
    clock.now += EVERY
    assert [limit.admit("x", "a") for _ in range(2)] == [2, None]


def test_what_no_later_line_tells_is_told_once_a_line_may_be_said_again() -> None:
    clock = Clock()
    limit = repeats(clock)
    for _ in range(5):
        limit.admit("x", "a")
    assert limit.tell() == []
    clock.now += EVERY
    assert limit.tell() == [LeftOut("x", "a", 2)]
    assert limit.tell() == []


def test_a_flood_about_one_does_not_hide_the_first_line_about_another() -> None:
    clock = Clock()
    limit = repeats(clock)
    for _ in range(1000):
        limit.admit("x", "flood")
    assert limit.admit("x", "other") == 0


def test_those_that_there_is_no_room_for_share_one_allowance_and_are_counted() -> None:
    clock = Clock()
    limit = repeats(clock, burst=2, most=10)
    said = [limit.admit("x", number) for number in range(1000)]
    # Ten of their own, and the others together.
    assert Counter(each is not None for each in said) == {True: 12, False: 988}
    assert limit.tell(everything=True) == [LeftOut("x", Others(), 988)]


def test_memory_does_not_grow_with_what_is_said() -> None:
    clock = Clock()
    limit = repeats(clock, most=10)
    for number in range(10_000):
        clock.now += 0.01
        limit.admit(f"kind {number % 2000}", number)
    held = limit._kinds
    assert len(held) <= 501
    assert max(len(each) for each in held.values()) <= 11


def test_who_was_silent_for_long_makes_room_for_others() -> None:
    clock = Clock()
    limit = repeats(clock, burst=1, most=10)
    for number in range(10):
        assert limit.admit("x", number) == 0
    clock.now += EVERY
    assert [limit.admit("x", 100 + number) for number in range(10)] == [0] * 10
    clock.now += EVERY
    limit.tell()
    assert limit._kinds == {}
