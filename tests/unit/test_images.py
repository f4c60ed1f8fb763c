"""`make images`: the images that are somebody else's get the digest that the registry has now."""

import re
from pathlib import Path

import pytest
import yaml

from tools.images import main, pinned, tags

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile", "docker-compose.yml")
OLD, NEW = (f"sha256:{digit * 64}" for digit in "ab")


def others() -> set[str]:
    """The images that the two files take from a registry, without a digest."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    used = {service["image"] for service in services.values()} - {"sedna-sync"}
    used |= set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    return {image.partition("@")[0] for image in used}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The two files of this checkout, in a folder of their own."""
    for name in FILES:
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    return tmp_path


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of Docker's client, which needs a registry; the test writes it."""
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


def write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def texts(folder: Path) -> list[str]:
    return [(folder / name).read_text("utf-8") for name in FILES]


def test_every_image_that_is_not_built_here_is_found() -> None:
    assert set().union(*map(tags, texts(ROOT))) == others()


@pytest.mark.parametrize(
    "line, expected",
    [
        ("FROM python:3.13-slim AS build", f"FROM python:3.13-slim@{NEW} AS build"),
        (f"    image: a/b:v1@{OLD}", f"    image: a/b:v1@{NEW}"),
        ("    image: h:5000/a:1 # why", f"    image: h:5000/a:1@{NEW} # why"),
        ("  image: sedna-sync", "  image: sedna-sync"),
        ("COPY --from=build /a /b", "COPY --from=build /a /b"),
    ],
)
def test_an_image_with_a_tag_keeps_it_and_gets_the_digest(line: str, expected: str) -> None:
    text = f"first\n{line}\nlast\n"
    assert pinned(text, dict.fromkeys(tags(text), NEW)) == f"first\n{expected}\nlast\n"


def test_all_images_are_pinned_and_nothing_else_is_touched(checkout: Path, client: Path) -> None:
    # As buildx prints it: several lines, and no newline at the end.
    write(client, f"""printf '{{\\n "mediaType": "x",\\n "digest": "{NEW}",\\n "size": 1\\n}}'""")
    before = texts(checkout)
    assert main(checkout) == 0
    after = texts(checkout)
    assert sum(text.count(f"@{NEW}") for text in after) > len(others())  # some are used twice
    without = re.compile(r"@sha256:[0-9a-f]{64}")
    assert [without.sub("", text) for text in after] == [without.sub("", text) for text in before]
    assert set().union(*map(tags, after)) == others()


@pytest.mark.parametrize(
    "answer",
    [
        "echo 'ERROR: not found' >&2; exit 1",
        "echo 'Name: something else'",
        """echo '{"digest": "sha256:short"}'""",
        "echo '[]'",
    ],
)
def test_an_image_that_is_not_to_be_had_leaves_the_files_as_they_are(
    checkout: Path, client: Path, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    write(client, f"""case "$*" in *postgres*) {answer};; *) echo '{{"digest": "{NEW}"}}';; esac""")
    before = texts(checkout)
    assert main(checkout) == 1
    assert texts(checkout) == before
    assert "postgres" in capsys.readouterr().err


def test_without_dockers_client_it_says_what_is_needed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert main(checkout) == 1
    assert "buildx" in capsys.readouterr().err
