"""Keys of a JWKS URL: fetched once, kept, rotated, and never asked for too often."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from consumer.api import key_set
from consumer.api.claims import Rules, TokenRefused
from consumer.api.key_set import KeySet, fetch, usable_keys
from consumer.api.tokens import KeysUnavailable, Tokens
from tests.support.api import claims

KEYS = {name: rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for name in "ab"}
URL = "https://idp.example/keys"


def jwk(name: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[name].public_key()))
    return made | {"kid": name, "use": "sig", "alg": "RS256"} | changes


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


class Issuer:
    """Gives out keys, and counts how often it was asked."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0
        self.failure: str | None = None
        self.now = 1_000.0

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure:
            raise KeysUnavailable(self.failure)
        return document(*(jwk(name) for name in self.names))

    def key_set(self) -> KeySet:
        return KeySet(url=URL, algorithm="RS256", clock=lambda: self.now, fetch=self.fetch)


async def test_the_keys_are_asked_for_once_by_all_who_need_them() -> None:
    issuer = Issuer("a", "b")
    keys = issuer.key_set()
    found = await asyncio.gather(*(keys.get(name) for name in "abab"))
    assert found[0].public_numbers() == KEYS["a"].public_key().public_numbers()
    assert found[1].public_numbers() == KEYS["b"].public_key().public_numbers()
    assert issuer.asked == 1


async def test_a_new_key_is_found_at_once_and_an_old_one_is_refused_soon() -> None:
    issuer = Issuer("a")
    keys = issuer.key_set()
    await keys.get("a")
    issuer.names = ("b",)
    issuer.now += key_set._PAUSE
    await keys.get("b")
    with pytest.raises(TokenRefused, match="unknown"):
        await keys.get("a")
    issuer.names = ("a",)
    issuer.now += key_set._FRESH + 1
    with pytest.raises(TokenRefused, match="unknown"):
        await keys.get("b")


async def test_tokens_of_unknown_keys_do_not_make_us_ask_more_often() -> None:
    issuer = Issuer("a")
    keys = issuer.key_set()
    await keys.get("a")
    for number in range(100):
        with pytest.raises(TokenRefused):
            await keys.get(f"stranger-{number}")
    assert issuer.asked == 1
    issuer.now += key_set._PAUSE
    for number in range(100):
        with pytest.raises(TokenRefused):
            await keys.get(f"stranger-{number}")
    assert issuer.asked == 2


async def test_a_token_that_names_no_key_is_refused_without_a_question() -> None:
    issuer = Issuer("a")
    with pytest.raises(TokenRefused, match="names no key"):
        await issuer.key_set().get(None)
    assert issuer.asked == 0


async def test_known_callers_are_served_while_the_issuer_is_away_but_not_for_ever() -> None:
    issuer = Issuer("a")
    keys = issuer.key_set()
    await keys.get("a")
    issuer.failure = "ConnectError"
    issuer.now += key_set._FRESH + 1
    await keys.get("a")
    with pytest.raises(KeysUnavailable):
        await keys.get("b")  # it may be new: nobody can tell
    issuer.now += key_set._USABLE
    with pytest.raises(KeysUnavailable):
        await keys.get("a")
    issuer.failure = None
    issuer.now += key_set._PAUSE
    await keys.get("a")


async def test_an_issuer_that_is_away_from_the_beginning_refuses_nobody() -> None:
    issuer = Issuer("a")
    issuer.failure = "ConnectError"
    keys = issuer.key_set()
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            await keys.get("a")
    assert issuer.asked == 1
    issuer.failure = None
    issuer.now += key_set._PAUSE
    await keys.get("a")


async def test_a_token_is_judged_by_the_key_that_it_names() -> None:
    issuer = Issuer("a", "b")
    judge = Tokens(
        algorithm="RS256",
        keys=issuer.key_set(),
        rules=Rules(audience=None, leeway=0),
        now=lambda: 0.0,
    )
    good = jwt.encode(claims(), KEYS["a"], algorithm="RS256", headers={"kid": "a"})
    assert await judge.tenant_of(good) == "agency-7"
    with pytest.raises(TokenRefused):
        await judge.tenant_of(
            jwt.encode(claims(), KEYS["a"], algorithm="RS256", headers={"kid": "b"})
        )


def ec_jwk(curve: ec.EllipticCurve) -> dict[str, Any]:
    public = ec.generate_private_key(curve).public_key()
    made: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
    return made | {"kid": "e"}


def test_only_public_keys_of_the_algorithm_are_used() -> None:
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS["a"])) | {"kid": "private"}
    short = rsa.generate_private_key(public_exponent=65_537, key_size=1_024).public_key()
    small = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(short)) | {"kid": "small"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "RS256"}
    found = usable_keys(
        document(
            jwk("a"),
            jwk("b", kid="plain") | {"alg": "RS256"},
            jwk("b", kid="for encryption", use="enc"),
            jwk("b", kid="of another algorithm", alg="PS256"),
            jwk("b", kid=7),
            {name: value for name, value in jwk("b").items() if name != "kid"},
            jwk("b", kid="broken", n="!"),
            *(private, small, secret, ec_jwk(ec.SECP256R1()), None, "x", []),
        ),
        algorithm="RS256",
    )
    assert set(found) == {"a", "plain"}


def test_keys_of_another_curve_are_not_used() -> None:
    assert set(usable_keys(document(ec_jwk(ec.SECP256R1())), algorithm="ES256")) == {"e"}
    with pytest.raises(KeysUnavailable):
        usable_keys(document(ec_jwk(ec.SECP384R1())), algorithm="ES256")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": 7}',
        b'{"keys": null}',
        b'{"keys": []}',
        b"[" * 100_000,
        b"\xff",
        document(*(jwk("a", kid=str(number)) for number in range(101))),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_key_set_is_not_taken_for_one(text: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        usable_keys(text, algorithm="RS256")


Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Reply], Awaitable[str]]]:
    """Makes a server that gives one reply to everybody; returns its URL."""
    servers: list[asyncio.Server] = []

    async def make(reply: Reply) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            try:
                await reply(writer)
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"

    yield make
    for server in servers:
        server.close()


def whole(body: bytes, status: str = "200 OK", *headers: str) -> Reply:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers))

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return reply


async def test_a_key_set_is_fetched_as_it_is(
    serve: Callable[[Reply], Awaitable[str]],
) -> None:
    url = await serve(whole(document(jwk("a"))))
    assert await fetch(url) == document(jwk("a"))


@pytest.mark.parametrize(
    "reply",
    [
        whole(document(jwk("a")), "500 Oops"),
        whole(b"", "302 Found", "location: https://elsewhere.example/keys"),
        whole(b"x" * (key_set._LARGEST + 1)),
    ],
    ids=["an error", "a redirect", "too large"],
)
async def test_an_answer_that_is_not_good_is_no_key_set(
    serve: Callable[[Reply], Awaitable[str]], reply: Reply
) -> None:
    with pytest.raises(KeysUnavailable):
        await fetch(await serve(reply))


async def test_an_issuer_that_does_not_answer_is_not_waited_for(
    serve: Callable[[Reply], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "_PATIENCE", 0.1)
    over = asyncio.Event()

    async def silent(writer: asyncio.StreamWriter) -> None:
        del writer
        await over.wait()

    url = await serve(silent)
    with pytest.raises(KeysUnavailable):
        await fetch(url)
    over.set()


async def test_an_issuer_that_is_not_there_gives_no_keys() -> None:
    with pytest.raises(KeysUnavailable):
        await fetch("http://127.0.0.1:1/keys")
