"""What the Dockerfile says of the image; that it is built and runs is held by `tests/e2e`."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.image import health_check

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]
DIGEST = r"@sha256:[0-9a-f]{64}"


def test_the_image_is_built_and_run_with_one_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(rf"python:\d+\.\d+\.\d+-slim-\w+{DIGEST}", bases[0])


def test_the_image_runs_as_a_user_of_its_own() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", LAST_STAGE, re.MULTILINE)


def test_the_image_has_nothing_to_install_with() -> None:
    assert "pip uninstall" in LAST_STAGE
    assert "ensurepip" in LAST_STAGE
    assert "pip install" not in LAST_STAGE
    assert "apt" not in LAST_STAGE


def test_signals_reach_the_service_itself() -> None:
    # In the form of a shell, the shell would get them, and keep them.
    assert re.search(r"^ENTRYPOINT \[", LAST_STAGE, re.MULTILINE)
    assert re.search(r"^CMD \[", LAST_STAGE, re.MULTILINE)
    assert "STOPSIGNAL" not in LAST_STAGE


@contextlib.contextmanager
def service(status: int) -> Iterator[int]:
    """What the health check asks; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_an_empty_port_is_the_default_one_as_it_is_for_the_service() -> None:
    (option, code) = health_check()
    told = "import http.client as h; h.HTTPConnection = lambda address, **_: exit(address)\n" + code
    done = subprocess.run(
        [sys.executable, option, told],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"SEDNA_SYNC_API_PORT": ""},
    )
    assert done.stderr == "127.0.0.1:8080\n"


def exit_code(port: int, **environment: str) -> int:
    """Of the image's health check, where the service listens on this port."""
    done = subprocess.run(
        [sys.executable, *health_check()],
        check=False,
        capture_output=True,
        timeout=60,
        env=os.environ | {"SEDNA_SYNC_API_PORT": str(port)} | environment,
    )
    return done.returncode


@pytest.mark.parametrize("status, healthy", [(200, True), (404, False), (503, False)])
def test_the_image_is_healthy_exactly_while_the_service_says_so(
    status: int, *, healthy: bool
) -> None:
    with service(status) as port:
        assert (exit_code(port) == 0) is healthy


def test_where_nobody_answers_the_image_is_not_healthy() -> None:
    with service(200) as port:
        pass
    assert exit_code(port) != 0


def test_the_health_check_asks_the_service_and_no_proxy() -> None:
    # Docker gives every container the proxies of its client's configuration.
    nobody = "http://127.0.0.1:1"
    with service(200) as port:
        assert exit_code(port, http_proxy=nobody, HTTP_PROXY=nobody, no_proxy="", NO_PROXY="") == 0
