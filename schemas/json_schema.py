"""JSON Schemas of the four events, generated from the models.

They say every rule of the models that JSON Schema can say. It cannot say that a departure comes
after its arrival, nor that spaces around a text do not count.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from schemas.fields import RFC_3339
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.kinds import EVENT_TYPE, FAILED_TYPE, SYNCED_TYPE, TENANT_ID_PATTERN, Kind
from schemas.outcomes import SOURCE, SednaFailed, SednaSynced
from schemas.reading import Attributes
from schemas.trace import LONGEST_TRACESTATE, TRACEPARENT, TRACEPARENT_PATTERN, TRACESTATE

Schema = dict[str, Any]

_REF: Final = "#/$defs/"

#: The name of each event's schema, by the `type` of the event.
SCHEMA_NAME: Final[dict[str, str]] = {
    EVENT_TYPE[Kind.RESERVATION]: "ReservationCreatedEvent",
    EVENT_TYPE[Kind.STOP_SALE]: "StopSaleCreatedEvent",
    SYNCED_TYPE: "SednaSyncedEvent",
    FAILED_TYPE: "SednaFailedEvent",
}
_TENANT: Final[Schema] = {
    "type": "string",
    "pattern": TENANT_ID_PATTERN,
    "description": "The tenant (agency) whose event it is; equal to the message's key.",
}


def definitions() -> dict[str, Schema]:
    """All schemas by name, the four events among them; they refer to each other by `#/$defs/`."""
    _, generated = models_json_schema(
        [
            (Attributes, "validation"),
            (ReservationCreated, "validation"),
            (StopSaleCreated, "validation"),
            (SednaSynced, "serialization"),
            (SednaFailed, "serialization"),
        ],
        ref_template=_REF + "{model}",
    )
    found: dict[str, Schema] = generated["$defs"]
    for name, schema in found.items():
        for field in schema.get("properties", {}).values():
            field.pop("title", None)  # pydantic's: the field's name again
        if name in {"SednaSynced", "SednaFailed", "FailureError", "Origin"}:
            _never_null(schema)
    attributes = found.pop("Attributes")["properties"]
    for kind, data in (
        (Kind.RESERVATION, "ReservationCreated"),
        (Kind.STOP_SALE, "StopSaleCreated"),
    ):
        found[SCHEMA_NAME[EVENT_TYPE[kind]]] = _inbound(EVENT_TYPE[kind], data, attributes)
    for event_type, data in ((SYNCED_TYPE, "SednaSynced"), (FAILED_TYPE, "SednaFailed")):
        found[SCHEMA_NAME[event_type]] = _result(event_type, data)
    return found


def document(event_type: str) -> Schema:
    """The schema of one event as a document of its own, draft 2020-12."""
    every = definitions()
    event = every[SCHEMA_NAME[event_type]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:sedna-sync:schema:{event_type}",
        **event,
        "$defs": {name: every[name] for name in sorted(_needed(event, every))},
    }


def with_references(schema: Any, rename: Callable[[str], str]) -> Any:
    """Copy a schema, each `$ref` to a definition replaced by what ``rename`` says of its name."""
    if isinstance(schema, dict):
        return {
            key: rename(value.removeprefix(_REF))
            if key == "$ref"
            else with_references(value, rename)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [with_references(item, rename) for item in schema]
    return schema


def _never_null(schema: Schema) -> None:
    """Results leave out what does not apply, so their optional fields are absent, never null."""
    for field in schema["properties"].values():
        choices = field.pop("anyOf", [])
        if choices:
            field.pop("default")
            (one,) = [choice for choice in choices if choice.get("type") != "null"]
            field.update(one)


def _inbound(event_type: str, data: str, attributes: Schema) -> Schema:
    return {
        "title": SCHEMA_NAME[event_type],
        "description": f"CloudEvent 1.0 of type {event_type}. Unknown fields are ignored.",
        "type": "object",
        "properties": {
            **attributes,
            "type": {"const": event_type},
            "tenantid": _TENANT,
            TRACEPARENT: {"description": "W3C Trace Context; one of another form is ignored."},
            TRACESTATE: {"description": "Likewise; read only beside a traceparent."},
            "data": {"$ref": _REF + data},
            "data_base64": {
                "type": "string",
                "contentEncoding": "base64",
                "contentMediaType": "application/json",
                "description": "The data as the Base64 of its JSON, instead of `data`.",
            },
        },
        "required": ["specversion", "id", "source", "type", "tenantid"],
        "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    }


def _result(event_type: str, data: str) -> Schema:
    return {
        "title": SCHEMA_NAME[event_type],
        "description": f"CloudEvent 1.0 of type {event_type}: the answer to one event.",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {
                "type": "string",
                "format": "uuid",
                "description": "The same at every publication of the same answer.",
            },
            "source": {"const": SOURCE},
            "type": {"const": event_type},
            "time": {"type": "string", "format": "date-time", "pattern": RFC_3339},
            "datacontenttype": {"const": "application/json"},
            "tenantid": _TENANT,
            "subject": {
                "type": "string",
                "pattern": "^(reservation|stop-sale)/[0-9]+$",
                "description": "Absent where the event could not be read.",
            },
            TRACEPARENT: {"type": "string", "pattern": TRACEPARENT_PATTERN},
            TRACESTATE: {"type": "string", "maxLength": LONGEST_TRACESTATE},
            "data": {"$ref": _REF + data},
        },
        "required": [
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "datacontenttype",
            "tenantid",
            "data",
        ],
    }


def _needed(schema: Any, every: dict[str, Schema]) -> set[str]:
    """The names of the definitions that a schema refers to, directly or through others."""
    needed: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(_references(every[name]))
    return needed


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)
