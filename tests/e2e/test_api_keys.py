"""Tokens that the keys of an address sign, which rotate, retire and go away, on real servers."""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.conftest import WorldFactory
from tests.e2e.test_api import called
from tests.support.api import claims
from tests.support.events import account

#: The program, but for how long keys are kept, and how soon they are asked for again.
BRISK = """
from consumer.api import key_set
from consumer.cli.main import main
key_set._FRESH, key_set._PAUSE = 0.2, 0.0
main()
"""
_MAKE: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
}
_WRITE: dict[str, Callable[[Any], str]] = {
    "RS256": jwt.algorithms.RSAAlgorithm.to_jwk,
    "ES256": jwt.algorithms.ECAlgorithm.to_jwk,
}


class Issuer:
    """Signs tokens, and gives out public keys over HTTP."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.keys = {name: _MAKE[algorithm]() for name in ("old", "new")}
        self.serves = ["old"]
        self._port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/keys"

    async def start(self) -> None:
        """Begin to answer; again on the same port."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"keys": [self._public(name) for name in self.serves]}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    def _public(self, name: str) -> dict[str, Any]:
        written = json.loads(_WRITE[self.algorithm](self.keys[name].public_key()))
        return {**written, "kid": name, "use": "sig", "alg": self.algorithm}

    def token(self, name: str) -> str:
        """A good one but for its key, which may be any."""
        return jwt.encode(
            claims("a"), self.keys[name], algorithm=self.algorithm, headers={"kid": name}
        )

    def asks(self, http: httpx2.AsyncClient) -> Callable[[str], Awaitable[int]]:
        """The status that a token signed by a key is answered with."""

        async def ask(name: str) -> int:
            headers = {"authorization": f"Bearer {self.token(name)}"}
            return (await http.get("/api/sedna/breaker", headers=headers)).status_code

        return ask


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_service_follows_its_keys_and_goes_on_by_those_it_knows_while_they_are_away(
    world: WorldFactory, algorithm: str
) -> None:
    async with world([account("a")]) as here, Issuer(algorithm) as issuer:
        here.program = [sys.executable, "-c", BRISK]
        service = await here.start(API_JWKS_URL=issuer.url, API_JWT_ALGORITHM=algorithm)
        async with called(service, None) as http, asyncio.timeout(60):
            ask = issuer.asks(http)
            assert (await ask("old"), await ask("new")) == (200, 401)

            issuer.serves = ["old", "new"]
            assert (await ask("new"), await ask("old")) == (200, 200)

            issuer.serves = ["new"]
            while await ask("old") != 401:
                await asyncio.sleep(0.02)
            assert await ask("new") == 200

            await issuer.stop()
            while not service.lines("keys_not_fetched"):
                assert await ask("new") == 200
                await asyncio.sleep(0.02)
            assert await ask("new") == 200
            # It might be there by now.
            assert await ask("old") == 503

            await issuer.start()
            assert (await ask("old"), await ask("new")) == (401, 200)


async def test_a_public_key_is_no_secret_and_an_unsigned_token_is_none(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here, Issuer("RS256") as issuer:
        service = await here.start(API_JWKS_URL=issuer.url)
        public = issuer.keys["old"].public_key()
        async with called(service, None) as http:
            assert await issuer.asks(http)("old") == 200
            for secret in (
                public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
                public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                None,
            ):
                forged = {"authorization": f"Bearer {by_hand(secret)}"}
                response = await http.get("/api/sedna/breaker", headers=forged)
                assert response.status_code == 401


def by_hand(secret: bytes | None) -> str:
    """A token that no library would make: by a public key as a secret, or by nothing."""
    head = {"typ": "JWT", "alg": "none" if secret is None else "HS256", "kid": "old"}
    signed = ".".join(_encoded(json.dumps(each).encode()) for each in (head, claims("a")))
    mac = b"" if secret is None else hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{_encoded(mac)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
