"""The public keys of a JWKS URL: fetched, kept for a while, and fetched anew when they rotate.

A stranger's token must never make us ask more often than a fixed rate, and the address being away
must not refuse callers whose keys we know.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from consumer.api.claims import TokenRefused
from consumer.api.tokens import KeysUnavailable
from consumer.logs import get_logger
from consumer.sedna.single_flight import SingleFlight

_log = get_logger(__name__)

#: Seconds: after these the keys are looked at anew, so that one that was taken out is soon refused;
_FRESH = 600.0
#: for so long they are used while the address is away;
_USABLE = 3_600.0
#: and between two questions so many pass, whatever key a token names.
_PAUSE = 30.0
#: Of one question: seconds in all, and bytes of the answer.
_PATIENCE, _LARGEST = 5.0, 262_144
#: Keys of one set, and bits of an RSA key.
_MOST_KEYS, _FEWEST_BITS = 100, 2_048


async def fetch(url: str) -> bytes:
    """Ask for a key set; follows no redirect.

    Raises:
        KeysUnavailable: there was no whole, good answer in time.
    """
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            httpx2.AsyncClient(timeout=_PATIENCE, follow_redirects=False) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                raise KeysUnavailable(f"the answer was {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise KeysUnavailable(f"the answer is larger than {_LARGEST} bytes")
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise KeysUnavailable(type(error).__name__) from None
    return bytes(body)


class KeySet:
    """The keys of one URL, for one algorithm."""

    def __init__(
        self,
        *,
        url: str,
        algorithm: str,
        clock: Callable[[], float],
        fetch: Callable[[str], Awaitable[bytes]] = fetch,
    ) -> None:
        self._url = url
        self._algorithm = algorithm
        self._clock = clock  # seconds
        self._fetch = fetch
        self._keys: Mapping[str, Any] = {}
        self._fetched_at: float | None = None  # with success
        self._asked_at: float | None = None
        self._failure: str | None = None  # of the last question
        self._flight: SingleFlight[None] = SingleFlight()

    async def get(self, key_id: str | None) -> Any:
        """The key of that id.

        Raises:
            TokenRefused: the set has no such key, or the token names none.
            KeysUnavailable: the set cannot be had, or might have that key by now.
        """
        if key_id is None:
            raise TokenRefused("it names no key")
        if key_id not in self._keys or self._age() > _FRESH:
            await self._flight.do(self._refresh)
        if self._age() > _USABLE or (key_id not in self._keys and self._failure):
            raise KeysUnavailable(self._failure or "they are too old")
        try:
            return self._keys[key_id]
        except KeyError:
            raise TokenRefused("its key is unknown") from None

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _refresh(self) -> None:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < _PAUSE:
            return
        self._asked_at = now
        try:
            self._keys = usable_keys(await self._fetch(self._url), algorithm=self._algorithm)
        except KeysUnavailable as error:
            self._failure = str(error)
            _log.warning("keys_not_fetched", host=urlsplit(self._url).hostname, error=str(error))
        else:
            self._failure = None
            self._fetched_at = now


def usable_keys(document: bytes, *, algorithm: str) -> dict[str, Any]:
    """The public keys of a JWKS that may verify this algorithm, by id; others are passed over.

    Raises:
        KeysUnavailable: it is no JWKS, or has no such key.
    """
    try:
        listed = json.loads(document)["keys"]
        found = {each["kid"]: each for each in listed if _is_for(each, algorithm)}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeysUnavailable("the answer is no JWKS") from None
    if len(found) > _MOST_KEYS:
        raise KeysUnavailable(f"the answer has more than {_MOST_KEYS} keys")
    keys = {key_id: key for key_id, each in found.items() if (key := _loaded(each, algorithm))}
    if not keys:
        raise KeysUnavailable(f"the answer has no key for {algorithm}")
    return keys


def _is_for(key: Any, algorithm: str) -> bool:
    return (
        isinstance(key, dict)
        and isinstance(key.get("kid"), str)
        and key.get("kty") == ("RSA" if algorithm == "RS256" else "EC")
        and key.get("alg") in (None, algorithm)
        and key.get("use") in (None, "sig")
    )


def _loaded(key: dict[str, Any], algorithm: str) -> Any:
    try:
        loaded = jwt.PyJWK(key, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    match loaded:
        case RSAPublicKey():
            return loaded if loaded.key_size >= _FEWEST_BITS else None
        case EllipticCurvePublicKey():
            return loaded if loaded.curve.name == "secp256r1" else None
    return None
