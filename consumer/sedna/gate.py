"""What every request of an account asks before it goes out, and tells when it has ended.

Only the form of it: the breaker and the request rate behind it are decided elsewhere, see
:mod:`consumer.gate`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from consumer.sedna.errors import SednaError
from consumer.sedna.operations import Operation

#: To be called once, with the error that a request ended with; None: it was answered. A request
#: that ended in any other way, such as cancelled, is told as `Interrupted`.
Leave: TypeAlias = Callable[[SednaError | None], None]


class Interrupted(SednaError):
    """Nobody knows what the request would have come to."""


class Gate(Protocol):
    """Holds requests back."""

    async def turn(self) -> None:
        """Wait for the account's request rate."""

    def enter(self, operation: Operation) -> Leave:
        """Let a request out.

        Raises:
            AccountPaused: it must not go out.
        """
