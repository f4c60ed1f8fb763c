"""Resolves pyproject.toml into requirements/*.txt, with hashes: `make pins`.

One resolution serves every supported system. Versions that are pinned stay as they are while
they fit; `--upgrade` takes the newest. What the tests run with (`dev`) is resolved first, and no
other file may have another version of anything. uv does the resolving, from a venv of its own that
is thrown away.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_PINS = {
    "dev": ["--extra", "demo", "--extra", "otel", "--group", "dev"],
    "runtime": [],
    "demo": ["--extra", "demo"],
    "otel": ["--extra", "otel"],
}
_OPTIONS = [
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
    *("--no-emit-find-links", "--no-header", "--no-annotate", "--quiet"),
]


def main(arguments: list[str]) -> None:
    """Writes the files anew."""
    with tempfile.TemporaryDirectory(prefix="sedna-sync-pins-") as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder) / "bin"
        _run([str(programs / "python"), "-m", "pip", "install", "--quiet", "uv"])
        compile_ = [str(programs / "uv"), "pip", "compile", *_OPTIONS, *arguments]
        for name, selection in _PINS.items():
            _run([*compile_, "pyproject.toml", *selection, "-o", f"requirements/{name}.txt"])
            if name == "dev":
                compile_ += ["--constraint", "requirements/dev.txt"]
        # What the image is built with.
        with (_CHECKOUT / "pyproject.toml").open("rb") as file:
            build = "\n".join(tomllib.load(file)["build-system"]["requires"])
        _run([*compile_, "-", "-o", "requirements/build.txt"], text=build)


def _run(command: list[str], *, text: str | None = None) -> None:
    subprocess.run(command, check=True, cwd=_CHECKOUT, input=text, text=True)


if __name__ == "__main__":
    main(sys.argv[1:])
