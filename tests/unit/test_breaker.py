"""The breaker: when it opens, what it lets through, and what closes it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.breaker import Breaker, BreakerPolicy, Change, Reason, Sign, Ticket

POLICY = BreakerPolicy(failures=5, cool_down=30, longest=300)
REFUSALS = [Sign.LOGIN_REFUSED, Sign.SESSION_REFUSED, Sign.THROTTLED]
TROUBLE = [Sign.FAILED, *REFUSALS]


def breaker(policy: BreakerPolicy = POLICY) -> Breaker:
    return Breaker(policy)


def request(each: Breaker, sign: Sign, now: float = 0.0, **more: float) -> Change | None:
    """One request, from its entry to its end."""
    ticket = each.enter(now)
    assert ticket is not None
    return each.leave(ticket, sign, now, **more)


def opened(sign: Sign, **more: float) -> Breaker:
    each = breaker(BreakerPolicy(failures=1, cool_down=30, longest=300))
    assert request(each, sign, **more) is Change.OPENED
    return each


@given(needed=st.integers(1, 20))
def test_so_many_failures_in_a_row_open_it_and_not_one_fewer(needed: int) -> None:
    each = breaker(BreakerPolicy(failures=needed, cool_down=30, longest=300))
    assert [request(each, Sign.FAILED) for _ in range(needed - 1)] == [None] * (needed - 1)
    assert each.closed
    assert request(each, Sign.FAILED) is Change.OPENED
    assert (each.reason, each.failures, each.until) == (Reason.FAILURES, needed, 30)


@given(before=st.integers(0, 4), after=st.integers(0, 4))
def test_an_answer_ends_the_row(before: int, after: int) -> None:
    each = breaker()
    for sign in [*[Sign.FAILED] * before, Sign.ANSWERED, *[Sign.FAILED] * after]:
        assert request(each, sign) is None


def test_neither_a_login_nor_what_says_nothing_ends_the_row() -> None:
    each = breaker()
    for _ in range(4):
        for sign in (Sign.FAILED, Sign.LOGGED_IN, Sign.NOTHING):
            assert request(each, sign) is None
    assert request(each, Sign.FAILED) is Change.OPENED


@pytest.mark.parametrize("sign", REFUSALS)
def test_what_says_that_the_account_is_refused_opens_it_at_once(sign: Sign) -> None:
    each = breaker()
    assert request(each, sign) is Change.OPENED
    assert each.reason == Reason(sign.value)
    assert each.until == 30


def test_a_longer_wish_of_sednas_is_obeyed_and_a_shorter_one_does_not_count() -> None:
    assert opened(Sign.THROTTLED, retry_after=100).until == 100
    assert opened(Sign.THROTTLED, retry_after=1).until == 30


@pytest.mark.parametrize("sign", TROUBLE)
def test_after_the_cool_down_one_probe_is_let_through(sign: Sign) -> None:
    each = opened(sign)
    assert each.enter(29.9) is None
    assert each.enter(30) == Ticket(1, probe=True)
    assert each.enter(1_000) is None


@pytest.mark.parametrize("sign", TROUBLE)
def test_an_answer_to_the_probe_closes_it(sign: Sign) -> None:
    each = opened(sign)
    assert request(each, Sign.ANSWERED, 30) is Change.CLOSED
    assert each.closed
    assert each.failures == 0


def test_a_login_that_is_accepted_closes_only_what_a_refused_login_has_opened() -> None:
    assert request(opened(Sign.LOGIN_REFUSED), Sign.LOGGED_IN, 30) is Change.CLOSED
    for sign in (Sign.FAILED, Sign.SESSION_REFUSED, Sign.THROTTLED):
        each = opened(sign)
        assert request(each, Sign.LOGGED_IN, 30) is None
        assert not each.closed
        assert each.enter(30) == Ticket(1, probe=True)


@pytest.mark.parametrize("sign", TROUBLE)
def test_a_probe_that_fails_opens_it_for_one_more_cool_down(sign: Sign) -> None:
    each = opened(Sign.FAILED)
    assert request(each, sign, 50) is Change.STAYS_OPEN
    assert each.until == 80


def test_a_probe_that_says_nothing_makes_way_for_the_next() -> None:
    each = opened(Sign.FAILED)
    assert request(each, Sign.NOTHING, 30) is None
    assert each.enter(30) == Ticket(1, probe=True)


def test_a_login_refused_again_and_again_is_tried_less_and_less_often() -> None:
    each, now, waits = opened(Sign.LOGIN_REFUSED), 0.0, []
    for _ in range(6):
        waits.append(each.until - now)
        now = each.until
        request(each, Sign.LOGIN_REFUSED, now)
    assert waits == [30, 60, 120, 240, 300, 300]
    assert each.failures == 7
    request(each, Sign.LOGGED_IN, each.until)
    request(each, Sign.LOGIN_REFUSED, 10_000)
    assert each.until == 10_030


def test_a_cool_down_longer_than_the_longest_wait_is_kept() -> None:
    each = breaker(BreakerPolicy(failures=5, cool_down=60, longest=1))
    request(each, Sign.LOGIN_REFUSED)
    request(each, Sign.LOGIN_REFUSED, 60)
    assert each.until == 120


@pytest.mark.parametrize("sign", [Sign.FAILED, Sign.LOGIN_REFUSED, Sign.SESSION_REFUSED])
@pytest.mark.parametrize("now", [10, 40], ids=["open", "half-open"])
def test_a_request_that_was_in_flight_and_fails_does_not_keep_it_open(
    sign: Sign, now: float
) -> None:
    each = breaker()
    late = each.enter(0)
    assert late is not None
    request(each, Sign.THROTTLED)
    assert each.leave(late, sign, now) is None
    assert each.until == 30


def test_a_request_that_was_in_flight_can_bring_sednas_wish_for_more_time() -> None:
    each = breaker()
    late = each.enter(0)
    assert late is not None
    request(each, Sign.THROTTLED)
    assert each.leave(late, Sign.THROTTLED, 10, retry_after=100) is Change.STAYS_OPEN
    assert each.until == 110


def test_a_late_answer_ends_a_row_of_failures_and_no_refusal() -> None:
    for sign, change in [(Sign.FAILED, Change.CLOSED), *[(each, None) for each in REFUSALS]]:
        each = breaker(BreakerPolicy(failures=1, cool_down=30, longest=300))
        late = each.enter(0)
        assert late is not None
        request(each, sign)
        assert each.leave(late, Sign.ANSWERED, 10) is change


def test_what_cannot_be_called_back_goes_out_while_it_is_open_and_says_nothing_of_it() -> None:
    each = opened(Sign.LOGIN_REFUSED)
    for sign in (Sign.ANSWERED, Sign.FAILED):
        ticket = each.enter(10, must=True)
        assert ticket is not None
        assert each.leave(ticket, sign, 10) is None
    assert each.until == 30


def test_a_breaker_that_another_process_opened_is_open_as_it_left_it() -> None:
    each = breaker()
    each.restore(Reason.LOGIN_REFUSED, failures=3, until=50)
    assert each.enter(49) is None
    request(each, Sign.LOGIN_REFUSED, 50)
    assert each.until == 50 + 30 * 2**3
    assert each.failures == 4


class BreakerMachine(RuleBasedStateMachine):
    """Any run of requests and time keeps the laws."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(BreakerPolicy(failures=3, cool_down=10, longest=40))
        self.now = 0.0
        self.flying: list[Ticket] = []
        self.row = 0  # failures since the last answer, while it is closed

    @property
    def probes(self) -> list[Ticket]:
        # A probe of an opening that is over is an ordinary request in flight.
        openings = self.breaker.openings
        return [each for each in self.flying if each.probe and each.opening == openings]

    @rule(must=st.booleans())
    def enter(self, *, must: bool) -> None:
        closed, is_open = self.breaker.closed, self.breaker.is_open(self.now)
        probing = bool(self.probes)
        ticket = self.breaker.enter(self.now, must=must)
        if closed:
            assert ticket is not None
            assert not ticket.probe
        elif is_open or probing:
            assert (ticket is not None) == must
            assert ticket is None or not ticket.probe
        else:
            assert ticket is not None
            assert ticket.probe
        if ticket is not None:
            self.flying.append(ticket)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), sign=st.sampled_from(Sign), retry_after=st.sampled_from([0.0, 5.0, 60.0]))
    def leave(self, data: st.DataObject, sign: Sign, retry_after: float) -> None:
        ticket = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        probe = ticket.probe and ticket.opening == self.breaker.openings
        was_closed, was_until = self.breaker.closed, self.breaker.until
        was_reason = self.breaker.reason
        change = self.breaker.leave(ticket, sign, self.now, retry_after=retry_after)
        self.row = 0 if sign is Sign.ANSWERED else self.row + (sign is Sign.FAILED)
        if was_closed:
            must_open = sign in REFUSALS or (sign is Sign.FAILED and self.row >= 3)
            assert (change is Change.OPENED) == must_open == (not self.breaker.closed)
        elif probe and sign in TROUBLE:
            assert change is Change.STAYS_OPEN
            assert self.breaker.until > self.now
        elif sign is Sign.ANSWERED and (probe or was_reason is Reason.FAILURES):
            assert change is Change.CLOSED
        elif change is Change.STAYS_OPEN:
            assert sign is Sign.THROTTLED
            assert was_until < self.breaker.until == self.now + retry_after
        elif change is None:
            assert (self.breaker.reason, self.breaker.until) == (was_reason, was_until)
        else:
            assert (change, sign, probe) == (Change.CLOSED, Sign.LOGGED_IN, True)
            assert was_reason is Reason.LOGIN_REFUSED
        if change is not None:
            self.row = 0

    @rule(seconds=st.sampled_from([0.5, 9.5, 10.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        before = self.breaker.is_open(self.now)
        self.now += seconds
        assert before or not self.breaker.is_open(self.now)

    @invariant()
    def there_is_one_probe_at_most(self) -> None:
        assert len(self.probes) <= 1

    @invariant()
    def it_opens_again_within_the_longest_wait(self) -> None:
        assert self.breaker.closed or self.breaker.until <= self.now + 60


TestBreakerKeepsItsLaws = BreakerMachine.TestCase
TestBreakerKeepsItsLaws.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
