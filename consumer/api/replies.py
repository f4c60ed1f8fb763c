"""The replies that routes have in common, for the OpenAPI document."""

from typing import Any

from consumer.api.problems import Problem, title

_MEANING = {
    400: "the body is no text",
    401: "no token, or one that is not good",
    404: "there is no such thing, or it is another tenant's",
    409: "the tenant has no Sedna account here that can be used",
    413: "the body is too large",
    422: "a value is not as documented",
    429: "too many requests of this tenant are running",
    500: "a mistake of ours; quote the `correlation_id`",
    502: "Sedna did not answer as it should",
    503: "the API is not configured, the database is away, or too much is running",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; in each case a problem."""
    return {status: _described(status, _MEANING[status]) for status in statuses}


def _described(status: int, meaning: str) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": meaning,
    }
    return {
        "description": meaning,
        "content": {
            "application/problem+json": {
                "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                "example": example,
            }
        },
    }


#: Of every route under /api.
GUARDED = problems(401, 422, 429, 500, 503)
