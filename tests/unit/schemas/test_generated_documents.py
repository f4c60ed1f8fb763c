import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

import schemas
from consumer.api import openapi
from schemas import examples
from schemas.envelope import InvalidEvent, parse_event
from schemas.export import documents, export
from schemas.kinds import Kind

KEPT = Path(schemas.__file__).parent / "generated"
EVENTS = {
    "reservation.created": examples.reservation_created(),
    "stopsale.created": examples.stop_sale_created(),
    "sedna.synced": examples.sedna_synced(),
    "sedna.failed": examples.sedna_failed(),
}
RESERVATION_SCHEMA = Draft202012Validator(
    json.loads(documents()["reservation.created.json"]),
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(documents()["asyncapi.json"])
    return document


def test_the_kept_documents_are_what_the_models_say() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in KEPT.iterdir()}
    assert kept == documents() | {"openapi.json": openapi.document()}, (
        "the contract has changed: run `sedna-sync schema export schemas/generated`, "
        "and commit what it writes"
    )


def test_documents_are_written_into_a_directory_that_is_made(tmp_path: Path) -> None:
    written = export(tmp_path / "new" / "directory")
    assert {path.name: path.read_text(encoding="utf-8") for path in written} == documents()


@pytest.mark.parametrize("event_type", EVENTS)
def test_each_schema_is_one_and_its_example_obeys_it(event_type: str) -> None:
    schema = json.loads(documents()[f"{event_type}.json"])
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(EVENTS[event_type])


@pytest.mark.parametrize("event_type", EVENTS)
def test_a_schema_refuses_the_events_of_the_others(event_type: str) -> None:
    validator = Draft202012Validator(json.loads(documents()[f"{event_type}.json"]))
    for other, content in EVENTS.items():
        assert validator.is_valid(content) == (other == event_type)


CHANGES_OF_DATA: list[dict[str, Any]] = [
    {},
    {"voucher_no": " "},
    {"voucher_no": "x" * 51},
    {"voucher_no": 7},
    {"hotel_name": "a\x00"},
    {"check_in": "2026-07-01T00:00:00"},
    {"check_in": "2026-07-01T00:00:01"},
    {"check_in": "2026-02-30"},
    {"check_in": None},
    {"check_in": 20260701},
    {"adults": 0},
    {"adults": 100},
    {"adults": "2"},
    {"adults": True},
    {"email_id": 2**63},
    {"email_id": -1},
    {"total_price": 12.5},
    {"total_price": "-1"},
    {"total_price": "1e3"},
    {"total_price": None},
    {"currency": "eur"},
    {"sale_date": None},
    {"hotel_remark": "x" * 2001},
    {"hotel_remark": ""},
    {"guests": [{"first_name": "A"}]},
    {"guests": [{"first_name": "A", "last_name": "B", "age": 151}]},
    {"guests": [{"first_name": "A", "last_name": "B", "pet": "cat"}]},
    {"guests": None},
    {"unknown": [1]},
]
CHANGES_OF_ATTRIBUTES: list[dict[str, Any]] = [
    {"tenantid": "a b"},
    {"type": "other"},
    {"specversion": "0.3"},
    {"id": ""},
    {"time": "2026-05-01"},
    {"time": None},
    {"time": 7},
    {"subject": None},
    {"subject": ""},
    {"traceparent": "of another form"},
    {"data": None},
    {"data_base64": "e30="},
    {"comexampleextension": 7},
]


def agree(content: dict[str, Any]) -> None:
    try:
        parse_event(
            Kind.RESERVATION,
            key=examples.TENANT_ID.encode(),
            value=json.dumps(content).encode(),
            headers=[],
        )
    except InvalidEvent as invalid:
        assert not RESERVATION_SCHEMA.is_valid(content), invalid.details  # noqa: PT017 - either outcome, so long as both agree
    else:
        RESERVATION_SCHEMA.validate(content)


@pytest.mark.parametrize("changes", CHANGES_OF_DATA, ids=str)
def test_the_schema_and_the_parser_agree_about_data(changes: dict[str, Any]) -> None:
    content = examples.reservation_created()
    content["data"] |= changes
    agree(content)


@pytest.mark.parametrize("changes", CHANGES_OF_ATTRIBUTES, ids=str)
def test_the_schema_and_the_parser_agree_about_attributes(changes: dict[str, Any]) -> None:
    agree(examples.reservation_created() | changes)


def test_asyncapi_has_the_five_topics_with_their_directions() -> None:
    document = asyncapi()
    directions = {
        operation["channel"]["$ref"].removeprefix("#/channels/"): operation["action"]
        for operation in document["operations"].values()
    }
    assert directions == {
        "reservation.created": "receive",
        "stopsale.created": "receive",
        "sedna.synced": "send",
        "sedna.failed": "send",
        "sedna.deadletter": "send",
    }
    assert {channel["address"] for channel in document["channels"].values()} == set(directions)


def references(content: Any) -> list[str]:
    if isinstance(content, dict):
        own = [content["$ref"]] if isinstance(content.get("$ref"), str) else []
        return own + [found for inner in content.values() for found in references(inner)]
    if isinstance(content, list):
        return [found for inner in content for found in references(inner)]
    return []


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = asyncapi()
    found = references(document)
    assert len(found) > 20
    for reference in found:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_examples_in_asyncapi_obey_its_own_schemas() -> None:
    document = asyncapi()
    for message in document["components"]["messages"].values():
        for part in ("headers", "payload"):
            schema = message[part] | {"components": document["components"]}
            for example in message["examples"]:
                if part in example:
                    Draft7Validator(schema).validate(example[part])


@pytest.mark.parametrize(
    "name, kind",
    [("ReservationCreated", Kind.RESERVATION), ("StopSaleCreated", Kind.STOP_SALE)],
)
def test_the_inbound_examples_in_asyncapi_are_read_by_our_own_parser(name: str, kind: Kind) -> None:
    (example,) = asyncapi()["components"]["messages"][name]["examples"]
    read = parse_event(
        kind,
        key=example["payload"]["tenantid"].encode(),
        value=json.dumps(example["payload"]).encode(),
        headers=[(name, value.encode()) for name, value in example["headers"].items()],
    )
    assert read.id == example["payload"]["id"]


def test_dead_letters_carry_the_headers_of_the_design() -> None:
    headers = asyncapi()["components"]["messages"]["DeadLetter"]["headers"]
    assert set(headers["required"]) == {
        "x-origin-topic",
        "x-origin-partition",
        "x-origin-offset",
        "x-origin-timestamp",
        "x-error-code",
        "x-error-message",
    }
