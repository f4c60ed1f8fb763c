"""The gate of one tenant's account: its breaker and its request rate, fed by its requests.

Says what the end of a request tells of the account; what follows from that, the breaker decides. It
must never hold back a create whose dispatch mark is written: nobody could tell that it was not
sent.
"""

import asyncio
from collections.abc import Callable

from consumer.breaker import Breaker, Change, Sign
from consumer.pacer import Pacer
from consumer.sedna import errors
from consumer.sedna.exchange import Unauthorised
from consumer.sedna.gate import Interrupted, Leave
from consumer.sedna.operations import Operation

#: An account may lack the one call of a pair, and have the other (F): a reply that is not what the
#: call is for then says nothing of the account.
_ONE_OF_TWO = frozenset({Operation.HOTELS, Operation.ROOM_TYPES_OF_HOTELS})


class AccountGate:
    """Holds back what must not go out, and what must not go out yet.

    Args of the constructor: the breaker; the request rate, None where there is no limit; a clock in
    seconds that never goes back; `on_change`, told what a request has changed.
    """

    def __init__(
        self,
        *,
        breaker: Breaker,
        pacer: Pacer | None,
        clock: Callable[[], float],
        on_change: Callable[["AccountGate", Change], None],
    ) -> None:
        self.breaker = breaker
        self.last_error = ""
        self._pacer = pacer
        self._clock = clock
        self._on_change = on_change
        self._admitted = 0  # attempts that have not taken the turn of their create yet

    # -- the breaker --------------------------------------------------------------------------

    def enter(self, operation: Operation) -> Leave:
        """Let a request out; see `consumer.sedna.gate.Gate`.

        Raises:
            AccountPaused: the breaker lets nothing through.
        """
        ticket = self.breaker.enter(self._clock(), must=operation.writes)
        if ticket is None:
            raise self._paused()

        def leave(error: errors.SednaError | None) -> None:
            retry_after = error.retry_after if isinstance(error, errors.Throttled) else None
            change = self.breaker.leave(
                ticket, sign_of(operation, error), self._clock(), retry_after=retry_after or 0.0
            )
            if change in {Change.OPENED, Change.STAYS_OPEN}:
                self.last_error = str(error)
            if change is not None:
                self._on_change(self, change)

        return leave

    @property
    def opening(self) -> int:
        """How often the breaker has opened: to be given back to :meth:`check`."""
        return self.breaker.openings

    def check(self, opening: int | None = None) -> None:
        """Refuse to go on with what must not go out.

        Args:
            opening: of the attempt; one that has begun before the breaker last opened is no
                probe.

        Raises:
            AccountPaused: the breaker lets nothing through.
        """
        if self.breaker.is_open(self._clock()) or (
            opening not in {None, self.breaker.openings} and not self.breaker.closed
        ):
            raise self._paused()

    def _paused(self) -> errors.AccountPaused:
        return errors.AccountPaused(
            f"nothing is sent to this account for now ({self.breaker.reason}): {self.last_error}"
        )

    # -- the request rate ---------------------------------------------------------------------

    async def turn(self) -> None:
        """Wait until the next request may go out."""
        if self._pacer is not None:
            now = self._clock()
            wait = self._pacer.take(now) - now
            if wait > 0:
                await asyncio.sleep(wait)

    def admit(self) -> float | None:
        """Let an attempt begin, if its create could go out at once.

        So no more attempts of a slow account hold slots than its rate lets through.

        Returns:
            None: it may begin, and :meth:`turn_taken` has to be called once. Else when to ask
            again.
        """
        if self._pacer is not None:
            now = self._clock()
            if self._pacer.free(now) <= self._admitted:
                return max(self._pacer.free_at(now), now + self._pacer.interval)
            self._admitted += 1
        return None

    def turn_taken(self) -> None:
        """An attempt that was admitted has had its turn, or needs none any more."""
        if self._pacer is not None:
            self._admitted -= 1


def sign_of(operation: Operation, error: errors.SednaError | None) -> Sign:
    """What the end of a request tells of the account."""
    login = operation is Operation.LOGIN
    sign = Sign.FAILED
    match error:
        case None:
            sign = Sign.LOGGED_IN if login else Sign.ANSWERED
        case errors.RefusedBySedna():
            sign = Sign.ANSWERED
        case errors.LoginRefused():
            sign = Sign.LOGIN_REFUSED
        case Unauthorised():
            # Of another call: the session has expired, as sessions do.
            sign = Sign.LOGIN_REFUSED if login else Sign.NOTHING
        case errors.SessionRefused():
            sign = Sign.SESSION_REFUSED
        case errors.Throttled():
            sign = Sign.THROTTLED
        case errors.Unavailable(answered=True) if operation in _ONE_OF_TWO:
            sign = Sign.NOTHING
        case Interrupted():
            sign = Sign.NOTHING
    return sign
