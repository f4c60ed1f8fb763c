"""One tenant's login at Sedna: made once for all who need it, renewed when Sedna lets it expire.

It must never show a cookie or a password, never log in twice at the same moment, and never try
credentials again at once that were refused: Sedna may lock the account.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx2

from consumer.sedna import errors
from consumer.sedna.exchange import Exchange, Reply, Unauthorised
from consumer.sedna.operations import Operation
from consumer.sedna.replies import Refused, parse_write_reply
from consumer.sedna.secrets import Credentials
from consumer.sedna.single_flight import SingleFlight

_T = TypeVar("_T")

_COOKIE: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!-:<-~]+)\s*(?:;.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that Sedna accepted."""

    number: int  #: counts this session's logins
    operator_id: int
    since: float  #: on the session's clock, seconds
    cookie: str = field(repr=False)  #: as the header wants it; empty where Sedna gave none


class Session:
    """Keeps one tenant logged in.

    Args:
        exchange: The way to the tenant's Sedna.
        credentials: Of the tenant.
        operator_id: From the tenant's settings; None takes the one that the login names (F).
        clock: Seconds that never go back.
        login_cool_down: Seconds for which a refused login is not tried again.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        credentials: Credentials,
        operator_id: int | None,
        clock: Callable[[], float],
        login_cool_down: float,
    ) -> None:
        self._exchange = exchange
        self._query = credentials.query()
        self._operator_id = operator_id
        self._clock = clock
        self._cool_down = login_cool_down
        self._login: Login | None = None
        self._logins = 0
        self._refusal = ""
        self._refused_until = clock()
        self._flight: SingleFlight[Login] = SingleFlight()

    def __repr__(self) -> str:
        return f"Session({self._login!r})"

    def conceal(self, text: str) -> str:
        """Take the tenant's secrets out of a text."""
        return self._exchange.conceal(text)

    async def current(self) -> Login:
        """Return the login that is in use, or make one.

        Raises:
            LoginRefused: Now, or less than the cool-down ago.
            NotSent, Unavailable, Throttled: The login itself failed.
        """
        return self._login or await self._flight.do(self._log_in)

    async def renew(self, expired: Login) -> Login:
        """Return a login newer than `expired`: made by now, or just by somebody else.

        Raises as `current`.
        """
        login = self._login
        if login is not None and login.number > expired.number:
            return login
        self._login = None
        return await self._flight.do(self._log_in)

    async def confirm(self, *, max_age: float) -> None:
        """Make sure that Sedna accepted the credentials less than `max_age` seconds ago.

        Raises as `current`.
        """
        login = await self.current()
        if self._clock() - login.since > max_age:
            await self.renew(login)

    async def call(
        self,
        operation: Operation,
        *,
        read: Callable[[Reply], _T],
        query: Callable[[Login], str] = lambda _: "",
        body: Callable[[Login], bytes] = lambda _: b"",
        before_write: Callable[[], None] | None = None,
        traceparent: str | None = None,
    ) -> _T:
        """Make a call with the cookie; after a 401 log in, and make it once more.

        A 401 says that nothing was done, so this doubles nothing.

        Raises:
            SessionRefused: 401 again, after a fresh login.
            LoginRefused: Sedna does not accept the credentials.
            SednaError: As `Exchange.call`.
        """

        async def call(login: Login) -> _T:
            return await self._exchange.call(
                operation,
                read=read,
                query=query(login),
                body=body(login),
                cookie=login.cookie,
                before_write=before_write,
                traceparent=traceparent,
            )

        login = await self.current()
        with suppress(Unauthorised):
            return await call(login)
        login = await self.renew(login)
        try:
            return await call(login)
        except Unauthorised as error:
            raise errors.SessionRefused(f"{error}, right after a login that was accepted") from None

    async def _log_in(self) -> Login:
        wait = self._refused_until - self._clock()
        if wait > 0:
            raise errors.LoginRefused(
                f"{self._refusal} (not tried again for {wait:.0f} s)", retry_after=wait
            )
        try:
            login = await self._exchange.call(
                Operation.LOGIN, read=self._read_login, query=self._query
            )
        except Unauthorised:
            raise self._refused(
                "the login was refused with HTTP 401: check user name and password"
            ) from None
        except errors.LoginRefused as error:
            raise self._refused(str(error)) from None
        self._login = login
        return login

    def _read_login(self, reply: Reply) -> Login:
        answer = parse_write_reply(reply.content, needs_rec_id=False, conceal=self.conceal)
        if isinstance(answer, Refused):
            raise errors.LoginRefused(
                f"the login was refused: {answer.message or 'no reason given'} "
                f"(ErrorType {answer.error_type}): check user name and password",
                retry_after=self._cool_down,
            )
        operator_id = self._operator_id or answer.rec_id
        if operator_id is None:
            raise errors.Unavailable(
                "login: the reply names no operator id: set the tenant's operator id",
                answered=True,
            )
        cookies = _cookies(reply.headers)
        self._exchange.hide(cookies.values())
        self._logins += 1
        return Login(
            number=self._logins,
            operator_id=operator_id,
            since=self._clock(),
            cookie="; ".join(f"{name}={value}" for name, value in cookies.items()),
        )

    def _refused(self, message: str) -> errors.LoginRefused:
        self._refusal = message
        self._refused_until = self._clock() + self._cool_down
        return errors.LoginRefused(message, retry_after=self._cool_down)


def constant(body: bytes) -> Callable[[Login], bytes]:
    """Return a body that is the same whatever the login."""
    return lambda _: body


def _cookies(headers: httpx2.Headers) -> dict[str, str]:
    """Return the cookies of a login; all go back to the one address that they came from.

    Attributes are passed over: when a cookie expires Sedna says so, with 401 (A).
    """
    cookies: dict[str, str] = {}
    for line in headers.get_list("set-cookie"):
        pair = _COOKIE.fullmatch(line)
        if pair is not None:
            cookies[pair[1]] = pair[2]
    return cookies
