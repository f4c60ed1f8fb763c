"""Whether a token's claims are good for us now, and whose they are. Pure.

The signature has been checked before. It must never say more of a refusal to the caller than that
there was one; the reasons here are for the log, and repeat nothing of the token.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.kinds import is_tenant_id


class TokenRefused(Exception):
    """A token is not good; the message says why, without anything of the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What claims have to obey."""

    audience: str | None  #: that a token must name; None: it must name none
    leeway: float  #: seconds by which the clocks of issuer and service may differ


def tenant_of(claims: Mapping[str, object], *, rules: Rules, now: float) -> str:
    """The tenant that a token speaks for.

    Args:
        claims: the token's payload.
        rules: what it has to obey.
        now: seconds since 1970.

    Raises:
        TokenRefused: a claim is missing, wrong, or of another time.
    """
    expires = _time(claims, "exp")
    if expires is None:
        raise TokenRefused("it has no exp")
    if expires <= now - rules.leeway:
        raise TokenRefused("it has expired")
    for name in ("nbf", "iat"):
        since = _time(claims, name)
        if since is not None and since > now + rules.leeway:
            raise TokenRefused(f"its {name} is in the future")
    _check_audience(claims.get("aud"), rules.audience)
    tenant = claims.get("tenant_id")
    if not isinstance(tenant, str) or not is_tenant_id(tenant):
        raise TokenRefused("its tenant_id is missing or none")
    return tenant


def _time(claims: Mapping[str, object], name: str) -> float | None:
    match claims.get(name):
        case None if name not in claims:
            return None
        case bool():
            pass
        case int(value):
            return value
        case float(value) if math.isfinite(value):
            return value
    raise TokenRefused(f"its {name} is no time")


def _check_audience(named: object, wanted: str | None) -> None:
    audiences = named if isinstance(named, list) else [named]
    if wanted is None:
        # RFC 7519: whoever does not find itself in the audience must refuse.
        if named is not None:
            raise TokenRefused("it is meant for an audience, and none is set")
    elif wanted not in audiences:
        raise TokenRefused("it is not meant for this audience")
