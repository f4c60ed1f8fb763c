"""What each operation of Sedna answers, once it is authorised. No I/O, no clock.

Never answers one account with another's data: each function is handed the one account that the call
was authorised for.
"""

from typing import Any

from consumer.demo.fake import shapes
from consumer.demo.fake.accounts import LoginRefusal
from consumer.demo.fake.calls import SESSION_COOKIE, Call, Reply
from consumer.demo.fake.records import Envelope, is_int, read_date
from consumer.demo.fake.state import AccountState, Moment
from consumer.demo.fake.stop_sales import StopSaleQuery


def plain(status: int, text: str, outcome: str) -> Reply:
    """An answer of the web server itself, which is no JSON envelope."""
    kind = ("Content-Type", "text/html; charset=utf-8")
    return Reply(status, f"<html><body>{text}</body></html>".encode(), (kind,), outcome)


def refused_login(account: AccountState | None) -> Reply:
    """A refused login: 200 with `ErrorType` other than 0, or 401, by the account's switch (F)."""
    if account and account.config.login_refusal is LoginRefusal.UNAUTHORISED:
        return plain(401, "Unauthorized", "login refused")
    return enveloped(Envelope(message="Username or password is wrong"), "login refused")


def enveloped(envelope: Envelope, refused: str = "refused") -> Reply:
    """An answer that is one envelope."""
    return Reply.json(
        envelope.as_json(),
        outcome="ok" if envelope.ok else refused,
        rec_ids=(envelope.rec_id,) if envelope.ok else (),
    )


def login(account: AccountState, _call: Call, at: Moment) -> Reply:
    """`AgencyLogin` (K): `RecId` is the operator id (F), and a session cookie comes with it (K)."""
    session_id = account.open_session(at)
    cookie = ("Set-Cookie", f"{SESSION_COOKIE}={session_id}; path=/; HttpOnly; SameSite=Lax")
    return Reply.json(Envelope(account.config.operator_id).as_json(), headers=(cookie,))


def get_hotels(account: AccountState, _call: Call, _at: Moment) -> Reply:
    """F. Some accounts have this one, some `GetHotelList`."""
    config = account.config
    if not config.has_get_hotels:
        return plain(404, "Not Found", "not found")
    return Reply.json(
        shapes.as_list(config.shape, (shapes.hotel(config.shape, h) for h in config.hotels))
    )


def get_hotel_list(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K. `isActive=true` leaves out the inactive ones (A)."""
    config = account.config
    if not config.has_get_hotel_list:
        return plain(404, "Not Found", "not found")
    only_active = call.query.get("isactive", "").lower() == "true"
    wanted = (hotel for hotel in config.hotels if hotel.active or not only_active)
    return Reply.json(shapes.as_list(config.shape, (shapes.hotel(config.shape, h) for h in wanted)))


def get_room_type_list(account: AccountState, _call: Call, _at: Moment) -> Reply:
    """K. All of the account's, without their hotels: where ids differ a code comes twice (A)."""
    config = account.config
    rooms = dict.fromkeys(room for hotel in config.hotels for room in hotel.rooms)
    return Reply.json(shapes.as_list(config.shape, (shapes.room(config.shape, r) for r in rooms)))


def get_hotel_room_types(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K, F. A: a hotel that is not the account's adds nothing."""
    config = account.config
    if not isinstance(call.body, list) or not all(is_int(hotel_id) for hotel_id in call.body):
        return plain(400, "Bad Request", "bad request")
    hotels = (hotel for hotel in config.hotels if hotel.id in call.body)
    rooms = (
        shapes.room(config.shape, r, hotel_id=hotel.id) for hotel in hotels for r in hotel.rooms
    )
    return Reply.json(shapes.as_list(config.shape, rooms))


def get_board_list(account: AccountState, _call: Call, _at: Moment) -> Reply:
    """K."""
    shape = account.config.shape
    return Reply.json(
        shapes.as_list(shape, (shapes.board(shape, b) for b in account.config.boards))
    )


def get_countries(account: AccountState, _call: Call, _at: Moment) -> Reply:
    """K."""
    return Reply.json(shapes.as_list(account.config.shape, shapes.countries()))


def insert_reservation(account: AccountState, call: Call, at: Moment) -> Reply:
    """K. Accepts a voucher that it has already (A)."""
    envelopes = account.insert(call.body, voucher_no=call.query.get("voucherno", ""), at=at)
    return Reply.json(
        shapes.as_envelopes(account.config.shape, envelopes),
        outcome="ok" if all(envelope.ok for envelope in envelopes) else "refused",
        rec_ids=tuple(envelope.rec_id for envelope in envelopes if envelope.ok),
    )


def get_reservations(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K. Whether the filters are exact is a switch of the account (A)."""
    if not isinstance(call.body, dict):
        return plain(400, "Bad Request", "bad request")
    try:
        found = account.reservations.find(account.config, call.body)
    except ValueError:
        return enveloped(Envelope(message="A date cannot be read"))
    shape = account.config.shape
    return Reply.json(shapes.as_list(shape, (shapes.reservation(shape, r) for r in found)))


def get_reservation_by_voucher(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K. A: a list, empty where there is none."""
    shape = account.config.shape
    found = account.reservations.of_voucher(account.config, call.query.get("voucher", ""))
    return Reply.json(shapes.as_list(shape, (shapes.reservation(shape, r) for r in found)))


def cancel_reservation(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K."""
    return enveloped(account.reservations.cancel(call.query.get("sourceid", "")))


def update_stop_sale(account: AccountState, call: Call, at: Moment) -> Reply:
    """K: both steps."""
    return enveloped(account.update_stop_sale(call.body, at=at))


def get_stop_sale_list(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K: the filters. A: what the elements carry, and that the visible and the hidden both come."""
    try:
        query = StopSaleQuery.read(call.query)
    except ValueError:
        return enveloped(Envelope(message="A date or the hotel cannot be read"))
    shape = account.config.shape
    found = account.stop_sales.find(query)
    return Reply.json(shapes.as_list(shape, (shapes.stop_sale(shape, s) for s in found)))


def check_stop_sale_state(account: AccountState, call: Call, _at: Moment) -> Reply:
    """K: the question. A: the answer; `State` 1 and the record's id if any of it is closed."""
    body = call.body if isinstance(call.body, dict) else {}
    try:
        begin, end = read_date(body.get("beginDate")), read_date(body.get("endDate"))
        rooms, boards = _ids(body.get("roomList")), _ids(body.get("boardList"))
        operators = _ids(body.get("operatorList"))
    except ValueError:
        return enveloped(Envelope(message="A date or a list cannot be read"))
    if account.config.hotel(body.get("hotelId")) is None:
        return enveloped(Envelope(message="HotelId was not found"))
    if not set(operators) <= {account.config.operator_id}:
        return enveloped(Envelope(message="OperatorId is not valid for this user"))
    closing = account.stop_sales.closing(
        account.config,
        hotel_id=body["hotelId"],
        begin=begin,
        end=end,
        room_type_ids=rooms,
        board_ids=boards,
    )
    envelope = Envelope(closing.rec_id if closing else 0)
    return Reply.json({**envelope.as_json(), "State": int(closing is not None)})


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(is_int(number) for number in value):
        raise ValueError("not a list of ids")
    return value
