"""Who gets in at the fake Sedna, and what a session is worth."""

import httpx2
import pytest

from consumer.demo.fake import Account, ConfigError, FakeSedna, LoginRefusal

LOGIN = "/api/Integratiion/AgencyLogin"
BOARDS = "/api/Service2/GetBoardList"
WITH_COOKIE_ONLY = (
    ("POST", "/api/Integratiion/GetHotelList"),
    ("POST", "/api/Integratiion/GetRoomTypeList"),
    ("POST", "/api/Service1/GetHotelRoomTypelistAll"),
    ("GET", "/api/Service2/GetBoardList"),
    ("POST", "/api/Integratiion/GetCountrys"),
    ("POST", "/api/Integratiion/GetReservations"),
    ("GET", "/api/Reservation/GetReservationByVoucher"),
    ("POST", "/api/Integratiion/CancelReservationBySourcId"),
    ("PUT", "/api/Contract/UpdateStopSale"),
    ("POST", "/api/Integratiion/GetStopSaleList"),
    ("POST", "/api/Contract/CheckStopSaleState"),
)


async def test_a_login_gives_the_operator_id_and_an_http_only_cookie(
    fake: FakeSedna, stranger: httpx2.AsyncClient
) -> None:
    account = fake.account("north").config
    params = {"username": account.username, "password": account.password}
    reply = await stranger.get(LOGIN, params=params)
    assert reply.json() == {"ErrorType": 0, "Message": None, "RecId": 571}
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("ASP.NET_SessionId=")
    assert "HttpOnly" in cookie


async def test_a_wrong_password_is_refused_with_200_or_401_by_the_accounts_switch(
    fake: FakeSedna, stranger: httpx2.AsyncClient
) -> None:
    wrong = {"username": "north", "password": "wrong"}
    reply = await stranger.get(LOGIN, params=wrong)
    assert reply.status_code == 200
    assert reply.json()["ErrorType"] != 0
    fake.configure("north", login_refusal=LoginRefusal.UNAUTHORISED)
    assert (await stranger.get(LOGIN, params=wrong)).status_code == 401
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("query", [{}, {"username": "nobody", "password": ""}])
async def test_nobody_is_no_account(stranger: httpx2.AsyncClient, query: dict[str, str]) -> None:
    assert (await stranger.get(LOGIN, params=query)).json()["ErrorType"] != 0


@pytest.mark.parametrize("method, path", WITH_COOKIE_ONLY)
async def test_without_the_cookie_credentials_in_the_query_do_not_help(
    fake: FakeSedna, stranger: httpx2.AsyncClient, method: str, path: str
) -> None:
    account = fake.account("north").config
    params = {"username": "north", "password": account.password, "operatorId": "571"}
    assert (await stranger.request(method, path, params=params)).status_code == 401


@pytest.mark.parametrize(
    "method, path",
    [("POST", "/api/Integratiion/InsertReservation"), ("GET", "/api/Shop/GetHotels")],
)
async def test_the_cookie_does_not_help_where_credentials_are_asked_for(
    north: httpx2.AsyncClient, method: str, path: str
) -> None:
    north.params = httpx2.QueryParams()
    reply = await north.request(method, path)
    assert reply.json()["ErrorType"] != 0


async def test_an_expired_session_gets_401_and_a_new_login_mends_it(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient
) -> None:
    fake.expire_sessions("north")
    assert (await north.get(BOARDS)).status_code == 401
    assert (await south.get(BOARDS)).status_code == 200
    await north.get(LOGIN)
    assert (await north.get(BOARDS)).status_code == 200


async def test_a_session_ends_when_its_lifetime_does(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    fake.configure("north", session_seconds=0.0)
    await north.get(LOGIN)
    assert (await north.get(BOARDS)).status_code == 401


async def test_paths_and_parameter_names_are_read_without_regard_to_case(
    fake: FakeSedna, stranger: httpx2.AsyncClient
) -> None:
    url = fake.base_url.replace("SednaAgencyb2bApi", "SEDNAagencyB2Bapi")
    params = {"USERNAME": "south", "Password": "other"}
    reply = await stranger.get(f"{url}/API/integratiion/AGENCYLOGIN", params=params)
    assert reply.json()["RecId"] == 640


async def test_an_unknown_path_is_404_and_a_wrong_method_405(north: httpx2.AsyncClient) -> None:
    assert (await north.get("/api/Integration/AgencyLogin")).status_code == 404
    assert (await north.post(LOGIN)).status_code == 405


async def test_a_body_that_is_no_json_is_a_bad_request(north: httpx2.AsyncClient) -> None:
    reply = await north.post("/api/Integratiion/GetReservations", content=b"{")
    assert reply.status_code == 400


def test_two_accounts_cannot_share_a_user_name(accounts: tuple[Account, Account]) -> None:
    fake = FakeSedna(accounts=accounts)
    with pytest.raises(ConfigError):
        fake.configure("south", username="north")
    assert fake.account("south").config.username == "south"
