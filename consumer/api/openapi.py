"""The OpenAPI document as text, to be kept beside the other contracts."""

import json
from typing import Any, cast

from consumer.api.app import Parts, build_api


def document() -> str:
    """The document of this release; ends in a newline."""
    # Routes are described without being called, so there is nothing that they could need.
    nothing = cast("Any", None)
    app = build_api(
        Parts(pool=nothing, hotels=nothing, retrying=nothing, readiness=nothing, metrics=nothing)
    )
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
