"""The judge of chaos runs finds each broken promise in a history, and nothing in a right one."""

from dataclasses import replace

import pytest

from consumer.demo.observed import Answer, DeadLetter, Place
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.chaos.histories import Arrival, Broken, Histories, Identity, Published, Record, Row
from tests.chaos.judge import judge
from tests.chaos.workload import Meaning

RESERVATION: Identity = ("a", Kind.RESERVATION, "V1")
FAILING: Identity = ("a", Kind.RESERVATION, "V2")
CLOSED: Identity = ("a", Kind.STOP_SALE, "3")
OPENED: Identity = ("a", Kind.STOP_SALE, "4")


def place(offset: int, topic: str = "reservations") -> Place:
    return Place(topic, 0, offset)


def published(
    where: Place, identity: Identity, *, content: str = "1", expect: str = "synced"
) -> Published:
    tenant, kind, item = identity
    meaning = Meaning(
        tenant=tenant,
        kind=kind,
        item=item,
        content=content,
        expect=expect,
        hotel_id=101 if expect == "synced" else None,
    )
    return Published(place=where, meaning=meaning)


def answer(
    where: Place,
    *,
    rec_id: int | None = None,
    code: ErrorCode | None = None,
    result_id: str | None = None,
) -> Answer:
    return Answer(
        result_id=result_id or f"result of {where}",
        tenant_id="a",
        place=where,
        kind=Kind.RESERVATION,
        item_id=1,
        voucher_no=None,
        rec_id=rec_id,
        hotel_id=101,
        code=code,
        message="said",
    )


def letter(where: Place) -> DeadLetter:
    return DeadLetter(place=where, key=b"a", value=b"?", code="invalid_event", message="said")


def right() -> Histories:
    """A reservation with a repetition and a conflict, a failure, garbage, and two stop sales."""
    stop = "stop sales"
    return Histories(
        published=[
            published(place(0), RESERVATION),
            published(place(1), RESERVATION),
            published(place(2), RESERVATION, content="2"),
            published(place(3), FAILING, expect="failed:hotel_not_found"),
            published(place(4), ("a", Kind.RESERVATION, ""), expect="rejected"),
            published(place(0, stop), CLOSED),
            published(place(1, stop), OPENED),
        ],
        records=[
            Record(identity=RESERVATION, rec_id=10, hotel_id=101, order=2),
            Record(identity=CLOSED, rec_id=11, hotel_id=101, order=1),
            Record(identity=OPENED, rec_id=12, hotel_id=101, order=3),
        ],
        arrivals=[
            Arrival(identity=CLOSED, hotel_id=101, request=1),
            Arrival(identity=CLOSED, hotel_id=101, request=5),
            Arrival(identity=OPENED, hotel_id=101, request=9),
        ],
        rows=[
            Row(sync_id=1, identity=RESERVATION, state="synced", rec_id=10),
            Row(sync_id=2, identity=FAILING, state="failed", error_code="hotel_not_found"),
            Row(sync_id=3, identity=CLOSED, state="synced", rec_id=11),
            Row(sync_id=4, identity=OPENED, state="synced", rec_id=12),
        ],
        rejected=[place(4)],
        answers=[
            answer(place(0), rec_id=10),
            answer(place(0), rec_id=10),  # published again
            answer(place(2), code=ErrorCode.CONFLICT),
            answer(place(3), code=ErrorCode.HOTEL_NOT_FOUND),
            answer(place(4), code=ErrorCode.INVALID_EVENT),
            answer(place(0, stop), rec_id=11),
            answer(place(1, stop), rec_id=12),
        ],
        dead_letters=[letter(place(4))],
    )


def found(histories: Histories) -> dict[Broken, list[Identity | None]]:
    broken: dict[Broken, list[Identity | None]] = {}
    for finding in judge(histories):
        broken.setdefault(finding.broken, []).append(finding.identity)
    return broken


def test_a_right_history_gives_no_finding() -> None:
    assert judge(right()) == []


def test_an_event_that_nobody_registered_is_lost() -> None:
    all_of_it = right()
    histories = replace(all_of_it, rows=all_of_it.rows[1:])
    assert found(histories)[Broken.LOST] == [RESERVATION]


def test_garbage_that_nobody_stored_is_lost() -> None:
    assert found(replace(right(), rejected=[])) == {Broken.LOST: [None]}


def test_a_synced_one_without_a_record_is_lost() -> None:
    all_of_it = right()
    histories = replace(all_of_it, records=all_of_it.records[1:])
    assert found(histories)[Broken.LOST] == [RESERVATION]
    assert found(histories)[Broken.CONTRADICTED] == [RESERVATION] * 2


def test_a_stop_sale_that_was_never_filled_is_lost() -> None:
    all_of_it = right()
    closed = replace(all_of_it.records[1], finished=False)
    histories = replace(all_of_it, records=[all_of_it.records[0], closed, all_of_it.records[2]])
    assert found(histories) == {Broken.LOST: [CLOSED]}


@pytest.mark.parametrize("identity", [RESERVATION, CLOSED])
def test_two_records_of_one_identity_are_doubled(identity: Identity) -> None:
    all_of_it = right()
    second = Record(identity=identity, rec_id=20, hotel_id=101, order=2)
    assert found(replace(all_of_it, records=[*all_of_it.records, second])) == {
        Broken.DOUBLED: [identity]
    }


def test_a_create_that_arrives_before_an_earlier_one_of_its_hotel_is_out_of_order() -> None:
    all_of_it = right()
    late = Arrival(identity=CLOSED, hotel_id=101, request=10)
    histories = replace(all_of_it, arrivals=[*all_of_it.arrivals, late])
    assert found(histories) == {Broken.OUT_OF_ORDER: [CLOSED]}


def test_other_hotels_and_other_tenants_keep_no_order_with_it() -> None:
    all_of_it = right()
    histories = replace(
        all_of_it,
        arrivals=[
            *all_of_it.arrivals,
            Arrival(identity=CLOSED, hotel_id=102, request=10),
            Arrival(identity=("b", Kind.STOP_SALE, "3"), hotel_id=101, request=11),
        ],
    )
    assert judge(histories) == []


def test_a_record_that_was_made_before_that_of_an_earlier_event_is_out_of_order() -> None:
    all_of_it = right()
    closed = replace(all_of_it.records[1], order=4)
    histories = replace(all_of_it, records=[all_of_it.records[0], closed, all_of_it.records[2]])
    assert found(histories) == {Broken.OUT_OF_ORDER: [CLOSED]}


@pytest.mark.parametrize("number, identity", [(3, FAILING), (4, None), (5, CLOSED)])
def test_an_event_without_a_result_is_unanswered(number: int, identity: Identity | None) -> None:
    all_of_it = right()
    answers = [each for index, each in enumerate(all_of_it.answers) if index != number]
    assert found(replace(all_of_it, answers=answers))[Broken.UNANSWERED] == [identity]


def test_garbage_without_a_dead_letter_and_results_in_the_outbox_are_unanswered() -> None:
    assert found(replace(right(), dead_letters=[])) == {Broken.UNANSWERED: [None]}
    assert found(replace(right(), unpublished=3)) == {Broken.UNANSWERED: [None]}


@pytest.mark.parametrize(
    "wrong",
    [
        answer(place(0, "stop sales"), code=ErrorCode.GAVE_UP),
        answer(place(0, "stop sales"), rec_id=99),
    ],
)
def test_an_answer_that_sedna_does_not_bear_out_is_a_contradiction(wrong: Answer) -> None:
    all_of_it = right()
    answers = [wrong if each.place == wrong.place else each for each in all_of_it.answers]
    assert CLOSED in found(replace(all_of_it, answers=answers))[Broken.CONTRADICTED]


def test_a_repetition_that_is_answered_and_an_answer_to_nothing_are_contradictions() -> None:
    all_of_it = right()
    repeated = [*all_of_it.answers, answer(place(1), rec_id=10)]
    assert found(replace(all_of_it, answers=repeated)) == {Broken.CONTRADICTED: [RESERVATION]}
    strange = [*all_of_it.answers, answer(place(77), rec_id=10)]
    assert found(replace(all_of_it, answers=strange)) == {Broken.CONTRADICTED: [None]}


def test_a_record_in_the_wrong_hotel_is_a_contradiction() -> None:
    all_of_it = right()
    elsewhere = replace(all_of_it.records[0], hotel_id=102)
    histories = replace(all_of_it, records=[elsewhere, *all_of_it.records[1:]])
    assert found(histories) == {Broken.CONTRADICTED: [RESERVATION]}


def test_a_record_of_what_was_told_to_have_failed_is_a_contradiction() -> None:
    all_of_it = right()
    made = Record(identity=FAILING, rec_id=30, hotel_id=101, order=9)
    histories = replace(all_of_it, records=[*all_of_it.records, made])
    assert FAILING in found(histories)[Broken.CONTRADICTED]


@pytest.mark.parametrize(
    "row, broken",
    [
        ({"state": "pending", "in_doubt": True}, Broken.UNSETTLED_DOUBT),
        ({"state": "failed", "error_code": "in_doubt_unresolved"}, Broken.UNSETTLED_DOUBT),
        ({"state": "pending"}, Broken.UNSETTLED),
    ],
)
def test_what_is_not_settled_is_found(row: dict[str, object], broken: Broken) -> None:
    all_of_it = right()
    left = Row(sync_id=1, identity=RESERVATION, **row)  # type: ignore[arg-type]  # a case's fields
    histories = replace(all_of_it, rows=[left, *all_of_it.rows[1:]])
    assert found(histories)[broken] == [RESERVATION]


def test_events_that_nobody_read_are_not_settled() -> None:
    assert found(replace(right(), unread=7)) == {Broken.UNSETTLED: [None]}


def test_a_second_publication_under_another_id_or_with_another_word_is_unstable() -> None:
    all_of_it = right()
    for again in (
        answer(place(0), rec_id=10, result_id="another"),
        answer(place(0), code=ErrorCode.CONFLICT),
    ):
        histories = replace(all_of_it, answers=[*all_of_it.answers, again])
        assert Broken.UNSTABLE_ID in found(histories)


def test_a_correction_may_come_before_or_after_the_failure_was_settled() -> None:
    all_of_it = right()
    corrected = published(place(5), FAILING, content="2")
    events = [*all_of_it.published, corrected]
    too_early = [*all_of_it.answers, answer(place(5), code=ErrorCode.CONFLICT)]
    assert judge(replace(all_of_it, published=events, answers=too_early)) == []

    row = Row(sync_id=2, identity=FAILING, state="synced", rec_id=30)
    histories = replace(
        all_of_it,
        published=events,
        answers=[*all_of_it.answers, answer(place(5), rec_id=30)],
        records=[
            *all_of_it.records,
            Record(identity=FAILING, rec_id=30, hotel_id=101, order=9),
        ],
        rows=[all_of_it.rows[0], row, *all_of_it.rows[2:]],
    )
    assert judge(histories) == []
