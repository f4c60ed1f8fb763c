"""Reads the named queries beside this module: `db/queries/<area>.sql`.

A query begins with a line `-- name: <name>`. Names are checked at import, so a query
that is missing fails there and not in the middle of the night.
"""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load(area: str) -> dict[str, str]:
    """The queries of one area, by name.

    Raises:
        ValueError: two queries of the area have the same name.
    """
    text = resources.files("db").joinpath("queries", f"{area}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"db/queries/{area}.sql names a query twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
