"""What the API takes of the loop: charged by the time, given by turns."""

import asyncio

import pytest

from consumer.api.share import LEAST, SHARE, Share


class Clock:
    """Goes on by so much each time that it is read, and by what requests take."""

    def __init__(self, *, step: float) -> None:
        self.now = 0.0
        self.reads = 0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        self.reads += 1
        return self.now

    async def read_again(self, times: int) -> None:
        """Let so many looks at the account happen."""
        until = self.reads + 2 * times
        async with asyncio.timeout(20):
            while self.reads < until:
                await asyncio.sleep(0)


class Callers:
    """Requests that are let in by a share, and what became of them."""

    def __init__(self, *, step: float = 0.0) -> None:
        self.clock = Clock(step=step)
        self.share = Share(clock=self.clock)
        self.begun: list[str] = []

    async def call(self, whose: str, *, takes: float = 0.0) -> None:
        async def request() -> None:
            await self.share.turn(whose)
            self.begun.append(whose)
            self.clock.now += takes

        await self.share.charged(request())

    async def until_begun(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.begun) < count:
                await asyncio.sleep(0)


async def test_who_comes_after_a_rest_begins_at_once() -> None:
    callers = Callers()
    await callers.call("a")
    await callers.call("b")
    assert callers.begun == ["a", "b"]


async def test_who_comes_while_the_share_is_used_up_waits_until_the_time_has_passed() -> None:
    callers = Callers()
    await callers.call("a", takes=10)
    waits = asyncio.create_task(callers.call("a"))
    await callers.clock.read_again(3)
    callers.clock.now += 10 / SHARE  # at once, so the loop is late
    await callers.clock.read_again(3)
    assert callers.begun == ["a"]
    callers.clock.now += 10 / LEAST
    await waits
    assert callers.begun == ["a", "a"]


async def test_a_loop_that_is_late_gives_less() -> None:
    async def needed(step: float) -> float:
        callers = Callers(step=step)
        await callers.call("a", takes=0.1)
        since = callers.clock.now
        await callers.call("a")
        return callers.clock.now - since

    assert await needed(0.02) > 2 * await needed(0.005)


async def test_requests_that_take_no_time_by_themselves_are_not_without_end() -> None:
    callers = Callers()
    waiting = [asyncio.create_task(callers.call("a")) for _ in range(1_000)]
    await callers.clock.read_again(3)
    assert len(callers.begun) < 1_000
    callers.clock.now += 100
    await callers.until_begun(len(callers.begun) + 1)
    for each in waiting:
        each.cancel()


async def test_tenants_take_turns_and_each_ones_requests_keep_their_order() -> None:
    callers = Callers()
    await callers.call("first", takes=1)
    whose = ["a", "a", "a", "b", "c", "b"]
    waiting = [asyncio.create_task(callers.call(each)) for each in whose]
    await callers.clock.read_again(3)
    callers.clock.now += 100
    await asyncio.gather(*waiting)
    assert callers.begun == ["first", "a", "b", "c", "a", "b", "a"]


async def test_each_is_charged_before_the_next_begins() -> None:
    callers = Callers()
    await callers.call("a", takes=1)
    waiting = [asyncio.create_task(callers.call("a", takes=1)) for _ in range(3)]
    for number in (2, 3, 4):
        callers.clock.now += 100
        await callers.until_begun(number)
        await callers.clock.read_again(3)
        assert len(callers.begun) == number
    await asyncio.gather(*waiting)


async def test_who_has_given_up_takes_nobodys_turn() -> None:
    callers = Callers()
    await callers.call("a", takes=1)
    gone = asyncio.create_task(callers.call("a"))
    waits = asyncio.create_task(callers.call("a"))
    await callers.clock.read_again(1)
    gone.cancel()
    await asyncio.wait([gone])
    callers.clock.now += 100
    await waits
    assert callers.begun == ["a", "a"]
    assert not callers.share._waiting


async def test_what_a_request_waits_for_is_not_charged() -> None:
    callers = Callers()
    waited = asyncio.Event()

    async def request() -> str:
        await waited.wait()
        return "done"

    async def ask() -> str:
        return await callers.share.charged(request())

    asked = asyncio.create_task(ask())
    await asyncio.sleep(0)
    callers.clock.now += 100
    waited.set()
    assert await asked == "done"
    await callers.call("a")
    assert callers.begun == ["a"]


async def test_who_has_begun_is_never_held_up() -> None:
    callers = Callers()
    steps = 0

    async def request() -> None:
        nonlocal steps
        for _ in range(5):
            callers.clock.now += 100
            await asyncio.sleep(0)
            steps += 1

    await callers.share.charged(request())
    assert steps == 5


async def test_errors_and_cancellation_are_the_requests_own() -> None:
    share = Share()
    begun = asyncio.Event()
    told: list[type[BaseException]] = []

    async def failing() -> None:
        raise ValueError

    async def endless() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            told.append(type(error))
            raise
        return ""

    async def in_time() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(ValueError):  # noqa: PT011 - that it comes out is what matters
        await share.charged(failing())
    with pytest.raises(TimeoutError):
        await share.charged(in_time())

    async def outer() -> None:
        await share.charged(endless())

    task = asyncio.create_task(outer())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert told == [asyncio.CancelledError]


async def test_while_there_is_no_work_callers_have_nearly_all_of_the_loop() -> None:
    """Each look comes much too late, and that is the callers' own doing."""
    idle, busy = Callers(step=1.0), Callers(step=1.0)
    idle.share = Share(is_idle=lambda: True, clock=idle.clock)
    for callers in (idle, busy):
        await callers.call("a", takes=1.5)
        waiting = asyncio.create_task(callers.call("b"))
        await callers.until_begun(2)
        await waiting
    # Of 1.5 seconds that were taken in advance one is given back at a look at most, or a twentieth.
    assert idle.clock.reads < busy.clock.reads / 5
