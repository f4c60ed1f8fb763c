"""A call's way through the fake: journal, latency, faults, the work, the reply.

The only place where a fault becomes an act. Does the work of a call even if its client has gone, as
a server does; never does it twice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns

from consumer.demo.fake.accounts import Framing
from consumer.demo.fake.answers import plain, refused_login
from consumer.demo.fake.calls import Call, Reply
from consumer.demo.fake.faults import Fault, FaultKind, Faults, Target
from consumer.demo.fake.journal import Entry, Journal
from consumer.demo.fake.operations import OPERATIONS, authorise, whose
from consumer.demo.fake.protocol import Connection
from consumer.demo.fake.state import AccountState, FakeState, Moment


@dataclass(slots=True, kw_only=True, eq=False)
class _Exchange:
    call: Call
    connection: Connection
    entry: Entry
    whose: AccountState | None
    reply: Reply | None = None  #: of the work; `None` while it is not done


class Exchanges:
    """Every call in the fake, from arrival to reply."""

    def __init__(self, *, state: FakeState, faults: Faults, journal: Journal) -> None:
        self._state = state
        self._faults = faults
        self._journal = journal
        self._delayed: set[asyncio.TimerHandle] = set()
        self._late: set[asyncio.TimerHandle] = set()
        self._hung: set[_Exchange] = set()

    @property
    def hung(self) -> int:
        """How many calls hang."""
        return len(self._hung)

    def begin(self, call: Call, connection: Connection) -> None:
        """Takes a call in; it is answered now, or once its latency is over."""
        account = whose(self._state, call)
        name = account.config.name if account else None
        operation = OPERATIONS.get(call.path)
        known = operation.name if operation else "unknown"
        entry = self._journal.arrived(call, operation=known, account=name)
        target = Target(account=name, operation=known, step=call.step, voucher=call.voucher)
        seconds, fault = self._faults.pick(target)
        entry.fault = fault.kind.value if fault else None
        exchange = _Exchange(call=call, connection=connection, entry=entry, whose=account)
        seconds += account.config.latency_seconds if account else 0.0
        if seconds:
            _later(seconds, lambda: self._answer(exchange, fault), self._delayed)
        else:
            self._answer(exchange, fault)

    def release(self) -> int:
        """Carries the hung calls out and answers them; how many there were."""
        hung, self._hung = self._hung, set()
        for exchange in sorted(hung, key=lambda exchange: exchange.entry.request):
            exchange.connection.on_lost = None
            self._finish(exchange, exchange.reply or self._work(exchange)())
        return len(hung)

    def forget_late(self) -> None:
        """Drops the late commits that are still to come."""
        for timer in self._late:
            timer.cancel()
        self._late.clear()

    def stop(self) -> None:
        """Drops all that is still to happen."""
        self.forget_late()
        for timer in self._delayed:
            timer.cancel()
        self._delayed.clear()

    def _answer(self, exchange: _Exchange, fault: Fault | None) -> None:
        if fault is None:
            self._finish(exchange, self._work(exchange)())
        elif fault.kind is FaultKind.REFUSE_LOGIN:
            self._finish(exchange, refused_login(exchange.whose))
        elif fault.kind is FaultKind.EXPIRE_SESSION:
            if exchange.whose is not None:
                self._state.sessions.expire(exchange.whose)
            self._finish(exchange, self._work(exchange)())
        elif fault.kind is FaultKind.LATE_COMMIT:
            _later(fault.seconds, self._work(exchange), self._late)
            exchange.connection.close()
            self._journal.left(exchange.entry)
        else:
            if fault.commits:
                self._work(exchange)()
            self._go_wrong(exchange, fault)

    def _go_wrong(self, exchange: _Exchange, fault: Fault) -> None:
        connection = exchange.connection
        match fault.kind:
            case FaultKind.HANG:
                self._hang(exchange)
                return
            case FaultKind.STATUS | FaultKind.REDIRECT | FaultKind.RUBBISH_2XX:
                self._finish(exchange, _wrong_reply(fault))
                return
            case FaultKind.HALF_HEADER | FaultKind.HALF_BODY:
                reply = exchange.reply or plain(200, "Runtime Error", "ok")
                connection.send_part(reply, of_body=fault.kind is FaultKind.HALF_BODY)
            case FaultKind.HUGE_BODY:
                connection.flood(fault.size)
            case FaultKind.RESET:
                connection.reset()
            case _:
                connection.close()
        self._journal.left(exchange.entry)

    def _hang(self, exchange: _Exchange) -> None:
        def lost() -> None:
            self._hung.discard(exchange)
            self._journal.left(exchange.entry)

        self._hung.add(exchange)
        exchange.connection.on_lost = lost
        self._journal.changed()

    def _work(self, exchange: _Exchange) -> Callable[[], Reply]:
        """The work of a call: authorised now, done when the result is called."""
        authorised = authorise(self._state, exchange.call, _moment(exchange.entry))

        def work() -> Reply:
            if isinstance(authorised, Reply):
                reply = authorised
            else:
                operation, account = authorised
                reply = operation.run(account, exchange.call, _moment(exchange.entry))
            exchange.reply = reply
            exchange.entry.outcome, exchange.entry.rec_ids = reply.outcome, reply.rec_ids
            self._journal.changed()
            return reply

        return work

    def _finish(self, exchange: _Exchange, reply: Reply) -> None:
        framing = exchange.whose.config.shape.framing if exchange.whose else Framing.LENGTH
        if exchange.connection.send(reply, framing):
            exchange.entry.status = reply.status
        self._journal.left(exchange.entry)


def _wrong_reply(fault: Fault) -> Reply:
    kind = ("Content-Type", "text/html; charset=utf-8")
    match fault.kind:
        case FaultKind.REDIRECT:
            return Reply(302, b"", (("Location", fault.location),))
        case FaultKind.RUBBISH_2XX:
            return Reply(200, fault.body.encode(), (kind,))
        case _:
            again = (("Retry-After", fault.retry_after),) if fault.retry_after else ()
            return Reply(fault.status, fault.body.encode(), (kind, *again))


def _moment(entry: Entry) -> Moment:
    return Moment(request=entry.request, monotonic_ns=monotonic_ns(), wall=datetime.now(UTC))


def _later(seconds: float, then: Callable[[], object], timers: set[asyncio.TimerHandle]) -> None:
    def due() -> None:
        timers.discard(timer)
        then()

    timer = asyncio.get_running_loop().call_later(seconds, due)
    timers.add(timer)
