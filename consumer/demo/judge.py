"""Compares what the demo saw with what had to happen. Pure.

It goes by the expectations that come with the events and never by what the service says of itself:
an answer counts only together with the record in the account that it names.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumer.demo.observed import Answer, Held, Observed, Place, Published, Record
from consumer.demo.world import ExpectedHoldings, expected_holdings
from consumer.sedna.assumptions import record_user
from schemas.outcomes import ErrorCode


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and what differs from it."""

    name: str
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the promise holds."""
        return not self.problems


def judge(observed: Observed) -> list[Check]:
    """All checks; the demo went well if each of them is ok."""
    published = observed.published
    answers: dict[Place, list[Answer]] = defaultdict(list)
    for answer in _once_per_id(observed.answers):
        answers[answer.place].append(answer)
    expected = expected_holdings(each.event for each in published)
    return [
        Check("every event was answered, once", tuple(_unanswered(published, answers))),
        Check("every answer is the right one", tuple(_wrong(published, answers))),
        Check("what cannot be read went to the dead letters", tuple(_undelivered(observed))),
        Check(
            "Sedna holds every reservation once, and no other",
            tuple(_reservations(expected, observed.held)),
        ),
        Check(
            "Sedna holds every stop sale once, and no other",
            tuple(_stop_sales(expected, observed.held)),
        ),
        Check(
            "the answers name the records that Sedna holds",
            tuple(_misnamed(observed.answers, observed.held)),
        ),
        Check("what was closed and opened again is for sale", tuple(_closed(observed.held))),
        Check("nothing is left over", tuple(_left(observed))),
    ]


def due_answers(each: Published) -> int:
    """How many results are due: a duplicate is answered by that of the event that it repeats."""
    return 0 if each.event.expect == "duplicate" else 1


def due_dead_letters(each: Published) -> int:
    """How many dead letters are due."""
    return 1 if each.event.expect == "rejected" else 0


def _once_per_id(answers: Iterable[Answer]) -> Iterable[Answer]:
    # Published at least once, with the same id at every publication.
    return {answer.result_id: answer for answer in answers}.values()


def _unanswered(
    published: Sequence[Published], answers: Mapping[Place, Sequence[Answer]]
) -> Iterator[str]:
    for each in published:
        found = len(answers.get(each.place, ()))
        if found != due_answers(each):
            yield f"{_said(each)}: {found} answers"
    strange = answers.keys() - {each.place for each in published}
    yield from (f"an answer to {place}, where nothing was published" for place in sorted(strange))


def _wrong(
    published: Sequence[Published], answers: Mapping[Place, Sequence[Answer]]
) -> Iterator[str]:
    for each in published:
        expect = each.event.expect
        if expect == "rejected":
            expect = f"failed:{ErrorCode.INVALID_EVENT}"
        for answer in answers.get(each.place, ()):
            if (answer.outcome, answer.tenant_id) != (expect, each.event.tenant_id):
                yield f"{_said(each)}: {answer.outcome} of {answer.tenant_id}: {answer.message}"
            elif each.event.hotel_id not in (None, answer.hotel_id) and answer.code is None:
                yield f"{_said(each)}: hotel {answer.hotel_id} instead of {each.event.hotel_id}"


def _undelivered(observed: Observed) -> Iterator[str]:
    letters = Counter((each.place, each.key, each.value) for each in observed.dead_letters)
    due = {
        (each.place, each.event.key, each.event.value): each
        for each in observed.published
        if due_dead_letters(each)
    }
    for letter, each in due.items():
        if letters[letter] != 1:
            yield f"{_said(each)}: {letters[letter]} dead letters with its bytes"
    for place, key, value in letters.keys() - due.keys():
        yield f"a dead letter of {place} ({len(key or b'')} + {len(value or b'')} bytes) too many"


def _reservations(
    expected: Mapping[str, ExpectedHoldings], held: Mapping[str, Held]
) -> Iterator[str]:
    for tenant, due in expected.items():
        names = {voucher: (f"voucher {voucher}", hotel) for voucher, hotel in due.vouchers.items()}
        yield from _differing(tenant, names, held[tenant].reservations)


def _stop_sales(
    expected: Mapping[str, ExpectedHoldings], held: Mapping[str, Held]
) -> Iterator[str]:
    for tenant, due in expected.items():
        names = {
            record_user(item): (f"stop sale {item}", hotel)
            for item, hotel in due.stop_sales.items()
        }
        yield from _differing(tenant, names, held[tenant].stop_sales)
        for record in held[tenant].unfinished:
            yield f"{tenant}: {record.name} (record {record.rec_id}) is not finished"


def _differing(
    tenant: str, due: Mapping[str, tuple[str, int]], records: Sequence[Record]
) -> Iterator[str]:
    counts = Counter(record.name for record in records)
    for name, (title, hotel) in due.items():
        if counts[name] != 1:
            yield f"{tenant}: {title} is there {counts[name]} times"
        for record in records:
            if record.name == name and record.hotel_id != hotel:
                yield f"{tenant}: {title} is at hotel {record.hotel_id} instead of {hotel}"
    for name in counts.keys() - due.keys():
        yield f"{tenant}: {name!r} should not be there"


def _misnamed(answers: Sequence[Answer], held: Mapping[str, Held]) -> Iterator[str]:
    for answer in _once_per_id(answers):
        if answer.code is not None:
            continue
        own = held.get(answer.tenant_id, Held())
        known = {record.rec_id for record in (*own.reservations, *own.stop_sales)}
        if answer.rec_id not in known:
            yield f"{answer.tenant_id}: {answer.item}: there is no record {answer.rec_id}"


def _closed(held: Mapping[str, Held]) -> Iterator[str]:
    for tenant, account in held.items():
        for days in account.closed:
            yield f"{tenant}: hotel {days.hotel_id} is closed {days.date_from}..{days.date_to}"


def _left(observed: Observed) -> Iterator[str]:
    for number, what in (
        (observed.pending, "syncs are pending"),
        (observed.unpublished, "answers wait in the outbox"),
        (observed.unread, "events were not read and committed"),
    ):
        if number:
            yield f"{number} {what}"
    if observed.exit_code != 0:
        yield f"the service ended with code {observed.exit_code}"


def _said(each: Published) -> str:
    event = each.event
    kind = event.topic_kind.replace("_", " ")
    return f"{event.tenant_id}: {kind} {event.item_id} at {each.place} ({event.why})"
