"""The API does what its document says, whatever it is sent: schemathesis against a real socket."""

import asyncio
import contextlib
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from consumer.api import syncing
from db.pool import Pool
from tests.integration.api.conftest import Api
from tests.integration.db.builders import (
    TENANT,
    inserted,
    reservation,
    settle,
    settlement_of,
    stop_sale,
)
from tests.support.api import bearer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it is built on, not ours to mend
    import schemathesis
    from schemathesis.specs.openapi.checks import (
        negative_data_rejection,
        positive_data_acceptance,
    )

#: For each operation.
_EXAMPLES = 12


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "WAIT_SECONDS", 0.01)


def examine(document: dict[str, Any], url: str) -> list[str]:
    """Send each operation what fits the document and what does not; returns what was examined."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    names = []
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # a document that is none fails here
        names.append(f"{operation.method.upper()} {operation.path}")
        for mode in schemathesis.GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=_EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def run(case: Any) -> None:
                case.call_and_validate(
                    headers={"Authorization": bearer(TENANT)["authorization"]},
                    # What no schema says: a cursor is ours, a name has a letter. And what is
                    # unknown in a query is ignored.
                    excluded_checks=[positive_data_acceptance, negative_data_rejection],
                )

            if mode is schemathesis.GenerationMode.POSITIVE:
                run()
            else:
                # An operation that takes nothing can be sent nothing wrong.
                with contextlib.suppress(Unsatisfiable):
                    run()
    return names


@pytest.mark.usefixtures("impatient")
async def test_whatever_is_sent_the_reply_is_a_documented_one_and_never_a_500(
    api: Api, pool: Pool
) -> None:
    places = await inserted(
        pool, *(reservation(f"V{n}", email_id=n) for n in range(5)), stop_sale(7)
    )
    await settle(pool, [settlement_of(places[0]), settlement_of(places[1], state="failed")])
    document = api.app.openapi()
    examined = await asyncio.to_thread(examine, document, api.url)
    assert set(examined) == {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
