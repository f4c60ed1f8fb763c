"""Pins the images of Dockerfile and docker-compose.yml by digest: `make images`.

A digest is that of everything that the tag stands for, so one pin serves all platforms. Docker's
own client asks the registry, with the logins, proxies and mirrors that it was given; no engine has
to run. All are asked before anything is written: where one is not to be had, nothing changes.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_FILES = ("Dockerfile", "docker-compose.yml")
#: What has a tag is somebody else's, and pinned; what is built here has none.
_IMAGE = re.compile(
    r"^(?P<use>FROM +|\s*image: +)(?P<tag>[\w./:-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?(?=\s|$)",
    re.MULTILINE,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS = 120


def tags(text: str) -> set[str]:
    """The images that a file takes from a registry, each as `name:tag`."""
    return {found["tag"] for found in _IMAGE.finditer(text)}


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """The file with each image at its digest, `name:tag@sha256:…`, in place of an older one."""
    return _IMAGE.sub(lambda found: f"{found['use']}{found['tag']}@{digests[found['tag']]}", text)


def main(folder: Path = _CHECKOUT) -> int:
    """Rewrites the files in this folder; 0 done, 1 an image or Docker's client is not to be had."""
    texts = {folder / name: (folder / name).read_text("utf-8") for name in _FILES}
    digests: dict[str, str] = {}
    for tag in sorted(set().union(*map(tags, texts.values()))):
        try:
            digests[tag] = _ask(tag)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{tag}: {error}\nNothing was changed.\n")
            return 1
        sys.stdout.write(f"{tag} {digests[tag]}\n")
    for path, text in texts.items():
        path.write_text(pinned(text, digests), "utf-8")
    return 0


def _ask(tag: str) -> str:
    docker = shutil.which("docker")
    if docker is None:
        raise ValueError("`docker` with its plugin buildx is needed")
    done = subprocess.run(
        # Not `{{.Manifest.Digest}}`: buildx takes what begins so for its own way to print all.
        [docker, "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", tag],
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        # Without the plugin, Docker's client says no more than that it does not know the options.
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ValueError(f"`docker buildx imagetools inspect` failed: {said}")
    match json.loads(done.stdout):
        case {"digest": str(digest)} if _DIGEST.fullmatch(digest):
            return digest
    raise ValueError(f"it has no digest: {done.stdout[:200]}")


if __name__ == "__main__":
    sys.exit(main())
