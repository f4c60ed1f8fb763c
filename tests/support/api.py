"""Tokens of callers of the HTTP API, and ways to call it."""

import time
from typing import Any

import httpx2
import jwt
from starlette.types import ASGIApp

SECRET = "a secret of the tests, of more than 32 bytes"
ALGORITHM = "HS256"


def claims(tenant: str = "agency-7", **changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None leaves the claim out."""
    good = {"tenant_id": tenant, "exp": int(time.time()) + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(tenant: str = "agency-7", *, key: Any = SECRET, **changes: Any) -> str:
    """A token, signed by the secret unless another key is given."""
    return jwt.encode(claims(tenant, **changes), key, algorithm=ALGORITHM)


def bearer(tenant: str = "agency-7", **changes: Any) -> dict[str, str]:
    """The header with a token."""
    return {"authorization": f"Bearer {token(tenant, **changes)}"}


def client(app: ASGIApp, *, tenant: str | None = None) -> httpx2.AsyncClient:
    """A client that calls an application without a network in between."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url="http://api",
        headers={} if tenant is None else bearer(tenant),
    )
