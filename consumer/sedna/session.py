"""One tenant's login at Sedna: made once for all who need it, renewed when Sedna lets it expire.

It must never show a cookie or a password, and never log in twice at the same moment. Whether a
login may be tried at all, the account's gate says: credentials that were refused are not tried
again at once, since Sedna may lock the account.
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
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        credentials: Credentials,
        operator_id: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._query = credentials.query()
        self._operator_id = operator_id
        self._clock = clock
        self._login: Login | None = None
        self._logins = 0
        self._flight: SingleFlight[Login] = SingleFlight()

    def __repr__(self) -> str:
        return f"Session({self._login!r})"

    def conceal(self, text: str) -> str:
        """Take the tenant's secrets out of a text."""
        return self._exchange.conceal(text)

    async def current(self) -> Login:
        """Return the login that is in use, or make one.

        Raises:
            LoginRefused: Sedna does not accept the credentials.
            AccountPaused: No login may be tried now.
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
    ) -> _T:
        """Make a call with the cookie; after a 401 log in, and make it once more.

        A 401 says that nothing was done, so this doubles nothing. A create's turn in the request
        rate is the caller's to wait for, before its dispatch mark; that of any other call is waited
        for here.

        Raises:
            SessionRefused: 401 again, after a fresh login.
            LoginRefused: Sedna does not accept the credentials.
            SednaError: As `Exchange.call`.
        """

        async def call(login: Login, *, in_turn: bool = False, fresh_login: bool = False) -> _T:
            return await self._exchange.call(
                operation,
                read=read,
                query=query(login),
                body=body(login),
                cookie=login.cookie,
                before_write=before_write,
                in_turn=in_turn,
                fresh_login=fresh_login,
            )

        login = await self.current()
        with suppress(Unauthorised):
            return await call(login, in_turn=operation.value.creates)
        return await call(await self.renew(login), fresh_login=True)

    async def _log_in(self) -> Login:
        try:
            login = await self._exchange.call(
                Operation.LOGIN, read=self._read_login, query=self._query
            )
        except Unauthorised:
            raise errors.LoginRefused(
                "the login was refused with HTTP 401: check user name and password"
            ) from None
        self._login = login
        return login

    def _read_login(self, reply: Reply) -> Login:
        answer = parse_write_reply(reply.content, needs_rec_id=False, conceal=self.conceal)
        if isinstance(answer, Refused):
            raise errors.LoginRefused(
                f"the login was refused: {answer.message or 'no reason given'} "
                f"(ErrorType {answer.error_type}): check user name and password"
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
