"""Which tokens are refused, whatever they say of themselves."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from consumer.api.claims import Rules, TokenRefused
from consumer.api.tokens import Secret, Tokens
from tests.support.api import SECRET, claims, token

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class OneKey:
    """A key set that gives one key for every id."""

    def __init__(self, key: Any) -> None:
        self._key = key

    async def get(self, key_id: str | None) -> Any:
        del key_id
        return self._key


def tokens(algorithm: str = "HS256", key: Any = None) -> Tokens:
    return Tokens(
        algorithm=algorithm,
        keys=Secret(SECRET) if key is None else OneKey(key),
        rules=Rules(audience=None, leeway=0),
        now=time.time,
    )


def part(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def forged(header: object, payload: object, key: bytes) -> str:
    """A token with any header, signed as HS256 does."""
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{part(hmac.digest(key, signed.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    "algorithm, key", [("RS256", RSA_KEY), ("ES256", EC_KEY)], ids=["RS256", "ES256"]
)
async def test_a_token_that_is_signed_by_the_private_key_is_good(algorithm: str, key: Any) -> None:
    signed = jwt.encode(claims(), key, algorithm=algorithm)
    assert await tokens(algorithm, key.public_key()).tenant_of(signed) == "agency-7"


async def test_a_token_that_is_signed_by_the_secret_is_good() -> None:
    assert await tokens().tenant_of(token("agency-7")) == "agency-7"


async def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(TokenRefused):
        await tokens().tenant_of(token(key=SECRET + "x"))
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    with pytest.raises(TokenRefused):
        await tokens("RS256", RSA_KEY.public_key()).tenant_of(
            jwt.encode(claims(), other, algorithm="RS256")
        )


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_a_token_of_another_algorithm_with_the_right_key_is_refused(algorithm: str) -> None:
    signed = jwt.encode(claims(), SECRET * 2, algorithm=algorithm)
    with pytest.raises(TokenRefused, match="another algorithm"):
        await tokens().tenant_of(signed)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 7, ["HS256"]])
@pytest.mark.parametrize("signature", ["", "e30"])
async def test_a_token_that_says_it_needs_no_signature_is_refused(
    name: object, signature: str
) -> None:
    unsigned = f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims())}.{signature}"
    with pytest.raises(TokenRefused):
        await tokens().tenant_of(unsigned)


@pytest.mark.parametrize("form", [serialization.Encoding.PEM, serialization.Encoding.DER])
async def test_the_public_key_is_never_taken_for_a_secret(form: serialization.Encoding) -> None:
    """The classic confusion: HS256 over the public key, which everybody has."""
    public = RSA_KEY.public_key().public_bytes(
        form, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused = forged({"alg": "HS256"}, claims(), public)
    with pytest.raises(TokenRefused, match="another algorithm"):
        await tokens("RS256", RSA_KEY.public_key()).tenant_of(confused)
    # Nor where the header says what is wanted, and the signature is what it was.
    with pytest.raises(TokenRefused):
        await tokens("RS256", RSA_KEY.public_key()).tenant_of(
            forged({"alg": "RS256"}, claims(), public)
        )


async def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    header = {"jwk": public, "jku": "http://attacker.example/keys", "x5u": "http://x.example"}
    signed = jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers=header)
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    with pytest.raises(TokenRefused):
        await tokens("RS256", other).tenant_of(signed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30",
        "x" * 9_000,
        "ğ.ü.ş",
        token() + ".e30",
        token()[:-2],
        f"{part(b'[' * 3_000)}.e30.e30",
        f"{part([])}.e30.e30",
        forged({"alg": "HS256"}, [], SECRET.encode()),
        forged({"alg": "HS256"}, b"[" * 3_000, SECRET.encode()),
        forged({"alg": "HS256"}, b"{", SECRET.encode()),
        forged({"alg": "HS256", "crit": ["exp"]}, claims(), SECRET.encode()),
        forged({"alg": "HS256", "b64": False}, claims(), SECRET.encode()),
    ],
    ids=lambda text: text[:12],
)
async def test_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        await tokens().tenant_of(text)
    assert len(text) < 5 or text[:8] not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_secret_does_not_show_itself() -> None:
    assert SECRET not in repr(Secret(SECRET))
