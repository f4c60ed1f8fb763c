"""What happens in the demo: ordinary events, and every case that the service has to get right.

Each event says what must become of it, by the contract's words; the service is never asked.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from consumer.demo.world_events import DemoEvent, EventWriter, Named
from consumer.demo.world_tenants import DEMO_TENANTS, DemoTenant

_RESERVATIONS_PER_TENANT = 36
_STOP_SALES_PER_TENANT = 8
#: The same voucher in all agencies: each must get its own record.
_SHARED_VOUCHER = "JNP123456"
#: A voucher that is hard on URLs.
_HARD_VOUCHER = "JNP/2026 #17&Söz=%41+1"


def ordinary(writer: EventWriter, draws: random.Random, tenant: DemoTenant) -> Iterator[DemoEvent]:
    """Events with nothing odd about them."""
    why = "an ordinary one"
    kept_apart = {tenant.full_hotel_id, tenant.reopened_hotel_id, *tenant.twins}
    hotels = [hotel for hotel in tenant.account.hotels if hotel.id not in kept_apart]
    for _ in range(_RESERVATIONS_PER_TENANT):
        hotel = draws.choice(hotels)
        named = Named(hotel.name, hotel.id)
        yield writer.reservation(tenant, named, expect="synced", why=why)
    for _ in range(_STOP_SALES_PER_TENANT):
        hotel = draws.choice(hotels)
        named = Named(hotel.name, hotel.id)
        rooms = draws.sample([room.code for room in hotel.rooms], draws.randint(0, 2))
        boards = draws.sample([b.code for b in tenant.account.boards], draws.randint(0, 1))
        yield writer.stop_sale(
            tenant, named, expect="synced", why=why, room_types=rooms, board_types=boards
        )


def every_case(writer: EventWriter, tenant: DemoTenant) -> Iterator[list[DemoEvent]]:
    """The cases that every agency meets; what is in one list has to keep its order."""
    for events in (_names(writer, tenant), _refused(writer, tenant), _unusual(writer, tenant)):
        yield from ([event] for event in events)
    yield _published_twice(writer, tenant)
    yield _conflict(writer, tenant)
    yield _opened_again(writer, tenant)


def strangers(writer: EventWriter, draws: random.Random) -> Iterator[list[DemoEvent]]:
    """Events that are nobody's, or no events."""
    first, second, _ = DEMO_TENANTS
    named = Named(first.account.hotels[0].name)
    why = "broken JSON: cut off in the middle"
    broken = writer.reservation(first, named, expect="rejected", why=why)
    cut = draws.randint(40, len(broken.value) - 40)
    yield [replace(broken, value=broken.value[:cut])]
    why = "its key names another agency than its tenantid"
    foreign = writer.reservation(first, named, expect="rejected", why=why)
    yield [replace(foreign, key=second.tenant_id.encode(), tenant_id=second.tenant_id)]
    ghost = replace(first, tenant_id="ghost-travel")
    why = "an agency without settings"
    yield [writer.reservation(ghost, named, expect="failed:tenant_not_configured", why=why)]


def _names(writer: EventWriter, tenant: DemoTenant) -> Iterator[DemoEvent]:
    """Names that must be found, that must not be guessed, and that are nobody's."""
    for spelling in tenant.spellings:
        named = Named(spelling.text, spelling.hotel_id)
        why = f"the hotel's name is written otherwise: {spelling.why}"
        yield writer.reservation(tenant, named, expect="synced", why=why)
    for code, names, why in (
        ("hotel_ambiguous", tenant.ambiguous, "two hotels answer to that name"),
        ("hotel_not_found", tenant.unknown, "no hotel answers to that name"),
    ):
        for name in names:
            yield writer.reservation(tenant, Named(name), expect=f"failed:{code}", why=why)
    yield writer.stop_sale(
        tenant,
        Named(tenant.unknown[0]),
        expect="failed:hotel_not_found",
        why="a stop sale of a hotel that the agency does not sell",
    )


def _refused(writer: EventWriter, tenant: DemoTenant) -> Iterator[DemoEvent]:
    """Events that fail for another reason than the hotel's name."""
    named = Named(tenant.account.hotels[0].name)
    yield writer.reservation(
        tenant,
        named,
        expect="failed:room_type_unknown",
        why="the hotel has no such room type",
        room_type="PRSDNT",
    )
    yield writer.reservation(
        tenant,
        named,
        expect="failed:board_unknown",
        why="the agency has no such board",
        board_type="XBRD",
    )
    full = tenant.account.hotel(tenant.full_hotel_id)
    yield writer.reservation(
        tenant,
        Named(full.name if full else ""),
        expect="failed:refused_by_sedna",
        why="Sedna refuses: the hotel has no allotment left",
        room_type="STDLV",
    )


def _unusual(writer: EventWriter, tenant: DemoTenant) -> Iterator[DemoEvent]:
    """Events that look odd and are right."""
    hotel = tenant.account.hotels[0]
    named = Named(hotel.name, hotel.id)
    yield writer.reservation(
        tenant,
        Named("(see the attached voucher)", hotel.id),
        expect="synced",
        why="the event brings the hotel's id, so its name does not matter",
        sedna_hotel_id=hotel.id,
    )
    yield writer.reservation(
        tenant,
        named,
        expect="synced",
        why="a voucher with signs that have to be escaped in a URL",
        voucher_no=_HARD_VOUCHER,
    )
    yield writer.reservation(
        tenant,
        named,
        expect="synced",
        why="other agencies have the same voucher number",
        voucher_no=_SHARED_VOUCHER,
    )
    yield writer.reservation(
        tenant,
        named,
        expect="synced",
        why="its voucher begins with the whole of another one",
        voucher_no=f"{_SHARED_VOUCHER}7",
    )
    yield writer.reservation(
        tenant,
        named,
        expect="synced",
        why="room and board in small letters",
        room_type=hotel.rooms[0].code.lower(),
        board_type=tenant.account.boards[0].code.lower(),
    )


def _published_twice(writer: EventWriter, tenant: DemoTenant) -> list[DemoEvent]:
    hotel = tenant.account.hotels[0]
    why = "published twice: this is it"
    first = writer.reservation(tenant, Named(hotel.name, hotel.id), expect="synced", why=why)
    return [first, replace(first, expect="duplicate", why="published twice: the same bytes again")]


def _conflict(writer: EventWriter, tenant: DemoTenant) -> list[DemoEvent]:
    hotel = tenant.account.hotels[0]
    why = "its voucher comes again"
    first = writer.reservation(tenant, Named(hotel.name, hotel.id), expect="synced", why=why)
    second = writer.reservation(
        tenant,
        Named(hotel.name),
        expect="failed:conflict",
        why="a voucher that is there already, with another content",
        voucher_no=first.voucher_no,
    )
    return [first, second]


def _opened_again(writer: EventWriter, tenant: DemoTenant) -> list[DemoEvent]:
    """A stop sale and its opening, which spells the hotel otherwise: the order must hold."""
    closed_as, opened_as = tenant.reopened_as
    closing = writer.stop_sale(
        tenant,
        Named(closed_as, tenant.reopened_hotel_id),
        expect="synced",
        why="closes a hotel",
    )
    begin, end = closing.days or ("", "")
    opening = writer.stop_sale(
        tenant,
        Named(opened_as, tenant.reopened_hotel_id),
        expect="synced",
        why="opens the same hotel again, under another spelling: it must come second",
        date_from=begin,
        date_to=end,
        is_close=False,
    )
    return [closing, opening]
