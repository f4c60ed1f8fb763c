"""Runs one server in a container for as long as standard input is open.

`python -m tests.support.container KIND` prints one line: `ready ADDRESS`, or `unavailable REASON`.
Not to be imported by tests; see `tests.support.containers`.
"""

import contextlib
import sys
from collections.abc import Iterator

import docker
import requests
from docker.errors import APIError, DockerException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from consumer.demo.embedded_postgres import free_port
from tests.support.broker import SETTINGS, VERSION, listeners

_POSTGRES_IMAGE = "postgres:18"
_KAFKA_IMAGE = f"apache/kafka:{VERSION}"
_PING_SECONDS = 2
_INSIDE, _CONTROLLER = 9092, 9093


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    with PostgresContainer(
        _POSTGRES_IMAGE, username="postgres", dbname="postgres", driver=None
    ) as server:
        yield server.get_connection_url()


@contextlib.contextmanager
def _kafka() -> Iterator[str]:
    # Clients are told this address, so it has to be known before the container starts.
    address = f"{DockerClient().host()}:{(port := free_port())}"
    settings = SETTINGS | listeners(
        host="0.0.0.0", port=_INSIDE, controller=_CONTROLLER, advertised=address
    )
    server = DockerContainer(_KAFKA_IMAGE).with_bind_ports(_INSIDE, port)
    for name, value in settings.items():
        server.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    server.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    with server:
        yield address


def _pull(image: str) -> None:
    engine = docker.from_env(timeout=_PING_SECONDS)
    engine.ping()
    if not engine.images.list(name=image):
        docker.from_env().images.pull(image)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(kind: str) -> None:
    server, image = {"postgres": (_postgres, _POSTGRES_IMAGE), "kafka": (_kafka, _KAFKA_IMAGE)}[
        kind
    ]
    try:
        _pull(image)
    except APIError as error:
        _say(f"unavailable {image} cannot be pulled ({error.explanation or error})")
        return
    except (DockerException, requests.RequestException):
        _say("unavailable the engine does not answer")
        return
    with server() as address:
        _say(f"ready {address}")
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
