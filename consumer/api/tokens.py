"""From a bearer token to the tenant that it speaks for.

The algorithm is a setting. What a token says of its own algorithm is compared with that and never
followed: not `none`, and no public key taken for a secret.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import jwt
from jwt.api_jws import PyJWS

from consumer.api.claims import Rules, TokenRefused, tenant_of

#: Characters; a token is a few hundred.
_LONGEST = 8_192


class KeysUnavailable(Exception):
    """The keys that sign tokens cannot be had at present; the message says why."""


class Keys(Protocol):
    """Where the keys that sign tokens come from."""

    async def get(self, key_id: str | None) -> Any:
        """The key that a token names.

        Raises:
            TokenRefused: there is no such key.
            KeysUnavailable: whether there is cannot be told at present.
        """


class Secret:
    """The one key of HS256; what a token says of its key does not matter."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def __repr__(self) -> str:
        return "Secret()"

    async def get(self, key_id: str | None) -> Any:
        """The secret."""
        del key_id
        return self._secret


#: Gives the tenant of a token; see `Tokens.tenant_of`.
Authenticate = Callable[[str], Awaitable[str]]


class Tokens:
    """Judges tokens."""

    def __init__(
        self, *, algorithm: str, keys: Keys, rules: Rules, now: Callable[[], float]
    ) -> None:
        self._algorithm = algorithm
        self._keys = keys
        self._rules = rules
        self._now = now  # seconds since 1970
        self._signatures = PyJWS(algorithms=[algorithm])

    async def tenant_of(self, token: str) -> str:
        """The tenant that a token speaks for.

        Raises:
            TokenRefused: it is not good.
            KeysUnavailable: it cannot be judged at present.
        """
        if len(token) > _LONGEST:
            raise TokenRefused("it is too long")
        header = _parsed(lambda: jwt.get_unverified_header(token))
        if header.get("alg") != self._algorithm:
            raise TokenRefused("it is signed by another algorithm")
        key_id = header.get("kid")
        key = await self._keys.get(key_id if isinstance(key_id, str) else None)
        claims = _parsed(
            lambda: json.loads(self._signatures.decode(token, key, algorithms=[self._algorithm]))
        )
        return tenant_of(claims, rules=self._rules, now=self._now())


def _parsed(parse: Callable[[], Any]) -> dict[str, Any]:
    try:
        found = parse()
    # A stranger's JSON can be nested deeper than Python goes.
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        # The error's own text may quote the token.
        raise TokenRefused(f"it cannot be read: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise TokenRefused("it is no JSON object")
    return found
