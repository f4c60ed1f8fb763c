"""What the documentation says of names, defaults and examples is what the code has."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import jsonschema
import pytest

from consumer import settled
from consumer.cli.main import cli
from consumer.settings import FROM_FILE, PREFIX, Settings
from schemas.envelope import parse_event
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.support.promql import exposed, families, mistakes

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
SETTINGS = ROOT / "docs" / "settings.md"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def section(document: Path, heading: str) -> str:
    """The text below a heading, up to the next one of any level."""
    found = re.search(
        rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)",
        document.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found, f"{document.name} has no section {heading}"
    return found[1]


def first_cells(table: str) -> list[list[str]]:
    """The code in the first cell of each row of a table."""
    rows = (line for line in table.splitlines() if line.startswith("| `"))
    return [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in rows]


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def anchors(document: Path) -> set[str]:
    """What the headings can be linked by, as the common renderers make it."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def shown(default: object) -> str:
    """A default as the table writes it."""
    match default:
        case None:
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case float() | int():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"


def test_the_settings_page_names_every_setting_with_its_default() -> None:
    rows = re.findall(
        rf"^\| `{PREFIX}(\w+)` \| ([^|]+) \|", SETTINGS.read_text("utf-8"), re.MULTILINE
    )
    defaults = {name.upper(): shown(field.default) for name, field in Settings.model_fields.items()}
    assert len(rows) == len(dict(rows))
    assert dict(rows) == defaults


def test_the_settings_page_names_every_secret_that_can_come_from_a_file() -> None:
    named = re.findall(rf"`{PREFIX}(\w+)_FILE`", section(SETTINGS, "Secrets from files"))
    assert set(named) == FROM_FILE
    fields = Settings.model_fields.items()
    secrets = {name.upper() for name, field in fields if "SecretStr" in repr(field.annotation)}
    assert secrets == FROM_FILE


def test_the_settings_page_says_which_settings_have_no_effect_yet() -> None:
    said = {
        name.removeprefix(PREFIX).lower()
        for (name,) in first_cells(section(SETTINGS, "Read and checked, without effect yet"))
    }
    code = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "consumer").rglob("*.py")
        if path.name != "settings.py"
    )
    unused = {name for name in Settings.model_fields if not re.search(rf"settings\.{name}\b", code)}
    assert said == unused


def test_the_readme_explains_every_failure_code() -> None:
    text = section(README, "Failure codes")
    explained = {name for (name,) in first_cells(text)}
    codes = {code.value for code in ErrorCode}
    assert explained <= codes
    assert codes <= set(re.findall(r"`(\w+)`", text))


def test_the_operations_page_names_every_log_event_and_no_other() -> None:
    documented = {name for names in first_cells(section(OPERATIONS, "Logs")) for name in names}
    assert documented == {*logged(), settled.SYNCED, settled.FAILED}


def logged() -> Iterator[str]:
    """The events that the service logs: first arguments of `_log.info`, `log.info` and the like."""
    for path in sorted((ROOT / "consumer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name("log" | "_log") | ast.Call(func=ast.Name("_line")),
                        attr=level,
                    ),
                    args=[event, *_],
                ) if level in LEVELS:
                    texts = (each for each in ast.walk(event) if isinstance(each, ast.Constant))
                    yield from (str(each.value) for each in texts)
                case _:
                    pass


@pytest.mark.parametrize("document", [README, OPERATIONS, RUNBOOKS], ids=lambda path: path.name)
def test_every_command_that_is_documented_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    # In `docker compose exec sedna-sync sedna-sync status` the first is a container.
    command = r"sedna-sync (?!sedna-sync )((?:[a-z][a-z-]+ ?)+)"
    lines = re.findall(command, "\n".join(blocks(document, "sh")))
    lines += re.findall(r"`sedna-sync ([^`]+)`", text)
    assert lines
    for line in lines:
        assert_is_a_command(line)


def assert_is_a_command(line: str) -> None:
    group: click.Command = cli
    for word in line.split():
        if not isinstance(group, click.Group):
            return
        found = group.get_command(click.Context(group), word)
        assert found is not None, f"there is no `sedna-sync {line}`"
        group = found


def test_the_events_of_the_readme_obey_the_contract() -> None:
    reservation, stop_sale, *results = blocks(README, "json")
    parsed = parse_event(Kind.RESERVATION, key=b"demo", value=reservation.encode(), headers=[])
    assert parsed.data.email_id == 42

    # The attributes, as its command line gives them.
    options = next(block for block in blocks(README, "sh") if "ce_type" in block)
    headers = [(name, value.encode()) for name, value in re.findall(r"-H (\S+?)=(\S+)", options)]
    binary = parse_event(Kind.STOP_SALE, key=b"demo", value=stop_sale.encode(), headers=headers)
    assert binary.id == "c2f1f6de-3a54-4d2e-8f0c-6d0f6d6c7b21"

    types = []
    for text in results:
        result = json.loads(text)
        types.append(result["type"])
        schema = json.loads((ROOT / f"schemas/generated/{result['type']}.json").read_text("utf-8"))
        jsonschema.validate(result, schema)
    assert types == ["sedna.synced", "sedna.failed"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_metric_that_is_named_is_exposed(document: Path) -> None:
    named = set(re.findall(r"\bsedna_sync_[a-z_]+\b", document.read_text("utf-8")))
    assert named <= exposed().keys() | {family.name for family in families()}
    for query in blocks(document, "promql"):
        assert not mistakes(query)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


def test_every_decision_is_listed_once_in_order() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    listed = re.findall(
        r"^\d+\. \[(.+)\]\((\d{4}-.+\.md)\)$", index.read_text("utf-8"), re.MULTILINE
    )
    titles = [
        (re.sub(r"^# \d+\. ", "", path.read_text("utf-8").splitlines()[0]), path.name)
        for path in sorted(index.parent.glob("0*.md"))
    ]
    assert listed == titles
