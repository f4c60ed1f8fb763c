"""Servers as containers, where a Docker engine answers.

testcontainers runs in a process of its own (`tests.support.container`): what the Docker client
leaves open there cannot become a warning, and so a failure, of some test here; and the container
ends when its input ends.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.support.servers import Unavailable

_CHECKOUT = Path(__file__).parents[2]
_DEFAULT_SOCKETS = (Path("/var/run/docker.sock"), Path.home() / ".docker" / "run" / "docker.sock")
_PULL_AND_START_SECONDS = 300.0
_STOP_SECONDS = 30.0


@contextlib.contextmanager
def container(kind: Literal["postgres", "kafka"]) -> Iterator[str]:
    """Gives the address of a server in a container of this kind."""
    if "DOCKER_HOST" not in os.environ and not any(path.exists() for path in _DEFAULT_SOCKETS):
        raise Unavailable("no Docker engine")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.container", kind],
        cwd=_CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as keeper:
        limit = threading.Timer(_PULL_AND_START_SECONDS, keeper.kill)
        limit.start()
        try:
            line = keeper.stdout.readline().strip() if keeper.stdout else ""
        finally:
            limit.cancel()
        word, _, rest = line.partition(" ")
        try:
            if word != "ready":
                raise Unavailable(f"Docker: {rest or 'the container did not start'}")
            yield rest
        finally:
            try:
                keeper.communicate(timeout=_STOP_SECONDS)  # closes its input, which ends it
            except subprocess.TimeoutExpired:
                keeper.kill()
