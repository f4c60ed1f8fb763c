"""The alert rules: when each fires and when not, by promtool; and that nothing of them is left out.

Every rule has a case in which it fires and one in which it does not, and its cases notice when it
is broken. What a rule names is there: metrics, labels, values.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import mistakes, selectors

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
RULES = FOLDER / "alerts.yml"
CASES = sorted((FOLDER / "tests").glob("*.yml"))


@cache
def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def rules() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in read(RULES)["groups"] for rule in group["rules"]}


def expected(path: Path) -> list[Mapping[str, Any]]:
    """What the cases of a file expect, one by one."""
    return [each for case in read(path)["tests"] for each in case["alert_rule_test"]]


ALERTS = rules()


def run(promtool: str, *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [promtool, *arguments], check=False, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_the_rules_are_valid(promtool: str) -> None:
    code, said = run(promtool, "check", "rules", RULES)
    assert code == 0, said
    assert f"{len(ALERTS)} rules found" in said


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_the_alerts_fire_when_they_should_and_not_otherwise(promtool: str, cases: Path) -> None:
    code, said = run(promtool, "test", "rules", cases)
    assert code == 0, said


BROKEN: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "never true": lambda rule: rule | {"expr": "vector(1) < 0"},
    "always true": lambda rule: rule | {"expr": f"({rule['expr']}) or vector(1)"},
    "waits for ever": lambda rule: rule | {"for": "1d"},
    "does not wait": lambda rule: rule | {"for": "0s"},
}


@pytest.mark.parametrize("change", BROKEN)
@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_that_is_broken_is_noticed(
    promtool: str, tmp_path: Path, alert: str, change: str
) -> None:
    broken = BROKEN[change](ALERTS[alert])
    groups = {"groups": [{"name": "broken", "rules": [broken]}]}
    (tmp_path / RULES.name).write_text(yaml.safe_dump(groups), "utf-8")
    cases = tmp_path / "cases.yml"
    cases.write_text(yaml.safe_dump(only(alert)), "utf-8")
    code, said = run(promtool, "test", "rules", cases)
    assert code != 0
    assert f"alertname: {alert}" in said


def only(alert: str) -> dict[str, Any]:
    """The cases of one alert, out of all files."""
    cases = [
        case | {"alert_rule_test": about}
        for path in CASES
        for case in read(path)["tests"]
        if (about := [each for each in case["alert_rule_test"] if each["alertname"] == alert])
    ]
    return {"rule_files": [RULES.name], "evaluation_interval": "30s", "tests": cases}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    cases = [each for path in CASES for each in expected(path) if each["alertname"] == alert]
    assert any(each["exp_alerts"] for each in cases)
    assert any(not each["exp_alerts"] for each in cases)


def test_what_silences_another_alert_is_there() -> None:
    named = set(re.findall(r"SednaSync\w+", ALERTMANAGER.read_text("utf-8")))
    assert named
    assert named <= ALERTS.keys()


def test_no_case_is_about_an_alert_that_is_not_there() -> None:
    named = {each["alertname"] for path in CASES for each in expected(path)}
    assert named == ALERTS.keys()
    assert len(ALERTS) == RULES.read_text("utf-8").count("- alert:")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_it_is_what_was_seen_and_what_to_do_first(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url"}
    assert said["summary"].endswith(".")
    assert re.search(r"[Ll]ook first|Set the right", said["description"])
    assert said["runbook_url"] == f"docs/runbooks.md#{alert.lower()}"


def test_each_alert_has_a_section_in_the_runbooks_and_each_section_an_alert() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE) == [*ALERTS]


@pytest.mark.parametrize("alert", ALERTS)
def test_each_runbook_says_what_it_means_where_to_look_what_to_do_and_when_it_can_wait(
    alert: str,
) -> None:
    _, _, rest = RUNBOOKS.read_text("utf-8").partition(f"\n## {alert}\n")
    text = rest.partition("\n## ")[0]
    said = re.findall(r"\*\*(It means|Look first|Do|No emergency)\b", text)
    assert said == ["It means", "Look first", "Do", "No emergency"]
    assert text.strip().startswith(f"*{ALERTS[alert]['labels']['severity']}, ")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_names_only_what_is_exposed(alert: str) -> None:
    expression = re.sub("#.*", "", ALERTS[alert]["expr"])
    assert list(selectors(expression))
    assert not mistakes(expression)


@pytest.mark.parametrize("alert", ALERTS)
def test_no_alert_depends_on_how_the_scrape_is_called(alert: str) -> None:
    assert not re.search(r"\b(job|instance)\s*[!=]", ALERTS[alert]["expr"])


@pytest.mark.parametrize(
    "expression, mistake",
    [
        ("sedna_sync_pendings > 0", "there is no sedna_sync_pendings"),
        ('sedna_sync_pending{topic="x"}', "sedna_sync_pending has no label topic"),
        (
            'sedna_sync_settled_total{code=~"gave_up|lost"}',
            "code of sedna_sync_settled_total is never lost",
        ),
        ("sum by (job, tenant) (sedna_sync_in_doubt)", "no label tenant to group by"),
    ],
)
def test_a_name_that_nobody_exposes_is_noticed(expression: str, mistake: str) -> None:
    assert mistakes(expression) == [mistake]
