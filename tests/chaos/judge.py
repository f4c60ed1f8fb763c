"""Compares the four histories of a chaos run, and says what does not fit. Pure.

It goes by what the events mean and by what Sedna holds, and never by what the service says alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.demo.observed import Answer, Place
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.chaos.histories import (
    Broken,
    Finding,
    Histories,
    Identity,
    Published,
    Record,
    Row,
)
from tests.chaos.workload import REJECTED, SYNCED

CONFLICT = f"failed:{ErrorCode.CONFLICT}"
INVALID = f"failed:{ErrorCode.INVALID_EVENT}"


@dataclass(slots=True)
class _Work:
    """All that the histories say of one piece of work."""

    identity: Identity
    events: list[Published] = field(default_factory=list)  #: in the order of the topic
    records: list[Record] = field(default_factory=list)
    row: Row | None = None


def judge(histories: Histories) -> list[Finding]:
    """Everything that contradicts a promise; nothing if all of them were kept."""
    works = _works(histories)
    answers: dict[Place, list[Answer]] = defaultdict(list)
    for answer in histories.answers:
        answers[answer.place].append(answer)
    return [
        *_lost(works.values(), histories),
        *_doubled(works.values()),
        *_out_of_order(works, histories),
        *_unanswered(works.values(), answers, histories),
        *_contradicted(works.values(), answers, histories),
        *_unsettled(works.values(), histories.unread),
        *_unstable(answers),
    ]


def _works(histories: Histories) -> dict[Identity, _Work]:
    works: dict[Identity, _Work] = {}
    for each in sorted(histories.published, key=lambda published: published.place):
        if each.meaning.expect != REJECTED:
            works.setdefault(each.identity, _Work(each.identity)).events.append(each)
    for record in histories.records:
        works.setdefault(record.identity, _Work(record.identity)).records.append(record)
    for row in histories.rows:
        works.setdefault(row.identity, _Work(row.identity)).row = row
    return works


# -- each promise ----------------------------------------------------------------------------------


def _lost(works: Iterable[_Work], histories: Histories) -> Iterator[Finding]:
    for work in works:
        if work.events and work.row is None:
            text = f"published at {work.events[0].place}, and syncs does not know it"
            yield Finding(Broken.LOST, text, work.identity)
        if work.row is not None and work.row.state == "synced":
            if not work.records:
                text = f"sync {work.row.sync_id} is synced, and Sedna has no such record"
                yield Finding(Broken.LOST, text, work.identity)
            elif not any(record.finished for record in work.records):
                text = f"sync {work.row.sync_id} is synced, and its record was never filled"
                yield Finding(Broken.LOST, text, work.identity)
    stored = set(histories.rejected)
    for each in histories.published:
        if each.meaning.expect == REJECTED and each.place not in stored:
            yield Finding(Broken.LOST, f"unreadable at {each.place}, and not in rejections")


def _doubled(works: Iterable[_Work]) -> Iterator[Finding]:
    for work in works:
        if len(work.records) > 1:
            ids = ", ".join(str(record.rec_id) for record in work.records)
            yield Finding(Broken.DOUBLED, f"Sedna has records {ids}", work.identity)


def _out_of_order(works: Mapping[Identity, _Work], histories: Histories) -> Iterator[Finding]:
    came = [(each.request, each.hotel_id, each.identity) for each in histories.arrivals]
    made = [
        (each.order, each.hotel_id, each.identity)
        for each in histories.records
        if each.identity[1] is Kind.STOP_SALE
    ]
    for steps, how in ((came, "reached Sedna"), (made, "was made")):
        latest: dict[tuple[str, int], tuple[Place, Identity]] = {}
        for number, hotel_id, identity in sorted(steps):
            work = works.get(identity)
            if work is None or not work.events:
                continue
            lane, place = (identity[0], hotel_id), work.events[0].place
            before = latest.get(lane)
            if before is not None and place < before[0]:
                text = f"it {how} (as number {number}) behind {before[1][2]} of the same hotel"
                yield Finding(Broken.OUT_OF_ORDER, text, identity)
            else:
                latest[lane] = place, identity


def _unanswered(
    works: Iterable[_Work], answers: Mapping[Place, Sequence[Answer]], histories: Histories
) -> Iterator[Finding]:
    for work in works:
        for each, allowed in _allowed(work):
            if None not in allowed and each.place not in answers:
                text = f"no result for {each.place}, of the {len(work.events)} events about it"
                yield Finding(Broken.UNANSWERED, text, work.identity)
    letters = {letter.place for letter in histories.dead_letters}
    for each in histories.published:
        if each.meaning.expect != REJECTED:
            continue
        if each.place not in letters:
            yield Finding(Broken.UNANSWERED, f"no dead letter for {each.place}")
        if each.place not in answers:
            yield Finding(Broken.UNANSWERED, f"no result for {each.place}, which is unreadable")
    if histories.unpublished:
        yield Finding(Broken.UNANSWERED, f"{histories.unpublished} results wait in the outbox")


def _contradicted(
    works: Iterable[_Work], answers: Mapping[Place, Sequence[Answer]], histories: Histories
) -> Iterator[Finding]:
    for work in works:
        yield from _contradicted_work(work, answers)
    for each in histories.published:
        for answer in answers.get(each.place, ()):
            if each.meaning.expect == REJECTED and answer.outcome != INVALID:
                text = f"{each.place} is unreadable, and was answered {answer.outcome}"
                yield Finding(Broken.CONTRADICTED, text)
    for place in answers.keys() - {each.place for each in histories.published}:
        yield Finding(Broken.CONTRADICTED, f"an answer to {place}, where nothing was published")


def _contradicted_work(work: _Work, answers: Mapping[Place, Sequence[Answer]]) -> Iterator[Finding]:
    known = {record.rec_id for record in work.records}
    answered = False
    for each, allowed in _allowed(work):
        for answer in answers.get(each.place, ()):
            answered |= answer.code is None
            if answer.outcome not in allowed:
                text = f"{each.place} was answered {answer.outcome}: {answer.message}"
                yield Finding(Broken.CONTRADICTED, text, work.identity)
            elif answer.code is None and answer.rec_id not in known:
                text = f"{each.place} was answered with record {answer.rec_id}; Sedna has {known}"
                yield Finding(Broken.CONTRADICTED, text, work.identity)
    row = work.row
    if row is not None and row.state == "synced" and known and row.rec_id not in known:
        text = f"sync {row.sync_id} names record {row.rec_id}; Sedna has {known}"
        yield Finding(Broken.CONTRADICTED, text, work.identity)
    if known and not answered:
        text = f"Sedna has {known}, and no event was told so"
        yield Finding(Broken.CONTRADICTED, text, work.identity)
    hotels = {each.meaning.hotel_id for each in work.events}
    for record in work.records:
        if work.events and record.hotel_id not in hotels:
            text = f"record {record.rec_id} is of hotel {record.hotel_id}"
            yield Finding(Broken.CONTRADICTED, text, work.identity)


def _unsettled(works: Iterable[_Work], unread: int) -> Iterator[Finding]:
    if unread:
        yield Finding(Broken.UNSETTLED, f"{unread} events are not committed")
    for work in works:
        row = work.row
        if row is None:
            continue
        if row.error_code == ErrorCode.IN_DOUBT_UNRESOLVED or (
            row.state == "pending" and row.in_doubt
        ):
            text = f"sync {row.sync_id} is {row.state} and in doubt"
            yield Finding(Broken.UNSETTLED_DOUBT, text, work.identity)
        elif row.state == "pending":
            yield Finding(Broken.UNSETTLED, f"sync {row.sync_id} is pending", work.identity)


def _unstable(answers: Mapping[Place, Sequence[Answer]]) -> Iterator[Finding]:
    for place, given in answers.items():
        ids = sorted({answer.result_id for answer in given})
        said = {(answer.outcome, answer.rec_id) for answer in given}
        if len(ids) > 1 or len(said) > 1:
            text = f"{place} was answered by results {ids}: {sorted(map(str, said))}"
            yield Finding(Broken.UNSTABLE_ID, text)


# -- what an event may be told ---------------------------------------------------------------------


def _allowed(work: _Work) -> Iterator[tuple[Published, set[str | None]]]:
    """What each event about a piece of work may be answered; None: nothing at all."""
    if not work.events:
        return
    first = work.events[0].meaning
    for number, each in enumerate(work.events):
        meaning = each.meaning
        if number == 0:
            yield each, {meaning.expect}
        elif meaning.content == first.content:
            # A repetition; of what has failed it is a new try.
            yield each, {None} if first.expect == SYNCED else {None, first.expect}
        else:
            # Other content; of what has failed it is a correction, if it failed before this came.
            yield each, {CONFLICT} if first.expect == SYNCED else {CONFLICT, meaning.expect}
