"""The operations of Sedna: the one table of paths and methods, and what authorises a call.

No I/O, no clock. Never lets a call through to an account that neither its cookie nor its
credentials open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from consumer.demo.fake import answers
from consumer.demo.fake.answers import enveloped, plain, refused_login
from consumer.demo.fake.calls import UNREADABLE, Call, Reply
from consumer.demo.fake.records import Envelope
from consumer.demo.fake.state import AccountState, FakeState, Moment


class Auth(Enum):
    """What authorises an operation."""

    CREDENTIALS = 1  #: `username` and `password` in the query (K, F); the cookie is not enough (A)
    SESSION = 2  #: the session cookie; without it 401 (F)


Run = Callable[[AccountState, Call, Moment], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that the fake knows."""

    name: str
    method: str
    path: str  #: below the base path
    auth: Auth
    run: Run
    own_operator: bool = False  #: its `operatorId` must be the account's (A)


def whose(state: FakeState, call: Call) -> AccountState | None:
    """Whose call it is, for faults and the journal; says nothing about what it may do."""
    if "username" in call.query:
        return state.by_username(call.query["username"])
    return state.sessions.whose(call.session_id)


def authorise(state: FakeState, call: Call, at: Moment) -> tuple[Operation, AccountState] | Reply:
    """The operation and the account that it may work on, or the answer that refuses it."""
    operation = OPERATIONS.get(call.path)
    if operation is None:
        return plain(404, "Not Found", "not found")
    if call.method != operation.method:
        return plain(405, "Method Not Allowed", "not allowed")
    account = _account(state, operation, call, at)
    if isinstance(account, Reply):
        return account
    if call.body is UNREADABLE:
        return plain(400, "Bad Request", "bad request")
    if operation.own_operator and call.query.get("operatorid") != str(account.config.operator_id):
        return enveloped(Envelope(message="OperatorId is not valid for this user"))
    return operation, account


def _account(
    state: FakeState, operation: Operation, call: Call, at: Moment
) -> AccountState | Reply:
    if operation.auth is Auth.CREDENTIALS:
        username = call.query.get("username", "")
        opened = state.login(username, call.query.get("password", ""))
        return opened or refused_login(state.by_username(username))
    alive = state.sessions.alive(call.session_id, now_ns=at.monotonic_ns)
    return alive or plain(401, "Unauthorized", "unauthorised")


_SHOP, _INTEGRATION, _CONTRACT = "/api/Shop", "/api/Integratiion", "/api/Contract"
_TABLE = (
    # name, method, path, what authorises it, what it does, whether it names the own operator
    Operation("AgencyLogin", "GET", f"{_INTEGRATION}/AgencyLogin", Auth.CREDENTIALS, answers.login),
    Operation("GetHotels", "GET", f"{_SHOP}/GetHotels", Auth.CREDENTIALS, answers.get_hotels),
    Operation(
        "GetHotelList",
        "POST",
        f"{_INTEGRATION}/GetHotelList",
        Auth.SESSION,
        answers.get_hotel_list,
        own_operator=True,
    ),
    Operation(
        "GetRoomTypeList",
        "POST",
        f"{_INTEGRATION}/GetRoomTypeList",
        Auth.SESSION,
        answers.get_room_type_list,
        own_operator=True,
    ),
    Operation(
        "GetHotelRoomTypelistAll",
        "POST",
        "/api/Service1/GetHotelRoomTypelistAll",
        Auth.SESSION,
        answers.get_hotel_room_types,
    ),
    Operation(
        "GetBoardList", "GET", "/api/Service2/GetBoardList", Auth.SESSION, answers.get_board_list
    ),
    Operation(
        "GetCountrys", "POST", f"{_INTEGRATION}/GetCountrys", Auth.SESSION, answers.get_countries
    ),
    Operation(
        "InsertReservation",
        "POST",
        f"{_INTEGRATION}/InsertReservation",
        Auth.CREDENTIALS,
        answers.insert_reservation,
    ),
    Operation(
        "GetReservations",
        "POST",
        f"{_INTEGRATION}/GetReservations",
        Auth.SESSION,
        answers.get_reservations,
    ),
    Operation(
        "GetReservationByVoucher",
        "GET",
        "/api/Reservation/GetReservationByVoucher",
        Auth.SESSION,
        answers.get_reservation_by_voucher,
        own_operator=True,
    ),
    Operation(
        "CancelReservationBySourcId",
        "POST",
        f"{_INTEGRATION}/CancelReservationBySourcId",
        Auth.SESSION,
        answers.cancel_reservation,
        own_operator=True,
    ),
    Operation(
        "UpdateStopSale",
        "PUT",
        f"{_CONTRACT}/UpdateStopSale",
        Auth.SESSION,
        answers.update_stop_sale,
    ),
    Operation(
        "GetStopSaleList",
        "POST",
        f"{_INTEGRATION}/GetStopSaleList",
        Auth.SESSION,
        answers.get_stop_sale_list,
    ),
    Operation(
        "CheckStopSaleState",
        "POST",
        f"{_CONTRACT}/CheckStopSaleState",
        Auth.SESSION,
        answers.check_stop_sale_state,
    ),
)
#: By path in lower case, since IIS compares paths without regard to case (F).
OPERATIONS: dict[str, Operation] = {operation.path.lower(): operation for operation in _TABLE}
