"""The image of the Dockerfile, or what comes nearest to it where no Docker engine can build it.

Where no engine is: the steps of its build stage, one by one as they stand there, in folders of the
test's own. What only an engine does (the user, the read-only file system) is not held then.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import Unavailable

ROOT = Path(__file__).parents[2]
_DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", "")
_SECONDS = 900
_PING_SECONDS = 10
#: As the Compose file runs it. The test's servers listen on the loopback of this machine.
_CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host"]


@dataclass(frozen=True, slots=True)
class Image:
    """What the image holds, to be run."""

    entry: tuple[str, ...]  #: what runs `sedna-sync`
    docker: str | None  #: the client; None where no engine made it
    name: str  #: of the container that runs, or will

    def program(self, variables: set[str]) -> list[str]:
        """The command line of its entry point, to which these variables are handed on."""
        if self.docker is None:
            return list(self.entry)
        options = [f"--env={name}" for name in sorted(variables)]
        return [
            self.docker,
            "run",
            "--rm",
            f"--name={self.name}",
            *_CONFINED,
            *options,
            *self.entry,
        ]

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs its Python: in the container that runs, else in a new one."""
        if self.docker is None:
            folder = Path(self.entry[0]).parent
            # Not in the checkout, whose packages would be found first.
            return _run([str(folder / "python"), *arguments], environment, cwd=folder)
        options = [f"--env={name}={value}" for name, value in environment.items()]
        running = [self.docker, "exec", *options, self.name, "python", *arguments]
        if _run([self.docker, "container", "inspect", self.name]).returncode == 0:
            return _run(running)
        fresh = [self.docker, "run", "--rm", *_CONFINED, *options, "--entrypoint=python"]
        return _run([*fresh, *self.entry, *arguments])


def health_check() -> list[str]:
    """The arguments that the image's health check gives to Python."""
    (found,) = _instructions("HEALTHCHECK")
    program, *arguments = json.loads(found[found.index("CMD ") + 4 :])
    if program != "python":
        raise ValueError(f"the health check runs {program}")
    return [str(argument) for argument in arguments]


@contextmanager
def built() -> Iterator[Image]:
    """The image, built by a Docker engine. Raises `Unavailable` where none can."""
    docker = shutil.which("docker")
    if sys.platform != "linux" or docker is None:
        raise Unavailable("no Docker client, or none that shares this machine's network")
    if _run([docker, "version"], seconds=_PING_SECONDS).returncode != 0:
        raise Unavailable("no Docker engine answers")
    for found in _instructions("FROM"):
        base = found.split()[0]
        if (
            _run([docker, "image", "inspect", base]).returncode != 0
            and _run([docker, "pull", base]).returncode != 0
        ):
            raise Unavailable(f"{base} cannot be pulled")
    tag = f"sedna-sync-test-{uuid.uuid4().hex}"
    _must([docker, "build", "--network=host", "--tag", tag, str(ROOT)])
    try:
        yield Image(entry=(tag,), docker=docker, name=tag)
    finally:
        _run([docker, "rm", "--force", tag])
        _run([docker, "image", "rm", tag])


@contextmanager
def installed(folder: Path) -> Iterator[Image]:
    """What the build stage makes, in this folder. Raises `Unavailable` where Python has no venv."""
    base, image, context = folder / "base", folder / "image", folder / "context"
    try:
        venv.create(base, with_pip=True)
    except (subprocess.CalledProcessError, ImportError) as error:
        raise Unavailable("this Python has no venv: install python3-venv") from error
    stage = _DOCKERFILE.split("\nFROM ")[1]
    for keyword, rest in re.findall(r"^(COPY|RUN) +(.+)$", stage, re.MULTILINE):
        if keyword == "COPY":
            for source in rest.split()[:-1]:
                _copy(source, context)  # all of it keeps its place
            continue
        command = re.sub(r"(?<!\S)python(?=\s)", str(base / "bin" / "python"), rest)
        command = command.replace("/opt/sedna-sync", str(image))
        command = command.replace("/wheel", str(folder / "wheel"))
        _must(["sh", "-euc", command], cwd=context)
    yield Image(entry=(str(image / "bin" / "sedna-sync"),), docker=None, name="")


def _instructions(keyword: str) -> list[str]:
    return re.findall(rf"^{keyword} +(.+)$", _DOCKERFILE, re.MULTILINE)


def _copy(source: str, context: Path) -> None:
    if f"!{source}" not in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        raise ValueError(f".dockerignore keeps {source} out of the image")
    target = context / source
    target.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, target)


def _run(
    command: list[str],
    environment: dict[str, str] | None = None,
    *,
    seconds: float = _SECONDS,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=cwd,
        env=os.environ | (environment or {}),
    )


def _must(command: list[str], *, cwd: Path | None = None) -> None:
    done = _run(command, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{done.stdout}{done.stderr}")
