"""Whom the settings let in."""

import json
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from consumer.api import key_set
from consumer.api.claims import TokenRefused
from consumer.api.tokens import Authenticate
from consumer.bootstrap import build_authentication
from consumer.clock import SystemClock
from consumer.settings import PREFIX, Settings
from tests.support.api import SECRET, claims, token

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def built(**settings: str) -> Authenticate:
    made = build_authentication(
        Settings.load({f"{PREFIX}API_{name}": value for name, value in settings.items()}),
        SystemClock(),
    )
    assert made is not None
    return made


def test_without_a_key_nobody_is_let_in_and_the_log_says_so() -> None:
    with structlog.testing.capture_logs() as lines:
        assert build_authentication(Settings.load({}), SystemClock()) is None
    assert [line["event"] for line in lines] == ["api_not_configured"]


async def test_a_secret_lets_in_who_was_signed_by_it() -> None:
    assert await built(JWT_SECRET=SECRET)(token("agency-7")) == "agency-7"


async def test_audience_and_leeway_are_settings() -> None:
    authenticate = built(JWT_SECRET=SECRET, JWT_AUDIENCE="sedna-sync", JWT_LEEWAY="0")
    assert await authenticate(token(aud="sedna-sync")) == "agency-7"
    for refused in (
        token(),
        token(aud="another"),
        token(aud="sedna-sync", exp=claims()["exp"] - 600),
    ):
        with pytest.raises(TokenRefused):
            await authenticate(refused)
    # Half a minute by default.
    late = token(exp=claims()["exp"] - 610)
    assert await built(JWT_SECRET=SECRET)(late) == "agency-7"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both keys behind a URL."""
    algorithms = jwt.algorithms
    keys = [
        json.loads(algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key())) | {"kid": "r"},
        json.loads(algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key())) | {"kid": "e"},
    ]

    async def fetch(url: str) -> bytes:
        assert url == "https://idp.example/keys"
        return json.dumps({"keys": keys}).encode()

    monkeypatch.setattr(key_set.KeySet.__init__, "__kwdefaults__", {"fetch": fetch})


@pytest.mark.usefixtures("issuer")
@pytest.mark.parametrize(
    "settings, algorithm",
    [({}, "RS256"), ({"JWT_ALGORITHM": "RS256"}, "RS256"), ({"JWT_ALGORITHM": "ES256"}, "ES256")],
)
async def test_keys_of_a_url_let_in_who_was_signed_by_the_algorithm_that_is_set(
    settings: dict[str, str], algorithm: str
) -> None:
    authenticate = built(JWKS_URL="https://idp.example/keys", **settings)
    signed: dict[str, Any] = {
        "RS256": jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers={"kid": "r"}),
        "ES256": jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": "e"}),
    }
    assert await authenticate(signed.pop(algorithm)) == "agency-7"
    for other in (*signed.values(), token()):
        with pytest.raises(TokenRefused):
            await authenticate(other)
