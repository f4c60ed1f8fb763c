"""The shell completes commands and options, as the README says how to switch it on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
PROGRAM = Path(sys.executable).parent / "sedna-sync"


def run(**environment: str) -> str:
    """What `sedna-sync` prints with these variables, and no settings."""
    own = {name: value for name, value in os.environ.items() if "SEDNA_SYNC_" not in name}
    done = subprocess.run(
        [PROGRAM], env=own | environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def completions(shell: str, words: str) -> set[str]:
    """What is offered for the last of these words, which may be empty."""
    typed = words.split(" ")
    # Fish says the word that is typed, the others its place.
    place = typed[-1] if shell == "fish" else str(len(typed) - 1)
    out = run(_SEDNA_SYNC_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=place)
    if shell == "zsh":
        return set(out.splitlines()[1::3])
    return {line.partition(",")[2].partition("\t")[0] for line in out.splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell: str) -> None:
    assert completions(shell, "sedna-sync hotel ") == {"search", "map", "unmap", "list"}
    assert completions(shell, "sedna-sync hotel list --js") == {"--json"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readme_switches_completion_on(shell: str) -> None:
    assert re.search(
        rf"_SEDNA_SYNC_COMPLETE={shell}_source sedna-sync\b", README.read_text("utf-8")
    )
    script = run(_SEDNA_SYNC_COMPLETE=f"{shell}_source")
    assert f"_SEDNA_SYNC_COMPLETE={shell}_complete" in script
