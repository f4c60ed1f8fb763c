"""Writes the documents of the contract: JSON Schemas of the events, and the AsyncAPI document.

They are generated from the models and kept in `schemas/generated/`, so that a change of the
contract shows in review; a test holds that the kept ones are what the models say.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.asyncapi import asyncapi
from schemas.json_schema import SCHEMA_NAME, document


def documents() -> dict[str, str]:
    """All documents: file name to text, which ends in a newline."""
    found = {f"{event_type}.json": _text(document(event_type)) for event_type in SCHEMA_NAME}
    found["asyncapi.json"] = _text(asyncapi())
    return found


def export(directory: Path, *, others: Mapping[str, str] | None = None) -> list[Path]:
    """Write the documents into ``directory``, which is made if it is missing.

    Files of other names are left alone.

    Args:
        directory: Where to.
        others: Documents that are written beside them: file name to text.

    Returns:
        The files that were written.

    Raises:
        OSError: The directory cannot be made, or a file in it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in (documents() | dict(others or {})).items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
