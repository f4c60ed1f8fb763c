"""The AsyncAPI 3 document: the five topics, who reads and who writes them, with examples.

Topics have their default names here; an installation can rename them by its settings.
"""

from typing import Any, Final

from schemas import examples
from schemas.headers import CONTENT_TYPE, STRUCTURED_JSON
from schemas.json_schema import SCHEMA_NAME, Schema, definitions, with_references
from schemas.kinds import EVENT_TYPE, FAILED_TYPE, SYNCED_TYPE, TENANT_ID_PATTERN, Kind
from schemas.outcomes import ErrorCode
from schemas.trace import LONGEST_TRACESTATE, TRACEPARENT, TRACEPARENT_PATTERN, TRACESTATE

#: Of the contract, not of the program: raised when a consumer or producer has to change.
CONTRACT_VERSION: Final = "1.0.0"
DEAD_LETTER_TOPIC: Final = "sedna.deadletter"

_KAFKA: Final = {"bindingVersion": "0.5.0"}
_TENANT_KEY: Final[Schema] = {
    "type": "string",
    "pattern": TENANT_ID_PATTERN,
    "description": "The tenant id in UTF-8.",
}
_HEADERS: Final[Schema] = {
    "type": "object",
    "properties": {
        CONTENT_TYPE: {
            "type": "string",
            "pattern": r"^application/cloudevents\+json(; *charset=utf-8)?$",
        },
        TRACEPARENT: {"type": "string", "pattern": TRACEPARENT_PATTERN},
        TRACESTATE: {"type": "string", "maxLength": LONGEST_TRACESTATE},
    },
}
_DEAD_LETTER_HEADERS: Final[Schema] = {
    "type": "object",
    "required": [
        "x-origin-topic",
        "x-origin-partition",
        "x-origin-offset",
        "x-origin-timestamp",
        "x-error-code",
        "x-error-message",
    ],
    "properties": {
        "x-origin-topic": {"type": "string"},
        "x-origin-partition": {"type": "string", "pattern": "^[0-9]+$"},
        "x-origin-offset": {"type": "string", "pattern": "^[0-9]+$"},
        "x-origin-timestamp": {
            "type": "string",
            "pattern": "^-?[0-9]+$",
            "description": "Kafka's timestamp of the message, milliseconds since 1970 (UTC).",
        },
        "x-error-code": {"type": "string", "enum": [code.value for code in ErrorCode]},
        "x-error-message": {"type": "string"},
    },
}


def asyncapi() -> dict[str, Any]:
    """Build the document; the same code gives the same document."""
    reservation, stop_sale = EVENT_TYPE[Kind.RESERVATION], EVENT_TYPE[Kind.STOP_SALE]
    summaries = {
        reservation: "A reservation was read from an e-mail.",
        stop_sale: "A hotel stops the sale of rooms, or opens it again.",
        SYNCED_TYPE: "A reservation or a stop sale is in Sedna.",
        FAILED_TYPE: "A reservation or a stop sale could not be brought into Sedna.",
        DEAD_LETTER_TOPIC: "A message that is no valid event, its bytes as they came.",
    }
    payloads = {
        reservation: examples.reservation_created(),
        stop_sale: examples.stop_sale_created(),
        SYNCED_TYPE: examples.sedna_synced(),
        FAILED_TYPE: examples.sedna_failed(),
    }
    messages = {
        **{topic: _event(topic, summaries[topic], payload) for topic, payload in payloads.items()},
        DEAD_LETTER_TOPIC: _dead_letter(summaries[DEAD_LETTER_TOPIC]),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sedna-sync",
            "version": CONTRACT_VERSION,
            "description": (
                "Brings reservations and stop sales into each tenant's Sedna account and says what "
                "became of each.\n\nValues are CloudEvents 1.0 in JSON, structured mode; the "
                "inbound topics are read in binary mode (`ce_*` headers) as well. The key and "
                "`tenantid`, which must be equal, say whose event it is. Results are published at "
                "least once, with an `id` that is the same at every publication."
            ),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": STRUCTURED_JSON,
        "channels": {
            topic: {
                "address": topic,
                "description": summaries[topic],
                "messages": {_message(topic): {"$ref": _component("messages", _message(topic))}},
                "bindings": {"kafka": {"topic": topic, **_KAFKA}},
            }
            for topic in messages
        },
        "operations": {
            f"{action}{_message(topic)}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic}"},
                "messages": [{"$ref": f"#/channels/{topic}/messages/{_message(topic)}"}],
                "summary": summaries[topic],
            }
            for topic, action in (
                (reservation, "receive"),
                (stop_sale, "receive"),
                (SYNCED_TYPE, "send"),
                (FAILED_TYPE, "send"),
                (DEAD_LETTER_TOPIC, "send"),
            )
        },
        "components": {
            "messages": {_message(topic): message for topic, message in messages.items()},
            "schemas": with_references(definitions(), lambda name: _component("schemas", name)),
        },
    }


def _message(topic: str) -> str:
    return SCHEMA_NAME.get(topic, "DeadLetter").removesuffix("Event")


def _component(section: str, name: str) -> str:
    return f"#/components/{section}/{name}"


def _event(topic: str, summary: str, payload: dict[str, Any]) -> dict[str, Any]:
    headers = {CONTENT_TYPE: STRUCTURED_JSON}
    headers |= {name: payload[name] for name in (TRACEPARENT, TRACESTATE) if name in payload}
    return {
        "name": topic,
        "title": _message(topic),
        "summary": summary,
        "contentType": STRUCTURED_JSON,
        "headers": _HEADERS,
        "payload": {"$ref": _component("schemas", SCHEMA_NAME[topic])},
        "bindings": {"kafka": {"key": _TENANT_KEY, **_KAFKA}},
        "examples": [{"name": "typical", "headers": headers, "payload": payload}],
    }


def _dead_letter(summary: str) -> dict[str, Any]:
    return {
        "name": DEAD_LETTER_TOPIC,
        "title": "DeadLetter",
        "summary": summary,
        "contentType": "application/octet-stream",
        "headers": _DEAD_LETTER_HEADERS,
        "payload": {"description": "Any bytes: the value as it came."},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The key as it came; of any form."},
                **_KAFKA,
            }
        },
        "examples": [{"name": "typical", "headers": examples.dead_letter_headers()}],
    }
