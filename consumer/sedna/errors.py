"""What can go wrong with a call to Sedna, by what may be done next.

The type says it all: `OutcomeUnknown` is the only one after which a create may have been carried
out; after every other one Sedna surely holds nothing new. No message holds a password, a cookie or
a URL's query, and none is longer than some 1 200 characters.
"""


class SednaError(Exception):
    """A call to Sedna came to nothing; the message says which call, and why."""


class NotSent(SednaError):
    """Not one byte of the request left: trying again doubles nothing."""


class OutcomeUnknown(SednaError):
    """A create was perhaps sent, and no clear reply came: ask Sedna, never send it again."""


class Unavailable(SednaError):
    """A call that makes nothing new (a login, a list, a repeatable step) failed; try again later.

    `answered` is true where Sedna did answer, but not what the call is for: 404, an envelope where
    a list should be, rubbish. Asking again soon will hardly help, another call for the same may.
    """

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class Throttled(SednaError):
    """429: nothing was done, and the whole account should wait."""

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  #: seconds, where Sedna named them; at most a day


class LoginRefused(SednaError):
    """Sedna does not accept the tenant's user name and password: a person has to mend them."""


class AccountPaused(SednaError):
    """The account's gate lets nothing out for now: not one byte of the request left."""


class SessionRefused(SednaError):
    """401 right after a login that was accepted: nothing was done."""


class RefusedBySedna(SednaError):
    """Sedna read the write and did not carry it out; sent again as it is, it is refused again."""

    def __init__(self, message: str, *, error_type: int | None, status: int) -> None:
        super().__init__(message)
        self.error_type = error_type  #: of the envelope; None where the HTTP layer refused
        self.status = status  #: HTTP
