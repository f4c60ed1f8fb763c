"""What the Dockerfile makes runs the service: built by a Docker engine, or by its steps alone."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import without
from tests.e2e.conftest import WorldFactory
from tests.support.collector import collector
from tests.support.events import account, reservation
from tests.support.image import Image, built, health_check, installed
from tests.support.servers import Unavailable

#: Says which of these is missing, or that none is.
_LACKS = "import sys, importlib.util as u; print([n for n in sys.argv[1:] if not u.find_spec(n)])"

#: Says which of these Python would have to compile first.
_COMPILES = """
import importlib.util as u, os, sys
print([n for n in sys.argv[1:] if not os.path.exists(u.cache_from_source(u.find_spec(n).origin))])
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built by a Docker engine, as servers come from Docker; else what comes nearest to it."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(built())
        except Unavailable:
            try:
                made = stack.enter_context(installed(tmp_path_factory.mktemp("image")))
            except Unavailable as reason:
                without(str(reason))
        yield made


def test_the_image_holds_what_the_service_needs_and_nothing_to_install_with(image: Image) -> None:
    needed = ["consumer.service", "uvloop", "opentelemetry.sdk", "opentelemetry.exporter.otlp"]
    assert image.python("-c", _LACKS, *needed).stdout == "[]\n"
    # The steps alone leave the Python of this machine as it is.
    tools = ["pip", "hatchling", *(["setuptools", "ensurepip"] if image.docker else [])]
    assert image.python("-c", _LACKS, *tools).stdout == f"{tools}\n"


def test_the_image_need_not_compile_at_every_start_what_it_cannot_write_down(image: Image) -> None:
    modules = [
        "consumer.service",
        "aiokafka.client",
        *(["asyncio.taskgroups"] if image.docker else []),
    ]
    assert image.python("-c", _COMPILES, *modules).stdout == "[]\n"


async def test_the_image_runs_the_service_says_how_it_is_and_ends_when_told(
    image: Image, world: WorldFactory
) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = collected.url
        given = {name for name in here.environment() if name.startswith(("SEDNA_SYNC_", "OTEL_"))}
        here.program = image.program(given)
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)

        (line,) = service.lines("api_listening")
        port = {"SEDNA_SYNC_API_PORT": str(line["port"])}
        assert image.python(*health_check(), **port).returncode == 0
        assert await service.stop() == 0
        assert service.lines("drained")
        assert f"read {here.topics.reservations}" in {span.name for span in collected.spans}
