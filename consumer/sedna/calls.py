"""What a call to Sedna was and came to, for whoever counts or traces it, and in which trace.

It must never hold a query or a body: there are passwords and guests in them.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from consumer.sedna.operations import Operation
from schemas.trace import TraceContext

#: The context that calls of the running task carry on to Sedna. Who logs in or lists for others as
#: well does so in his own trace.
trace_of_calls: ContextVar[TraceContext | None] = ContextVar("trace_of_calls", default=None)


@dataclass(frozen=True, slots=True)
class CallDetails:
    """What a call came to."""

    operation: str
    result: str  #: one of `consumer.sedna.exchange.RESULTS`
    seconds: float
    status: int | None = None  #: of the reply; None: there was no whole one
    problem: str | None = None  #: why it is not `ok`; without secrets


class CallTrace(Protocol):
    """A call that is under way."""

    @property
    def context(self) -> TraceContext | None:
        """What it carries on to Sedna."""

    def end(self, details: CallDetails) -> None:
        """It has come to this."""


class TraceCall(Protocol):
    """Told of each call as it begins."""

    def __call__(self, operation: Operation, *, host: str, port: int | None) -> CallTrace:
        """The call, which the task that asks is about to make."""


class Untraced:
    """A call that nobody traces carries on the context as it is."""

    __slots__ = ("context",)

    def __init__(self, operation: Operation, *, host: str, port: int | None) -> None:
        del operation, host, port
        self.context = trace_of_calls.get()

    def end(self, details: CallDetails) -> None:
        """Nobody asks."""
