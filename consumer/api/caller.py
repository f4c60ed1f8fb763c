"""Whose request it is."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer

_bearer = HTTPBearer(
    bearerFormat="JWT",
    scheme_name="token",
    description="A JWT whose claim `tenant_id` says the tenant; `exp` is required.",
    auto_error=False,  # it documents: the guard around the application has refused whom it must
)


async def _tenant(request: Request, _: Annotated[object, Security(_bearer)]) -> str:
    tenant: str = request.state.tenant
    return tenant


#: The tenant that the request's token speaks for.
Tenant = Annotated[str, Security(_tenant)]
