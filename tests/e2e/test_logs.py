"""What the logs say of each sync, and that what nobody may see is looked for where it would show.

The check itself runs at the end of every end-to-end world: see `checks`.
"""

import json
from urllib.parse import quote, quote_plus

import pytest

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.checks import leaks, secrets_of
from tests.e2e.conftest import WorldFactory
from tests.support.events import PASSWORD, account, reservation, stop_sale
from tests.support.service import ENCRYPTION_KEYS


async def test_each_settled_line_says_which_sync_of_whom_it_is_about(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        await here.publish_reservations(
            [("a", reservation("a", 1)), ("a", reservation("a", 2, hotel_name="Nowhere"))]
        )
        await here.publish_stop_sales([("a", stop_sale("a", 3))])
        await here.until_settled(3)

        said = {
            line["sync"]: (line["tenant"], line["kind"], line["item"], line["event_id"])
            for line in service.lines("synced") + service.lines("failed")
        }
        rows = await here.query("SELECT * FROM syncs")
        assert said == {
            row["id"]: (
                row["tenant_id"],
                row["kind"],
                f"stop-sale/{row['stop_sale_id']}"
                if row["kind"] == "stop_sale"
                else f"reservation/{row['email_id']}",
                row["event_id"],
            )
            for row in rows
        }


async def test_no_secret_shows_when_sedna_itself_repeats_them_all(world: WorldFactory) -> None:
    """Error pages quote the request's URL, and messages can quote anything."""
    async with world([account("a")]) as here:
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.2"}
        password = here.fake.account("a").config.password
        page = f"Bad: /AgencyLogin?username=user-a&password={quote_plus(password)} ({password})"
        for operation, status in (
            ("AgencyLogin", 500),
            ("GetHotels", 500),
            ("UpdateStopSale", 400),
            ("InsertReservation", 400),
        ):
            here.fake.faults.add(
                Fault(kind=FaultKind.STATUS, operation=operation, status=status, body=page, times=1)
            )
        refusal = json.dumps({"ErrorType": 2, "Message": page, "RecId": 0})
        here.fake.faults.add(
            Fault(kind=FaultKind.RUBBISH_2XX, operation="InsertReservation", body=refusal, times=1)
        )
        await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(4))
        await here.publish_stop_sales(("a", stop_sale("a", number)) for number in range(2))
        await here.until_settled(6)

        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'failed'") == 3
        secrets = secrets_of(here)
        assert {password, ENCRYPTION_KEYS.partition(":")[2]} < secrets
        assert len(here.fake.state.sessions._sessions) >= 1
        # The rest is checked at the end, as in every world.


@pytest.mark.parametrize(
    "shown",
    [
        PASSWORD,
        quote(PASSWORD),
        quote_plus(PASSWORD),
        '{"error": "s3cret p\\u00e4ssw\\u00f6rd/with?odd&signs"}',
    ],
    ids=["plain", "percent-encoded", "as a form writes it", "as JSON writes it"],
)
def test_a_secret_that_shows_is_found_however_it_is_written(shown: str) -> None:
    assert leaks({PASSWORD, "another"}, ["harmless", f"before {shown} behind"]) == {PASSWORD}
    assert not leaks({PASSWORD, "another"}, ["harmless"])
