"""How tests find a server: which way is taken, and what is said where none is open."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import java, prometheus
from tests.support.containers import container
from tests.support.servers import SharedServer, Unavailable, first_open, from_environment


def _closed(reason: str) -> AbstractContextManager[str]:
    raise Unavailable(reason)


def test_the_first_open_way_to_a_server_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEDNA_SYNC_TEST_SOMETHING", "somewhere:1")
    monkeypatch.delenv("SEDNA_SYNC_TEST_OTHER", raising=False)
    ways = [
        lambda: from_environment("SEDNA_SYNC_TEST_OTHER"),
        lambda: from_environment("SEDNA_SYNC_TEST_SOMETHING"),
        lambda: _closed("not asked"),
    ]
    with first_open(ways) as address:
        assert address == "somewhere:1"


def test_a_server_that_cannot_be_had_says_every_reason() -> None:
    server = SharedServer("Kafka", [lambda: _closed("no engine"), lambda: _closed("no Java")])
    with pytest.raises(Unavailable, match="no engine; no Java"):
        server.address()
    server.close()


class _EngineWithoutImages(BaseHTTPRequestHandler):
    """The few answers of a Docker engine that is asked for an image which it cannot get."""

    def do_GET(self) -> None:
        if self.path.endswith("/images/json") or "/images/json?" in self.path:
            self._answer(200, [])
        else:
            self._answer(200, {"ApiVersion": "1.44"})

    def do_POST(self) -> None:
        self._answer(404, {"message": "no such host"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine_without_images() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _EngineWithoutImages) as engine:
        thread = threading.Thread(target=engine.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{engine.server_port}"
        engine.shutdown()
        thread.join()


def test_an_engine_that_cannot_pull_is_no_way_to_a_server(
    engine_without_images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_without_images)
    with pytest.raises(Unavailable, match=r"postgres:18 cannot be pulled \(no such host\)"):
        container("postgres").__enter__()


def test_an_engine_that_does_not_answer_is_no_way_to_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Unavailable, match="the engine does not answer"):
        container("kafka").__enter__()


def _program(path: Path, *lines: str) -> None:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole path, on a machine where root may install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("SEDNA_SYNC_TEST_INSTALL", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


def test_maven_is_installed_by_the_systems_package_manager(programs: Path) -> None:
    maven = programs / "mvn"
    _program(
        programs / "apt-get",
        f'[ "$1" = install ] && printf "#!/bin/sh\\n" > {maven} && /bin/chmod +x {maven}',
        "exit 0",
    )
    assert java.maven() == str(maven)


def test_an_installation_that_fails_says_how(programs: Path) -> None:
    _program(programs / "apt-get", "echo no mirror is reached >&2", "exit 100")
    with pytest.raises(Unavailable, match="`apt-get update` failed: no mirror is reached"):
        java.maven()


def test_nothing_is_installed_where_that_is_not_wanted(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEDNA_SYNC_TEST_INSTALL", "0")
    _program(programs / "apt-get", "exit 100")
    with pytest.raises(Unavailable, match="install the package maven"):
        java.maven()


def test_a_prometheus_is_unpacked_and_not_installed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(programs / "cache"))
    _program(programs / "apt-get", '[ "$1" = update ] || : > prometheus_2.42.0_amd64.deb')
    _program(programs / "dpkg-deb", '[ "$1" = --extract ] && /bin/mkdir -p "$3/usr/bin"')
    found = Path(prometheus.program("promtool"))
    assert found == programs / "cache" / "sedna-sync" / "prometheus" / "usr" / "bin" / "promtool"
    assert found.parent.is_dir()


def test_a_prometheus_that_cannot_be_had_says_what_to_install(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(programs / "cache"))
    monkeypatch.setenv("SEDNA_SYNC_TEST_INSTALL", "0")
    with pytest.raises(Unavailable, match="no Prometheus: install the package prometheus"):
        prometheus.program("promtool")
    assert not list((programs / "cache" / "sedna-sync").glob("prometheus*/"))


def test_a_java_that_is_too_old_is_not_taken(programs: Path) -> None:
    _program(programs / "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    assert java.java() != programs / "java"


def test_a_java_that_is_new_enough_is_taken(programs: Path) -> None:
    _program(programs / "java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    assert java.java() == programs / "java"
